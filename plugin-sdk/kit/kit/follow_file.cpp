// SPDX-License-Identifier: Apache-2.0
#include "kit/follow_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "kit/access.hpp"

namespace voxbus::kit {
namespace {

constexpr std::size_t kChunk = 256 * 1024;   // read at once
constexpr std::size_t kBusyAfter = 8 << 20;  // bytes without a line, after which stop is looked for
constexpr std::size_t kPrefix = 1024;        // first bytes that make the fingerprint
constexpr std::string_view kCursorVersion = "f1";

// FNV-1a: tells files apart, keeps nobody out.
std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
  return hash;
}

std::string read_prefix(int fd, std::size_t size) {
  std::string bytes(size, '\0');
  const ssize_t count = ::pread(fd, bytes.data(), size, 0);
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

std::string reason(int error) { return std::strerror(error); }

Error cannot_open(const std::filesystem::path& path, int error) {
  return Error::retry("cannot open " + path.string() + ": " + reason(error) +
                      (error == EACCES ? ": let the service's user read it" : ""));
}

}  // namespace

FollowFile::FollowFile(std::filesystem::path file, FollowOptions options)
    : file_{std::move(file)}, options_{options} {}

FollowFile::~FollowFile() {
  close();
  forget_left();
}

std::string FollowFile::cursor() const {
  if (fd_ < 0) return {};
  std::string out{kCursorVersion};
  const auto add = [&](const Place& place) {
    for (const std::uint64_t number :
         {place.identity.device, place.identity.inode, place.offset,
          static_cast<std::uint64_t>(place.written), static_cast<std::uint64_t>(place.prefix_size),
          place.prefix_hash}) {
      out += ' ' + std::to_string(number);
    }
  };
  // A file of which nothing was read has no fingerprint: it could be emptied and filled again
  // unnoticed. The place that was left leads there.
  if (left_ && offset_ == 0) {
    add(left_->place);
    return out;
  }
  add(place());
  if (left_) add(left_->place);
  return out;
}

FollowFile::Place FollowFile::place() const {
  return {identity_, offset_, written_, prefix_.size(), hash_of(prefix_)};
}

// One place or two.
std::optional<std::vector<FollowFile::Place>> FollowFile::parse(std::string_view cursor) {
  if (!cursor.starts_with(kCursorVersion)) return std::nullopt;
  cursor.remove_prefix(kCursorVersion.size());
  std::vector<Place> places;
  do {
    std::array<std::uint64_t, 6> numbers{};
    for (std::uint64_t& number : numbers) {
      if (!cursor.starts_with(' ')) return std::nullopt;
      cursor.remove_prefix(1);
      const auto [end, error] =
          std::from_chars(cursor.data(), cursor.data() + cursor.size(), number);
      if (error != std::errc{}) return std::nullopt;
      cursor.remove_prefix(static_cast<std::size_t>(end - cursor.data()));
    }
    if (numbers[4] > kPrefix) return std::nullopt;
    places.push_back({{numbers[0], numbers[1]},
                      numbers[2],
                      static_cast<std::int64_t>(numbers[3]),
                      static_cast<std::size_t>(numbers[4]),
                      numbers[5]});
  } while (!cursor.empty() && places.size() < 2);
  return cursor.empty() ? std::optional(places) : std::nullopt;
}

// A file that is open, and what the system said of it then. By a name alone nothing is known: while
// a log is rotated, each name is another file's a moment later.
struct FollowFile::Opened {
  int fd = -1;
  FileLook look;

  Opened(int descriptor, const FileLook& seen) : fd{descriptor}, look{seen} {}
  Opened(Opened&& other) noexcept : fd{std::exchange(other.fd, -1)}, look{other.look} {}
  Opened& operator=(Opened&&) = delete;
  ~Opened() {
    if (fd >= 0) ::close(fd);
  }
  bool holds(const Place& place) const {
    if (look.size < place.offset) return false;
    const std::string prefix = read_prefix(fd, place.prefix_size);
    return prefix.size() == place.prefix_size && hash_of(prefix) == place.prefix_hash;
  }
};

// Nothing where there is no such file.
Result<std::optional<FollowFile::Opened>> FollowFile::open_file(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT) return std::optional<Opened>{};
    return cannot_open(path, error);
  }
  struct stat info {};
  Opened opened{fd, {}};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return Error::retry(path.string() + " is not a regular file");
  opened.look = look_of(info);
  return std::optional<Opened>{std::move(opened)};
}

Result<void> FollowFile::resume(std::string_view cursor) {
  close();
  forget_left();
  ahead_.reset();
  if (cursor.empty()) return {};
  const auto places = parse(cursor);
  if (!places) return Error::permanent("the cursor was not made by this channel");
  const Place* place = &places->front();
  if (places->size() > 1) {
    // Left as it was then: what it got meanwhile is noticed once the present file is read.
    const auto left = open_matching(places->back());
    if (!left) return left.error();
    if (*left) leave();
  }
  auto found = open_matching(*place);
  if (!found) return found.error();
  if (*found) return begin_before(place->written);
  notices_.push_back("the place in " + file_.string() +
                     " is not found again: reading starts with what was written since");
  auto opened = open_first_since(place->written, place->identity);
  if (!opened) return opened.error();
  return {};
}

// Opens the file in which a place lies: the same one by its identity, else a copy by its content.
// When none of those that can be read is it, but one that cannot be read may be, that is an error.
Result<bool> FollowFile::open_matching(const Place& place) {
  for (;;) {
    const std::vector<RotatedFile> siblings = rotated_files(file_);
    std::vector<std::filesystem::path> paths{file_};
    for (const RotatedFile& sibling : siblings) paths.push_back(sibling.path);
    Result<bool> none = false;
    for (const bool by_identity : {true, false}) {
      if (!by_identity && place.prefix_size == 0) break;
      for (const auto& path : paths) {
        const auto look = look_at(path);
        if (!look || (by_identity && look->identity != place.identity)) continue;
        auto opened = open_file(path);
        if (!opened) {
          // What was written before the place was cannot be it.
          if (look->written >= place.written) none = opened.error();
        } else if (*opened && (!by_identity || (*opened)->look.identity == place.identity) &&
                   (*opened)->holds(place)) {
          begin(std::move(**opened), place.offset);
          return true;
        }
      }
    }
    // Renamed from a name that was still to come to one that was over.
    if (rotated_files(file_) == siblings) return none;
  }
}

// Opens the oldest file that was written at or after a moment, other than that one. Keeps what is
// open where it does not succeed.
Result<bool> FollowFile::open_first_since(std::int64_t written, const FileIdentity& except) {
  for (;;) {
    // The file itself first: should it be rotated away now, it is among the siblings.
    auto present = open_file(file_);
    const std::vector<RotatedFile> siblings = rotated_files(file_);
    const auto self =
        std::find_if(siblings.begin(), siblings.end(),
                     [&](const RotatedFile& sibling) { return sibling.look.identity == except; });
    const bool in_order = self != siblings.end();
    const auto next =
        std::find_if(in_order ? std::next(self) : siblings.begin(), siblings.end(),
                     [&](const RotatedFile& sibling) {
                       return sibling.look.identity != except &&  // under a second name
                              !(left_ && sibling.look.identity == left_->place.identity) &&
                              (in_order || sibling.look.written >= written);
                     });
    if (next == siblings.end()) {
      if (!present) return present.error();
      if (!*present) return false;
      begin(std::move(**present), 0);
      return true;
    }
    auto opened = open_file(next->path);
    if (!opened) return opened.error();
    if (!*opened || (*opened)->look.identity != next->look.identity) continue;  // renamed meanwhile
    begin(std::move(**opened), 0);
    return true;
  }
}

// Where nothing was read of the open file yet, its content may have been copied away and cut since
// it was last looked at (`written`): what was written since then comes first.
Result<void> FollowFile::begin_before(std::int64_t written) {
  if (fd_ < 0 || offset_ > 0) return {};
  const auto present = look_at(file_);
  if (!present || present->identity != identity_) return {};
  auto opened = open_first_since(written + 1, identity_);
  if (!opened) return opened.error();
  return {};
}

void FollowFile::begin(Opened file, std::uint64_t offset) {
  close();
  identity_ = file.look.identity;
  written_ = file.look.written;
  begin_at(std::exchange(file.fd, -1), offset);
}

void FollowFile::begin_at(int fd, std::uint64_t offset) {
  fd_ = fd;
  offset_ = offset;
  prefix_ = read_prefix(fd_, static_cast<std::size_t>(std::min<std::uint64_t>(offset, kPrefix)));
}

// Where to go on after the open file: what lay ahead of one that was gone back to, else the next in
// the order of rotation.
Result<bool> FollowFile::open_next() {
  const Place from = place();
  leave();
  auto opened = ahead_ ? open_matching(*ahead_) : Result<bool>{false};
  if (opened && !*opened) opened = open_first_since(from.written, from.identity);
  if (opened && *opened) {
    ahead_.reset();
  } else {
    reopen_left();  // a cursor always has a place
  }
  return opened;
}

// Closes the open file, but keeps an eye on it.
void FollowFile::leave() {
  forget_left();
  left_ = Left{std::exchange(fd_, -1), place(), std::chrono::steady_clock::now() + options_.linger};
  close();
}

void FollowFile::forget_left() {
  if (left_) ::close(left_->fd);
  left_.reset();
}

void FollowFile::reopen_left() {
  close();
  identity_ = left_->place.identity;
  written_ = left_->place.written;
  begin_at(left_->fd, left_->place.offset);
  left_.reset();
}

// Back to the file that was left, if somebody added to it since.
bool FollowFile::go_back() {
  if (!left_) return false;
  struct stat info {};
  const bool gone = ::fstat(left_->fd, &info) != 0 || info.st_nlink == 0 ||
                    static_cast<std::uint64_t>(info.st_size) < left_->place.offset;
  if (!gone && static_cast<std::uint64_t>(info.st_size) > left_->place.offset) {
    ahead_ = place();
    reopen_left();
    return true;
  }
  // As long as nothing was read of the open file, the cursor is the place that was left.
  if (offset_ > 0 && (gone || std::chrono::steady_clock::now() >= left_->until)) forget_left();
  return false;
}

void FollowFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  prefix_.clear();
  buffer_.clear();
  used_ = searched_ = 0;
  passed_ = 0;
  first_bytes_.clear();
  quiet_since_.reset();
}

// Whether the open file still begins with what was read from it, and is as long.
Result<bool> FollowFile::verify() {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) {
    return Error::retry("cannot look at " + file_.string() + ": " + reason(errno));
  }
  const FileLook look = look_of(info);
  const std::uint64_t read_to = offset_ + passed_ + (buffer_.size() - used_);
  if (look.size < read_to) return false;
  std::string begins = prefix_;
  if (prefix_.size() == offset_ && passed_ == 0) begins.append(buffer_, used_, kPrefix);
  if (read_prefix(fd_, begins.size()) != begins) return false;
  written_ = look.written;
  return true;
}

// Reads on; false at the end of the file.
Result<bool> FollowFile::refill() {
  const std::int64_t looked = written_;
  auto same = verify();
  if (!same) return same;
  if (*same && offset_ == 0 && passed_ == 0 && buffer_.empty() && written_ != looked) {
    if (auto begun = begin_before(looked); !begun) return begun.error();
  }
  bool more = false;
  if (*same) {
    buffer_.erase(0, used_);
    used_ = 0;
    const std::size_t before = buffer_.size();
    if (passed_ > 0 && before == 0) pass_over_hole();
    buffer_.resize(before + kChunk);
    const auto from = static_cast<off_t>(offset_ + passed_ + before);
    const ssize_t count = ::pread(fd_, buffer_.data() + before, kChunk, from);
    const int error = errno;
    buffer_.resize(before + (count > 0 ? static_cast<std::size_t>(count) : 0));
    if (count < 0 && error != EINTR && error != EAGAIN)
      return Error::retry("cannot read " + file_.string() + ": " + reason(error));
    more = count > 0;
    // Once more: it may have been cut and written anew since, and this is of the new content.
    same = verify();
    if (!same) return same;
    if (!*same) buffer_.resize(before);
  }
  if (*same) return more;
  // Cut or overwritten in place. What was not read yet may stand in a copy.
  const Place before = place();
  if (before.prefix_size > 0) {
    auto found = open_matching(before);
    if (!found || *found) return found;
    notices_.push_back(file_.string() + " was cut: reading starts again at its beginning");
  }
  return open_first_since(before.written, before.identity);
}

// Within a line that is passed over anyway: a hole in the file holds no line break.
void FollowFile::pass_over_hole() {
  const auto from = static_cast<off_t>(offset_ + passed_);
  const off_t data = ::lseek(fd_, from, SEEK_DATA);
  const off_t to = data < 0 && errno == ENXIO ? ::lseek(fd_, 0, SEEK_END) : data;
  if (to > from) passed_ += static_cast<std::uint64_t>(to - from);
}

Result<FollowFile::Step> FollowFile::next() {
  const std::filesystem::path folder = file_.parent_path();
  if (!watch_.has(folder)) {
    std::error_code code;
    if (std::filesystem::is_symlink(file_, code)) {
      if (auto real = std::filesystem::canonical(file_, code); !code) file_ = std::move(real);
    }
    if (auto able = can_list_folder(file_.parent_path()); !able) return able.error();
    (void)watch_.add(file_.parent_path(), Watch::What::kEntriesAndContent);
  }
  line_ = {};
  for (std::size_t scanned = 0;;) {
    if (fd_ < 0) {
      auto opened = open_file(file_);
      if (!opened) return opened.error();
      if (!*opened) return Step::kIdle;
      begin(std::move(**opened), 0);
    }
    const std::string_view unread = std::string_view{buffer_}.substr(used_);
    if (const std::size_t end = unread.find('\n', searched_); end != unread.npos) {
      deliver(end, true);
      return Step::kLine;
    }
    searched_ = unread.size();
    if (passed_ > 0 || unread.size() > options_.max_line) {
      if (passed_ == 0) first_bytes_ = unread.substr(0, options_.first_bytes);
      passed_ += unread.size();
      buffer_.clear();
      used_ = searched_ = 0;
    }
    if (scanned > kBusyAfter) return Step::kBusy;
    const std::uint64_t had = buffer_.size() - used_;
    const auto more = refill();
    if (!more) return more.error();
    if (*more) {
      scanned += buffer_.size() - std::min<std::uint64_t>(had, buffer_.size());
      quiet_since_.reset();
      continue;
    }
    auto step = at_end();
    if (!step || *step != Step::kBusy) return step;
  }
}

// Everything that the open file holds was read. kBusy: another file was opened, go on there.
Result<FollowFile::Step> FollowFile::at_end() {
  const auto present = look_at(file_);
  if (!present || fd_ < 0) return Step::kIdle;
  if (go_back()) return Step::kBusy;  // before the open file is left in its turn, too
  if (present->identity == identity_) return Step::kIdle;
  const std::uint64_t read_to = offset_ + passed_ + (buffer_.size() - used_);
  const auto now = std::chrono::steady_clock::now();
  if (!quiet_since_ || quiet_size_ != read_to) {
    quiet_since_ = now;
    quiet_size_ = read_to;
  }
  const auto written = std::chrono::system_clock::time_point{
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::nanoseconds{written_})};
  const bool long_quiet = std::chrono::system_clock::now() - written >= options_.settle;
  if (!long_quiet && now - *quiet_since_ < options_.settle) return Step::kIdle;
  if (read_to > offset_) {
    deliver(buffer_.size() - used_, false);
    return Step::kLine;
  }
  auto opened = open_next();
  if (!opened) return opened.error();
  return *opened ? Step::kBusy : Step::kIdle;
}

std::string FollowFile::missing() const {
  struct stat named {
  }, open{};
  if (::stat(file_.c_str(), &named) == 0)
    return S_ISREG(named.st_mode) ? std::string{} : file_.string() + " is not a regular file";
  if (fd_ < 0) return "there is no file " + file_.string() + " yet; it is read as soon as there is";
  if (::fstat(fd_, &open) == 0 && open.st_nlink > 0) return {};  // rotated
  return file_.string() + " was deleted; it is read again as soon as there is a new one";
}

void FollowFile::deliver(std::size_t length, bool has_break) {
  line_.size = passed_ + length;
  line_.unfinished = !has_break;
  line_.oversized = line_.size > options_.max_line;
  const std::string_view unread = std::string_view{buffer_}.substr(used_, length);
  if (line_.oversized) {
    if (passed_ == 0) first_bytes_ = unread.substr(0, options_.first_bytes);
    line_.text = first_bytes_;
  } else {
    line_.text = unread;
  }
  consume(length + (has_break ? 1 : 0));
}

void FollowFile::consume(std::size_t count) {
  // Of what was read, not of what stands there by now: it may have been cut meanwhile.
  const bool whole = passed_ == 0 && prefix_.size() == offset_;
  if (whole)
    prefix_.append(buffer_, used_, std::min(count, kPrefix - std::min(kPrefix, prefix_.size())));
  offset_ += passed_ + count;
  passed_ = 0;
  used_ += count;
  searched_ = 0;
  if (!whole && prefix_.size() < kPrefix) {
    prefix_ = read_prefix(fd_, static_cast<std::size_t>(std::min<std::uint64_t>(offset_, kPrefix)));
  }
}

Wake FollowFile::wait(Context& context) {
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + options_.look_again;
  if (quiet_since_) end = std::min(end, *quiet_since_ + options_.settle);
  const std::string stem = file_.stem().string();
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    const Wake wake = watch_.wait(context, std::max(left, std::chrono::milliseconds{0}));
    if (wake != Wake::kReadable) return wake;
    bool lost = false;
    const auto events = watch_.take(lost);
    if (lost || std::any_of(events.begin(), events.end(), [&](const Watch::Event& event) {
          return event.name.starts_with(stem);
        })) {
      return Wake::kReadable;
    }
  }
}

std::vector<std::string> FollowFile::notices() { return std::exchange(notices_, {}); }

}  // namespace voxbus::kit
