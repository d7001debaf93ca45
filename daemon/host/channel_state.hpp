// SPDX-License-Identifier: Apache-2.0
// What a channel is up to, as status, the log and the journal tell it. Plain values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace voxbus::host {

enum class Level {
  starting,
  // Its plugin is made, and its last poll came back well where one has come back: until the first
  // does, nobody knows whether the plugin reaches what it reads.
  up,
  degraded,  // in trouble, and being tried again
  down,      // will not run until a person changes something
};
[[nodiscard]] std::string_view name_of(Level level);

struct ChannelStatus {
  std::string name, plugin, plugin_id, version;
  Level level = Level::starting;
  std::string reason;  // why it is not up
  std::string remedy;  // what a person can do
  TimePoint since;     // of this level
  bool isolated = true;
  pid_t pid = 0;  // of its process, 0 while there is none
  std::uint64_t restarts = 0;
  std::uint64_t crashes = 0;
  std::string probe;  // "ok", why not, or empty while unknown
};

}  // namespace voxbus::host
