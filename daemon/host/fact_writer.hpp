// SPDX-License-Identifier: Apache-2.0
// Journals changes of channels' states, at most once a minute for each channel, on a thread of its
// own, because a full disk may hold a commit up and the supervisor must never wait. What is not yet
// written is one state per channel, the newest.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <thread>

#include "base/guarded.hpp"
#include "host/channel_state.hpp"
#include "journal/journal.hpp"

namespace voxbus::host {

class FactWriter {
 public:
  FactWriter(journal::Journal& journal, std::chrono::milliseconds least_interval);
  ~FactWriter();  // writes nothing more

  void note(const ChannelStatus& status);  // any thread, never blocks

 private:
  struct Note {
    ChannelStatus status;
    bool pending = false;
    Level written = Level::starting;
    std::chrono::steady_clock::time_point not_before{};
  };
  struct State {
    std::map<std::string, Note> notes;
    bool stopping = false;
  };
  void run();

  journal::Journal& journal_;
  const std::chrono::milliseconds interval_;
  Guarded<State> state_;
  std::thread thread_;
};

}  // namespace voxbus::host
