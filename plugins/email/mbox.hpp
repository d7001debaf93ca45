// SPDX-License-Identifier: Apache-2.0
//
// The mails of an mbox file as they are appended. It only reads: while it does, others are kept
// from rewriting the file by a read lock (fcntl), and a dot-lock of theirs is waited for.
//
// - A mail begins with a line "From ADDRESS DATE" at the start of the file or after an empty line.
//   Content-Length is not believed.
// - The last mail counts as complete when nobody holds the file's dot-lock or a write lock and it
//   has been quiet for a moment. Should more of it be appended after all, it is brought once more,
//   whole, under another id.
// - The cursor is the place behind the last mail with a fingerprint of the file's beginning and of
//   the bytes before that place. When another program has compacted or rewritten the file, they
//   differ, and reading starts again at the beginning; the daemon drops the mails it has, since a
//   mail's id does not depend on where it stands or how it is marked.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "kit/watch.hpp"
#include "mail_item.hpp"

namespace voxbus::email {

// Whether a line, without its end, is the one that begins a mail: "From " and a date with a time of
// day and a year behind it.
bool is_envelope_line(std::string_view line);

// The body's lines that begin with one or more '>' and "From " without the first of them. For a
// mail as it stands in an mbox.
std::string unquoted(std::string_view mail);

struct MboxOptions {
  ReadOptions read;
  std::chrono::milliseconds settle{
      300};  // how long a file must be quiet for its last mail to count
};

class Mbox final : public MailSource {
 public:
  Mbox(const std::filesystem::path& file, MboxOptions options);

  Result<Batch> poll(const Cursor& since, Context& context) override;

 private:
  struct Place {
    std::uint64_t offset = 0;      // behind the last mail that was brought
    std::uint64_t last_start = 0;  // where that mail begins
    std::uint64_t head_hash = 0;   // of the first bytes before offset
    std::uint64_t tail_hash = 0;   // of the last bytes before offset
  };
  // One mail in the file: where it is, and its bytes unless it is oversized.
  struct Found {
    std::uint64_t end = 0;
    bool complete = false;  // another mail follows
    std::string bytes;      // of an oversized one only the beginning
    std::uint64_t size = 0;
    std::optional<std::string> oversized_id;
  };

  static std::optional<Place> parse(std::string_view cursor);
  std::string cursor_of(Place place, int fd) const;
  Result<Batch> read(Place& place, Context& context);
  bool fits(const Place& place, int fd, std::uint64_t size) const;
  Result<void> go_back_if_unfinished(Place& place, int fd, std::uint64_t size, Context& context);
  std::optional<Found> next(int fd, std::uint64_t start, std::uint64_t size,
                            Context& context) const;
  bool quiet(int fd, std::uint64_t size);

  std::filesystem::path file_;
  MboxOptions options_;
  kit::Watch watch_;
  std::uint64_t quiet_size_ = 0;
  std::optional<std::chrono::steady_clock::time_point> quiet_since_;
  bool is_missing_ = false;  // the last look found no file
  bool unsettled_ = false;   // the last look found a mail that may not be complete
};

}  // namespace voxbus::email
