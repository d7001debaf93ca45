// SPDX-License-Identifier: Apache-2.0
#include "maildir.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kit/folder.hpp"

namespace voxbus::email {
namespace {

using namespace std::chrono_literals;

// What was deleted, or was not reported, is found at the latest after this time.
constexpr auto kScanEvery = 5min;
// What could not be read is tried again after this time, while new mail goes on being brought.
constexpr auto kTryAgain = 30s;
// How long a file must not have been written to, where it was not moved in whole.
constexpr auto kSettle = 300ms;
constexpr auto kSettleEmpty = 60s;
constexpr auto kMayGrow = 10min;
constexpr const char* kParts[] = {"new", "cur"};  // in this order: mails move from new to cur

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_{fd} {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::chrono::nanoseconds moment(const timespec& time) {
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

std::chrono::nanoseconds age_of(const struct stat& info) {
  return std::chrono::system_clock::now().time_since_epoch() - moment(info.st_mtim);
}

// A file that was moved in was changed by that after it was written. One that is written where it
// stays, was not.
bool is_written_in_place(const struct stat& info) {
  return moment(info.st_ctim) <= moment(info.st_mtim);
}

// Clocks that tell a later time than ours (of a file server) tell nothing.
bool may_still_be_written(const struct stat& info) {
  const auto age = age_of(info);
  return is_written_in_place(info) && age >= 0s &&
         age < (info.st_size == 0 ? kSettleEmpty : kSettle);
}

bool may_grow(const struct stat& info) {
  return is_written_in_place(info) && age_of(info) < kMayGrow;
}

bool is_same(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec &&
         a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

}  // namespace

Maildir::Maildir(const std::filesystem::path& root, std::vector<std::string> folders,
                 ReadOptions options)
    : root_{(root / "").lexically_normal().parent_path()},
      wanted_{std::move(folders)},
      options_{std::move(options)} {}

Result<Batch> Maildir::poll(const Cursor& since, Context& context) {
  if (reached_ != since.bytes) {
    if (!seen_.load(since.bytes)) {
      return Error::permanent("the cursor was not made by this channel");
    }
    scan_now_ = true;
  }
  // Until this call has an end that a cursor covers, what is remembered is ahead of it.
  reached_.reset();
  for (;;) {
    if (scan_is_due()) {
      if (auto scanned = scan(context); !scanned) return scanned.error();
    } else {
      absorb_events();
    }
    Batch batch = take(context);
    if (context.stopping()) return Batch{};
    if (!missing_.empty())
      context.trouble(missing_.front() + (missing_.size() == 1 ? "" : ", and others"));
    batch.cursor.bytes = seen_.cursor();
    reached_ = batch.cursor.bytes;
    if (!batch.items.empty() || (batch.cursor != since && !backlog_.empty())) {
      batch.more = true;
      return batch;
    }
    if (!backlog_.empty() || scan_now_) continue;
    if (batch.cursor != since && !since.empty()) {
      batch.more = true;
      return batch;
    }
    const Wake wake =
        watch_.wait(context, !unsettled_.empty() ? std::chrono::milliseconds{kSettle}
                             : missing_.empty()  ? std::chrono::milliseconds{kScanEvery}
                                                 : kTryAgain);
    if (wake == Wake::kStopped) return Batch{};
    if (!unsettled_.empty()) {
      add_to_backlog(std::exchange(unsettled_, {}));
      continue;
    }
    if (wake == Wake::kElapsed && !missing_.empty()) {
      scan_now_ = true;
      return Batch{};  // whatever is wrong is said anew by the next poll, or is no more
    }
  }
}

void Maildir::miss_wanted_folders() {
  std::string present;
  for (const Folder& folder : folders_) present += (present.empty() ? "" : ", ") + folder.name;
  for (const std::string& name : wanted_) {
    const bool is_there = std::any_of(folders_.begin(), folders_.end(),
                                      [&](const Folder& folder) { return folder.name == name; });
    if (is_there) continue;
    missing_.push_back("there is no folder '" + name + "' in " + root_.string() +
                       (present.empty() ? "" : ", only " + present) +
                       ": name it in 'folders' as the mail server does, or remove it there");
  }
}

bool Maildir::wanted(const std::string& folder) const {
  return wanted_.empty() || std::find(wanted_.begin(), wanted_.end(), folder) != wanted_.end();
}

Result<std::vector<Maildir::Folder>> Maildir::find_folders() {
  std::error_code error;
  const bool is_maildir = std::filesystem::is_directory(root_ / "new", error) ||
                          std::filesystem::is_directory(root_ / "cur", error);
  if (!is_maildir) {
    return Error::retry(root_.string() + " is not a Maildir: it has no folders new and cur" +
                        (error ? " (" + error.message() + ")" : ""));
  }
  std::vector<Folder> folders;
  if (wanted("INBOX")) folders.push_back({"INBOX", root_});
  auto visited = kit::visit_folder(root_, [&](const std::string& name) {
    if (name.size() < 2 || name[0] != '.' || !wanted(name.substr(1))) return true;
    const std::filesystem::path path = root_ / name;
    if (std::filesystem::is_directory(path, error)) folders.push_back({name.substr(1), path});
    return true;
  });
  if (!visited) return visited.error();
  std::sort(folders.begin(), folders.end(), [](auto& a, auto& b) { return a.path < b.path; });
  return folders;
}

// Looks at everything that is there. Folders are watched before they are listed, so that what
// arrives meanwhile is reported.
Result<void> Maildir::scan(Context& context) {
  (void)watch_.add(root_, kit::Watch::What::kEntries);
  auto folders = find_folders();
  if (!folders) return folders.error();
  folders_ = std::move(*folders);
  std::vector<MailKey> keys;
  std::vector<Entry> found;
  for (const Folder& folder : folders_) {
    for (const char* part : kParts) {
      if (context.stopping()) return {};
      (void)watch_.add(folder.path / part, kit::Watch::What::kEntriesAndWritten);
      if (auto listed = list(folder, part, keys, found); !listed) return listed;
    }
  }
  seen_.present(std::move(keys));
  std::erase_if(found, [&](const Entry& entry) { return seen_.contains(entry.key); });
  backlog_.clear();
  unsettled_.clear();
  add_to_backlog(std::move(found));
  missing_.clear();
  miss_wanted_folders();
  scanned_ = std::chrono::steady_clock::now();
  scan_now_ = false;
  return {};
}

Result<void> Maildir::list(const Folder& folder, const char* part, std::vector<MailKey>& keys,
                           std::vector<Entry>& found) {
  const std::filesystem::path path = folder.path / part;
  auto visited = kit::visit_folder(path, [&](const std::string& name) {
    if (name[0] == '.') return true;
    const MailKey key = MailKey::of(folder.name, name);
    keys.push_back(key);
    if (!seen_.contains(key)) found.push_back({key, path.string() + '/' + name});
    return true;
  });
  // A Maildir may lack one of the two.
  if (!visited && ::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return {};
  return visited;
}

// In the order of delivery, behind what waits already.
void Maildir::add_to_backlog(std::vector<Entry> found) {
  std::sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.key < b.key; });
  backlog_.insert(backlog_.end(), std::make_move_iterator(found.begin()),
                  std::make_move_iterator(found.end()));
}

bool Maildir::scan_is_due() {
  return scan_now_ ||
         (backlog_.empty() &&
          (!watch_.complete() || std::chrono::steady_clock::now() - scanned_ >= kScanEvery));
}

// Takes up what the system reported; what is not clear is found by looking at everything.
void Maildir::absorb_events() {
  bool lost = false;
  std::vector<Entry> found;
  for (const kit::Watch::Event& event : watch_.take(lost)) {
    if (event.folder == root_) {  // a new folder, or one that is gone
      lost = lost || event.is_folder;
      continue;
    }
    if (!event.appeared || event.is_folder || event.name.empty() || event.name[0] == '.') continue;
    const auto folder = std::find_if(
        folders_.begin(), folders_.end(),
        [&](const Folder& candidate) { return candidate.path == event.folder.parent_path(); });
    if (folder == folders_.end()) continue;
    const MailKey key = MailKey::of(folder->name, event.name);
    // A mail that only moves keeps its name; under the name of another it is no longer that one.
    const bool replaced = event.moved && MailKey::of(folder->name, event.moved_from) != key;
    if (event.written || replaced) seen_.remove(key);
    if (!seen_.contains(key))
      found.push_back({key, event.folder.string() + '/' + event.name, event.written});
  }
  scan_now_ = scan_now_ || lost;
  add_to_backlog(std::move(found));
}

Batch Maildir::take(Context& context) {
  Batch batch;
  std::size_t bytes = 0;
  while (!backlog_.empty() && batch.items.size() < kMostItems && bytes < kMostBytes) {
    if (context.stopping()) return batch;
    const Entry entry = std::move(backlog_.front());
    backlog_.pop_front();
    if (seen_.contains(entry.key)) {  // reported twice, as after new to cur
      if (entry.closed) seen_.close(entry.key);
      continue;
    }
    const Taken taken = take_one(entry, batch, bytes, context);
    if (taken == Taken::kStopped) return batch;
    if (taken == Taken::kYes) seen_.add(entry.key);
    if (taken == Taken::kOpen) seen_.add(entry.key, true);
  }
  return batch;
}

Maildir::Taken Maildir::take_one(const Entry& entry, Batch& batch, std::size_t& bytes,
                                 Context& context) {
  const Descriptor file{::open(entry.file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  const auto failed = [&](const char* act) {
    missing_.push_back(std::string{act} + " " + entry.file + ": " + std::strerror(errno) +
                       (errno == EACCES ? ": let the service's user read it" : ""));
    return Taken::kNo;
  };
  if (file.get() < 0) {
    if (errno == ELOOP) return Taken::kYes;  // a symbolic link is no mail
    if (errno != ENOENT) return failed("cannot open");
    // Moved to cur, given a flag, or gone: reported under its new name, or else found by a scan.
    scan_now_ = scan_now_ || !watch_.complete();
    return Taken::kNo;
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return failed("cannot look at");
  if (!S_ISREG(info.st_mode)) return Taken::kYes;
  const auto later = [&] {
    unsettled_.push_back(entry);
    return Taken::kNo;
  };
  if (may_still_be_written(info)) return later();
  const Taken whole = !entry.closed && may_grow(info) ? Taken::kOpen : Taken::kYes;
  const auto size = static_cast<std::uint64_t>(info.st_size);
  const bool oversized = size > options_.max_item.bytes;
  std::string content(oversized ? std::min<std::uint64_t>(size, kChunk) : size, '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t count =
        ::pread(file.get(), content.data() + have, content.size() - have, static_cast<off_t>(have));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("cannot read");
    if (count == 0) break;
    have += static_cast<std::size_t>(count);
  }
  content.resize(have);
  struct stat after {};
  if (::fstat(file.get(), &after) != 0 || !is_same(info, after)) return later();
  bytes += content.size();
  if (!oversized) {
    return add_mail(batch, content, options_, context) ? whole : Taken::kStopped;
  }
  auto id = digest_of(file.get(), context);
  if (!id) return Taken::kStopped;
  batch.items.push_back(oversized_item(std::move(*id), content, size, options_));
  return whole;
}

// The id of a mail that is too large for memory; nothing when stop was asked for meanwhile.
std::optional<std::string> Maildir::digest_of(int fd, Context& context) const {
  kit::MailDigest digest;
  std::string chunk(kChunk, '\0');
  for (off_t at = 0;;) {
    if (context.stopping()) return std::nullopt;
    const ssize_t count = ::pread(fd, chunk.data(), chunk.size(), at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return digest.hex();
    digest.update(std::string_view{chunk}.substr(0, static_cast<std::size_t>(count)));
    at += count;
  }
}

}  // namespace voxbus::email
