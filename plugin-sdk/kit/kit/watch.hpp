// SPDX-License-Identifier: Apache-2.0
//
// Waiting for something to happen in folders: inotify where the system has it, else looking again
// after a while. Owned by one channel, used on its polling thread. Add folders before looking into
// them: what happens in between is then reported.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "voxbus/channel.hpp"

namespace voxbus::kit {

class Watch {
 public:
  enum class What {
    kEntries,            // what comes and goes
    kEntriesAndWritten,  // also when somebody who wrote closes it
    kEntriesAndContent   // also each time something is written
  };

  struct Event {
    std::filesystem::path folder;
    std::string name;       // of the entry, empty when the folder itself is meant
    bool appeared = false;  // created or moved in, or its content changed
    bool is_folder = false;
    bool written = false;  // its content changed
    // Moved there; the name it had before, as far as that was in a watched folder.
    bool moved = false;
    std::string moved_from{};
  };

  // `fallback` is how long wait() waits at most where there is no inotify.
  explicit Watch(std::chrono::milliseconds fallback = std::chrono::seconds{1});
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // False when changes of that folder are not reported: it is not there, or inotify cannot.
  bool add(const std::filesystem::path& folder, What what);
  void remove(const std::filesystem::path& folder);
  bool has(const std::filesystem::path& folder) const { return folders_.contains(folder); }

  // True as long as every folder added so far is reported by the system.
  bool complete() const { return fd_ >= 0 && !incomplete_; }

  // Waits until something happened, the time is over, or stop was asked for.
  Wake wait(Context& context, std::chrono::milliseconds at_most);

  // What happened since the last call. `lost` is set when some of it is unknown: look at
  // everything.
  std::vector<Event> take(bool& lost);

 private:
  int fd_;
  bool incomplete_ = false;
  std::chrono::milliseconds fallback_;
  std::map<std::filesystem::path, int> folders_;
  std::map<int, std::filesystem::path> by_watch_;
};

}  // namespace voxbus::kit
