// SPDX-License-Identifier: Apache-2.0
#include "kit/watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <utility>

namespace voxbus::kit {

Watch::Watch(std::chrono::milliseconds fallback)
    : fd_{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)}, fallback_{fallback} {}

Watch::~Watch() {
  if (fd_ >= 0) ::close(fd_);
}

bool Watch::add(const std::filesystem::path& folder, What what) {
  if (fd_ < 0) return false;
  std::uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF |
                       IN_MOVE_SELF | IN_ONLYDIR;
  if (what != What::kEntries) mask |= IN_CLOSE_WRITE;
  if (what == What::kEntriesAndContent) mask |= IN_MODIFY;
  const int watch = ::inotify_add_watch(fd_, folder.c_str(), mask);
  if (watch < 0) {
    incomplete_ = incomplete_ || (errno != ENOENT && errno != ENOTDIR);
    return false;
  }
  // Another folder may have the name now.
  if (const auto before = folders_.find(folder);
      before != folders_.end() && before->second != watch)
    remove(folder);
  folders_[folder] = watch;
  by_watch_[watch] = folder;
  return true;
}

void Watch::remove(const std::filesystem::path& folder) {
  const auto found = folders_.find(folder);
  if (found == folders_.end()) return;
  ::inotify_rm_watch(fd_, found->second);
  by_watch_.erase(found->second);
  folders_.erase(found);
}

Wake Watch::wait(Context& context, std::chrono::milliseconds at_most) {
  return context.wait_readable(fd_, complete() ? at_most : std::min(at_most, fallback_));
}

std::vector<Watch::Event> Watch::take(bool& lost) {
  std::vector<Event> events;
  lost = !complete();
  if (fd_ < 0) return events;
  std::uint32_t cookie = 0;  // of the last entry that was moved away, and its name
  std::string moved_from;
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  // Bounded: a folder that changes faster than this reads is looked at as a whole.
  for (int round = 0; round < 64; ++round) {
    const ssize_t count = ::read(fd_, buffer.data(), buffer.size());
    if (count <= 0) return events;
    for (ssize_t at = 0; at < count;) {
      inotify_event event;
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const char* name = buffer.data() + at + sizeof event;
      at += static_cast<ssize_t>(sizeof event + event.len);
      if (event.mask & IN_Q_OVERFLOW) lost = true;
      const auto folder = by_watch_.find(event.wd);
      if (folder == by_watch_.end()) continue;
      // The folder is gone, or has another name with all that is in it: it can be added again.
      if (event.mask & (IN_IGNORED | IN_MOVE_SELF)) {
        remove(std::filesystem::path{folder->second});
        lost = true;
        continue;
      }
      Event& happened = events.emplace_back();
      happened.folder = folder->second;
      if (event.len > 0) happened.name = name;
      happened.appeared =
          (event.mask & (IN_CREATE | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE)) != 0;
      happened.is_folder = (event.mask & IN_ISDIR) != 0;
      happened.written = (event.mask & (IN_MODIFY | IN_CLOSE_WRITE)) != 0;
      happened.moved = (event.mask & IN_MOVED_TO) != 0;
      if (event.mask & IN_MOVED_FROM) {
        cookie = event.cookie;
        moved_from = happened.name;
      } else if (happened.moved && event.cookie == cookie) {
        happened.moved_from = std::exchange(moved_from, {});
      }
    }
  }
  lost = true;
  return events;
}

}  // namespace voxbus::kit
