// SPDX-License-Identifier: Apache-2.0
#include "mbox.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace voxbus::email {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAgain = 30s;  // where the system reports nothing (network file systems)
constexpr auto kStaleLock = 5min;
constexpr std::uint64_t kPrint = 1024;  // bytes of a fingerprint
constexpr std::size_t kLongestEnvelope = 1024;
constexpr std::string_view kCursorVersion = "mbox1";

class File {
 public:
  explicit File(const std::filesystem::path& path)
      : fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)} {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Reads up to `size` bytes into `bytes`, whose memory is used again; fewer at the end of the file.
void read_at(int fd, std::uint64_t offset, std::uint64_t size, std::string& bytes) {
  bytes.resize(size);
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t count =
        ::pread(fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(offset + have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && have > 0) break;  // the next read begins there and says it
    // A disk that fails is no end of the file.
    if (count < 0)
      throw Failure{Error::retry(std::string{"cannot read it: "} + std::strerror(errno))};
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  bytes.resize(have);
}

std::string read_at(int fd, std::uint64_t offset, std::uint64_t size) {
  std::string bytes;
  read_at(fd, offset, size, bytes);
  return bytes;
}

std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
  return hash;
}

std::uint64_t head_of(int fd, std::uint64_t offset) {
  return hash_of(read_at(fd, 0, std::min(kPrint, offset)));
}
std::uint64_t tail_of(int fd, std::uint64_t offset) {
  const std::uint64_t size = std::min(kPrint, offset);
  return hash_of(read_at(fd, offset - size, size));
}

bool is_empty_line(std::string_view line) { return line.empty() || line == "\r"; }

// Somebody holds the dot-lock, unless it was left behind.
bool has_dot_lock(const std::filesystem::path& path) {
  struct stat lock {};
  if (::stat((path.string() + ".lock").c_str(), &lock) != 0) return false;
  const auto made = std::chrono::system_clock::from_time_t(lock.st_mtim.tv_sec);
  return std::chrono::system_clock::now() - made < kStaleLock;
}

// Keeps out who locks by fcntl(2) for as long as one batch is read, as every reader of an mbox
// does: without, a mail could be made of two that a mail program is just moving. Never waited for;
// ends with the descriptor. False while somebody writes.
bool lock_for_reading(int fd) {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  // A file system that has no locks is read without.
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

// The note that some IMAP servers keep as the first "mail" of a file.
bool is_internal(std::string_view mail) {
  const std::string_view header = kit::mail_header(mail);
  return header.find("DON'T DELETE THIS MESSAGE") != header.npos &&
         header.find("\nX-IMAP") != header.npos;
}

std::string_view without_envelope(std::string_view mail) {
  return mail.substr(std::min(mail.find('\n'), mail.size() - 1) + 1);
}

// Without the one empty line that separates it from the next.
std::string_view without_separator(std::string_view mail) {
  if (mail.ends_with("\n\r\n")) return mail.substr(0, mail.size() - 2);
  if (mail.ends_with("\n\n")) return mail.substr(0, mail.size() - 1);
  return mail;
}

}  // namespace

bool is_envelope_line(std::string_view line) {
  if (!line.starts_with("From ") || line.size() > kLongestEnvelope) return false;
  bool time = false;
  bool year = false;
  for (std::size_t at = 5; at < line.size();) {
    std::size_t end = std::min(line.find_first_of(" \r", at), line.size());
    const std::string_view word = line.substr(at, end - at);
    const auto digit = [&](std::size_t i) { return word[i] >= '0' && word[i] <= '9'; };
    if (word.size() >= 4) {
      time = time || (word.size() <= 8 && digit(0) && (word[1] == ':' || word[2] == ':'));
      year = year || (time && word.size() == 4 && digit(0) && digit(1) && digit(2) && digit(3));
    }
    at = end + 1;
  }
  return time && year;
}

std::string unquoted(std::string_view mail) {
  const std::size_t body = kit::mail_header(mail).size();
  std::string out{mail.substr(0, body)};
  out.reserve(mail.size());
  for (std::size_t at = body; at < mail.size();) {
    const std::size_t end = std::min(mail.find('\n', at), mail.size() - 1) + 1;
    std::string_view line = mail.substr(at, end - at);
    const std::size_t arrows = line.find_first_not_of('>');
    if (arrows != line.npos && arrows > 0 && line.substr(arrows).starts_with("From ")) {
      line.remove_prefix(1);
    }
    out.append(line);
    at = end;
  }
  return out;
}

Mbox::Mbox(const std::filesystem::path& file, MboxOptions options)
    : file_{file.lexically_normal()}, options_{std::move(options)} {}

std::optional<Mbox::Place> Mbox::parse(std::string_view cursor) {
  if (cursor.empty()) return Place{.head_hash = hash_of({}), .tail_hash = hash_of({})};
  if (!cursor.starts_with(kCursorVersion)) return std::nullopt;
  cursor.remove_prefix(kCursorVersion.size());
  std::array<std::uint64_t, 4> numbers{};
  for (std::uint64_t& number : numbers) {
    if (!cursor.starts_with(' ')) return std::nullopt;
    const auto [end, error] =
        std::from_chars(cursor.data() + 1, cursor.data() + cursor.size(), number);
    if (error != std::errc{}) return std::nullopt;
    cursor.remove_prefix(static_cast<std::size_t>(end - cursor.data()));
  }
  if (!cursor.empty() || numbers[1] > numbers[0]) return std::nullopt;
  return Place{numbers[0], numbers[1], numbers[2], numbers[3]};
}

std::string Mbox::cursor_of(Place place, int fd) const {
  std::string out{kCursorVersion};
  for (const std::uint64_t number :
       {place.offset, place.last_start, head_of(fd, place.offset), tail_of(fd, place.offset)}) {
    out += ' ' + std::to_string(number);
  }
  return out;
}

Result<Batch> Mbox::poll(const Cursor& since, Context& context) {
  auto place = parse(since.bytes);
  if (!place) return Error::permanent("the cursor was not made by this channel");
  for (bool was_missing = false;;) {
    (void)watch_.add(file_.parent_path(), kit::Watch::What::kEntriesAndContent);
    auto batch = [&]() -> Result<Batch> {
      try {
        return read(*place, context);
      } catch (const Failure& failure) {
        return Error::retry(file_.string() + ": " + failure.error().message);
      }
    }();
    if (!batch || context.stopping()) return batch;
    if (!batch->items.empty() || (!batch->cursor.empty() && batch->cursor != since)) {
      batch->more = true;
      return batch;
    }
    if (was_missing && !is_missing_) return Batch{};  // the next poll has nothing to say of it
    was_missing = is_missing_;
    if (is_missing_)
      context.trouble("there is no file " + file_.string() +
                      "; it is read as soon as there is, with the next mail");
    // Ends early when the file changed; a file that is not quiet yet is looked at soon.
    const auto wait = unsettled_ ? options_.settle : std::chrono::milliseconds{kLookAgain};
    for (const auto until = std::chrono::steady_clock::now() + wait;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      const Wake wake = watch_.wait(context, std::max(left, 0ms));
      if (wake == Wake::kStopped) return Batch{};
      if (wake == Wake::kElapsed) break;
      bool lost = false;
      const auto events = watch_.take(lost);
      const std::string name = file_.filename().string();
      if (lost || std::any_of(events.begin(), events.end(),
                              [&](const auto& event) { return event.name.starts_with(name); })) {
        break;
      }
    }
  }
}

// What is there behind the place, up to a full batch.
Result<Batch> Mbox::read(Place& place, Context& context) {
  unsettled_ = false;
  const File file{file_};
  const int fd = file.fd();
  is_missing_ = fd < 0 && errno == ENOENT && std::filesystem::is_directory(file_.parent_path());
  if (is_missing_) return Batch{};
  if (fd < 0) {
    return Error::retry("cannot open " + file_.string() + ": " + std::strerror(errno) +
                        (errno == EACCES ? ": let the service's user read it" : ""));
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return Error::retry(file_.string() + " is not a regular file");
  }
  const auto size = static_cast<std::uint64_t>(info.st_size);
  if (!lock_for_reading(fd) || has_dot_lock(file_)) {  // somebody is writing, perhaps all of it
    unsettled_ = true;
    return Batch{};
  }
  if (!fits(place, fd, size)) {
    context.log(LogLevel::kInfo,
                file_.string() + " was rewritten: reading starts again at its beginning");
    place = {};
  }
  if (auto checked = go_back_if_unfinished(place, fd, size, context); !checked) {
    return checked.error();
  }
  Batch batch;
  std::size_t bytes = 0;
  Place before = place;
  before.head_hash = head_of(fd, place.offset);
  before.tail_hash = tail_of(fd, place.offset);
  while (place.offset < size && batch.items.size() < kMostItems && bytes < kMostBytes) {
    std::optional<Found> found;
    try {
      found = next(fd, place.offset, size, context);
    } catch (const Failure&) {
      if (batch.items.empty()) throw;
      break;  // what was read so far is brought first
    }
    if (!found) return Batch{};  // stop was asked for
    if (!found->complete && !quiet(fd, size)) {
      unsettled_ = true;
      break;
    }
    bytes += found->bytes.size();
    const std::string_view mail = without_envelope(found->bytes);
    if (found->oversized_id) {
      batch.items.push_back(oversized_item(*found->oversized_id, mail, found->size, options_.read));
    } else if (!is_internal(mail) && !mail.empty()) {
      const std::string whole = unquoted(without_separator(mail));
      if (!add_mail(batch, whole, options_.read, context)) return Batch{};
    }
    place.last_start = place.offset;
    place.offset = found->end;
  }
  if (::fstat(fd, &info) != 0 || static_cast<std::uint64_t>(info.st_size) < size ||
      has_dot_lock(file_) || !fits(before, fd, size)) {
    // Rewritten under our eyes: what was read may be torn.
    unsettled_ = true;
    place = before;
    return Batch{};
  }
  if (place.offset != before.offset) batch.cursor.bytes = cursor_of(place, fd);
  place.head_hash = head_of(fd, place.offset);
  place.tail_hash = tail_of(fd, place.offset);
  return batch;
}

bool Mbox::fits(const Place& place, int fd, std::uint64_t size) const {
  return size >= place.offset && head_of(fd, place.offset) == place.head_hash &&
         tail_of(fd, place.offset) == place.tail_hash;
}

// What stands behind the place must begin a mail. If it does not, the last mail was not complete
// when it was brought: back to where it begins.
Result<void> Mbox::go_back_if_unfinished(Place& place, int fd, std::uint64_t size,
                                         Context& context) {
  std::string begin;
  std::size_t at = 0;
  for (;;) {
    begin = read_at(fd, place.offset, std::min<std::uint64_t>(size - place.offset, 4096));
    if (begin.empty()) return {};
    at = begin.find_first_not_of("\r\n");
    if (at != begin.npos) break;
    place.offset += begin.size();  // nothing but separators
  }
  const std::string_view line{begin.data() + at, std::min(begin.find('\n', at), begin.size()) - at};
  const bool may_still_come =
      begin.find('\n', at) == begin.npos &&
      (std::string_view{"From "}.starts_with(line.substr(0, 5)) || line.starts_with("From "));
  if (is_envelope_line(line) || may_still_come) {
    place.offset += at;
    return {};
  }
  if (place.offset == 0) {
    return Error::retry(file_.string() + " is not an mbox: it does not begin with a From line");
  }
  context.log(LogLevel::kInfo, file_.string() +
                                   ": the last mail was still being written, it is "
                                   "brought once more");
  place.offset = place.last_start;
  return {};
}

// The mail at `start`. Nothing when stop was asked for meanwhile.
std::optional<Mbox::Found> Mbox::next(int fd, std::uint64_t start, std::uint64_t size,
                                      Context& context) const {
  const std::uint64_t limit = options_.read.max_item.bytes;
  Found found;
  std::string chunk;
  std::string pending;       // read and not yet looked through: begins with a line
  std::uint64_t at = start;  // of the first byte of pending
  bool after_empty = false;  // the line before pending was empty
  bool first = true;         // pending begins with the mail's own envelope line
  std::optional<kit::MailDigest> digest;
  const auto keep = [&](std::string_view piece) {
    if (digest) return digest->update(piece);
    found.bytes += piece;
    if (found.bytes.size() <= limit) return;
    digest.emplace();
    digest->update(without_envelope(found.bytes));
    found.bytes.resize(std::min<std::size_t>(found.bytes.size(), kChunk));
  };
  const auto finish = [&](std::uint64_t end, bool complete) {
    found.end = end;
    found.size = end - start;
    found.complete = complete;
    if (digest) found.oversized_id = digest->hex();
    return std::move(found);
  };
  for (std::uint64_t read_to = start;;) {
    if (context.stopping()) return std::nullopt;
    read_at(fd, read_to, std::min<std::uint64_t>(kChunk, size - read_to), chunk);
    const bool at_end = chunk.empty();
    read_to += chunk.size();
    pending += chunk;
    std::size_t line_begin = 0;
    for (;;) {
      const std::size_t line_end = pending.find('\n', line_begin);
      const std::string_view line{pending.data() + line_begin,
                                  std::min(line_end, pending.size()) - line_begin};
      if (line_end == pending.npos && !at_end && line.size() <= kLongestEnvelope) break;
      if (!first && after_empty && is_envelope_line(line)) {
        keep(std::string_view{pending}.substr(0, line_begin));
        return finish(at + line_begin, true);
      }
      if (line_end == pending.npos) {
        // The end of the file, or of what was read of a line that is too long to begin a mail.
        line_begin = pending.size();
        after_empty = false;
        first = false;
        break;
      }
      after_empty = is_empty_line(line);
      first = false;
      line_begin = line_end + 1;
    }
    keep(std::string_view{pending}.substr(0, line_begin));
    pending.erase(0, line_begin);
    at += line_begin;
    if (at_end) {
      keep(pending);
      return finish(read_to, false);
    }
  }
}

// Whether the end of the file may be taken for the end of its last mail.
bool Mbox::quiet(int fd, std::uint64_t size) {
  const auto now = std::chrono::steady_clock::now();
  if (!quiet_since_ || quiet_size_ != size) {
    quiet_since_ = now;
    quiet_size_ = size;
  }
  struct stat info {};
  if (::fstat(fd, &info) != 0 || static_cast<std::uint64_t>(info.st_size) != size) return false;
  const auto written = std::chrono::system_clock::from_time_t(info.st_mtim.tv_sec) +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(
                           std::chrono::nanoseconds{info.st_mtim.tv_nsec});
  auto needed = options_.settle;
  // A mail ends with a line; one that does not is probably still being written.
  if (read_at(fd, size - 1, 1) != "\n") needed *= 10;
  return std::chrono::system_clock::now() - written >= needed || now - *quiet_since_ >= needed;
}

}  // namespace voxbus::email
