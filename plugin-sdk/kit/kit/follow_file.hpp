// SPDX-License-Identifier: Apache-2.0
//
// Follows a growing text file line by line through rotation. Owned by one channel, used on its
// polling thread. It holds one descriptor, and never more than one line up to the limit in memory.
//
// - Only complete lines are delivered: a last line without its end waits for it.
// - Renamed and made anew (logrotate's default): the renamed file is finished first, then every
//   rotated sibling written since, oldest first, then the new file from its start.
// - A writer may keep a renamed file open and add to it later: for a while it is looked at
//   again, and what came late is delivered before the reading goes on.
// - Copied and truncated (copytruncate): noticed by size or content; the copy is finished first.
// - What counts as rotated, and in which order, stands in rotated_files.hpp.
// - The cursor is device, inode, offset, time of the last write, and a fingerprint of the first
//   bytes read, so that a reused inode, a copy or a file of another host is told apart; and the
//   same of the file that was left last, while it is still looked at.
// - When the place is not found again, reading starts with the oldest file written since; lines
//   come twice rather than not at all, and notices() says so.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/rotated_files.hpp"
#include "kit/watch.hpp"
#include "voxbus/channel.hpp"
#include "voxbus/result.hpp"

namespace voxbus::kit {

struct FollowOptions {
  std::size_t max_line = std::size_t{1} << 20;  // longer ones are passed over
  std::size_t first_bytes = 4096;               // of which this much is kept
  // How long a rotated file must be quiet before it is left for its successor: the writer may still
  // have it open.
  std::chrono::milliseconds settle{1000};
  // How long after that it is still looked at for late lines.
  std::chrono::milliseconds linger{600'000};
  // Looks again after this time even if the system reported nothing (network file systems).
  std::chrono::milliseconds look_again{30'000};
};

struct FollowedLine {
  std::string_view text;  // without its line break; valid until the next call
  std::uint64_t size = 0;
  bool oversized = false;   // longer than the limit: `text` is how it begins
  bool unfinished = false;  // the last of a rotated file, which has no line break
};

class FollowFile {
 public:
  enum class Step {
    kLine,  // line() is the next one, and cursor() covers it
    kIdle,  // nothing complete for now: wait()
    kBusy   // on the way through a very long line: look for stop, and call again
  };

  explicit FollowFile(std::filesystem::path file, FollowOptions options = {});
  ~FollowFile();
  FollowFile(const FollowFile&) = delete;
  FollowFile& operator=(const FollowFile&) = delete;

  // Goes to where a cursor stands; an empty one is the start of the present file.
  Result<void> resume(std::string_view cursor);

  Result<Step> next();
  const FollowedLine& line() const { return line_; }

  // Why nothing can come from it as it is now, and what then: there is none, it was deleted, a
  // folder has its name. Empty where all is well, also between a rotation and the next file.
  std::string missing() const;

  // Covers every line that next() gave. Empty before the first file was opened.
  std::string cursor() const;

  // Waits until the file or its siblings changed, or some time has passed.
  Wake wait(Context& context);

  // What an administrator should know, once: "reading starts again at ...".
  std::vector<std::string> notices();

 private:
  struct Place {  // a cursor, taken apart
    FileIdentity identity;
    std::uint64_t offset = 0;
    std::int64_t written = 0;
    std::size_t prefix_size = 0;
    std::uint64_t prefix_hash = 0;
  };

  // A file that was read to its end and left for its successor; its writer may not know yet.
  struct Left {
    int fd = -1;
    Place place;
    std::chrono::steady_clock::time_point until;
  };

  static std::optional<std::vector<Place>> parse(std::string_view cursor);
  Place place() const;

  struct Opened;
  static Result<std::optional<Opened>> open_file(const std::filesystem::path& path);
  void begin(Opened file, std::uint64_t offset);
  Result<bool> open_matching(const Place& place);
  Result<bool> open_first_since(std::int64_t written, const FileIdentity& except);
  Result<bool> open_next();
  Result<void> begin_before(std::int64_t written);
  void leave();
  bool go_back();
  void reopen_left();
  void forget_left();
  void begin_at(int fd, std::uint64_t offset);
  Result<bool> verify();
  Result<bool> refill();
  void pass_over_hole();
  Result<Step> at_end();
  void close();
  void consume(std::size_t count);
  void deliver(std::size_t length, bool has_break);

  std::filesystem::path file_;
  FollowOptions options_;
  Watch watch_;
  std::optional<Left> left_;
  std::optional<Place> ahead_;  // where to go on after a file that was gone back to
  int fd_ = -1;
  FileIdentity identity_;
  std::int64_t written_ = 0;
  std::uint64_t offset_ = 0;  // of the first byte not yet delivered
  std::string prefix_;        // the first bytes that were delivered, for the fingerprint
  std::string buffer_;        // what was read from offset_ on, beginning at used_
  std::size_t used_ = 0;      // bytes of the buffer that are delivered
  std::size_t searched_ = 0;  // bytes behind used_ that hold no line break
  std::uint64_t passed_ = 0;  // bytes of an oversized line that are no longer in the buffer
  std::string first_bytes_;   // how that line begins
  FollowedLine line_;
  std::optional<std::chrono::steady_clock::time_point> quiet_since_;
  std::uint64_t quiet_size_ = 0;
  std::vector<std::string> notices_;
};

}  // namespace voxbus::kit
