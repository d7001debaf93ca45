// SPDX-License-Identifier: Apache-2.0
// The whole configuration: voxbus.yaml, one file per channel, and the manifests they refer to. A
// value that is read once, checked whole, and then never changed; reload makes a new one.
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"
#include "config/manifest.hpp"
#include "config/settings.hpp"

namespace voxbus::config {

struct Begin {
  enum class Kind { now, all, date } kind = Kind::now;
  TimePoint date{};
  bool operator==(const Begin&) const = default;
};

struct Channel {
  std::string name;
  std::string plugin;
  bool enabled = true;
  bool isolated = true;         // in a process of its own
  bool keep_raw_of_all = true;  // else of what is quarantined only
  std::chrono::milliseconds poll_every{30'000};
  std::chrono::milliseconds stop_within{2'000};
  Begin begin;
  std::string region;  // ISO 3166, for phone numbers without a country
  std::uint64_t memory = 512ull << 20;
  std::uint64_t max_item = 32ull << 20;
  std::uint32_t descriptors = 256;
  Settings settings;
  std::filesystem::path library;
  std::string plugin_id;
  // Which files its plugin and its secrets were found in: others are others, whatever their names.
  std::string stamp;
  std::string faults;  // not empty: the channel stays down, and this says why
  std::filesystem::path file;
  bool operator==(const Channel&) const =
      default;  // what a reload restarts, and what it leaves alone
};

inline constexpr std::array<std::string_view, 5> kLogLevels = {"trace", "debug", "info", "warning",
                                                               "error"};

struct Configuration {
  std::filesystem::path directory;
  std::string listen = "127.0.0.1:8420";
  std::filesystem::path socket;  // empty: <state>/voxbus.sock
  std::filesystem::path state = "/var/lib/voxbus";
  std::vector<std::filesystem::path> plugin_folders = {"/usr/lib/voxbus/plugins",
                                                       "/usr/local/lib/voxbus/plugins"};
  std::string installation = "voxbus";
  std::string log_level = "info";
  std::vector<std::string> hosts, origins;
  std::string region;
  std::uint32_t max_connections = 10'000;
  std::uint64_t wal_ceiling = 64ull << 20;
  std::uint64_t queue = 8ull << 20;
  std::optional<SecretReference> master_key;
  std::vector<Channel> channels;
  std::vector<Manifest> manifests;
};

// Reads everything below `directory`, which may lack (then all is default). All problems are in
// `problems`; those confined to a channel leave that channel with `faults`.
[[nodiscard]] Configuration load(const std::filesystem::path& directory, Problems& problems);

}  // namespace voxbus::config
