// SPDX-License-Identifier: Apache-2.0
//
// The mails of a Maildir and its Maildir++ subfolders, as they arrive. It only reads: no flag is
// set, nothing is moved from new to cur. How it knows what is new stands in seen_mails.hpp.
//
// A mail belongs into tmp until it is whole. One that is written where it will stay, as by cp, is
// waited for: until it was quiet for a moment, and while it is empty a minute. Should it grow all
// the same, or another file take its name, it is brought once more, whole, under another id; after
// a restart as well, where it was written within kMayGrow before it was brought.
#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "kit/watch.hpp"
#include "mail_item.hpp"
#include "seen_mails.hpp"

namespace voxbus::email {

class Maildir final : public MailSource {
 public:
  // `folders` by their names ("INBOX", "Sales", "Sales.Orders"); none: all of them.
  Maildir(const std::filesystem::path& root, std::vector<std::string> folders, ReadOptions options);

  Result<Batch> poll(const Cursor& since, Context& context) override;

 private:
  struct Folder {
    std::string name;
    std::filesystem::path path;
  };
  // A mail that is there and was not brought yet.
  struct Entry {
    MailKey key;
    std::string file;
    bool closed = false;  // whoever wrote it was seen to be done
  };
  enum class Taken { kYes, kOpen, kNo, kStopped };  // kOpen: it may yet grow

  bool wanted(const std::string& folder) const;
  Result<std::vector<Folder>> find_folders();
  void miss_wanted_folders();
  Result<void> scan(Context& context);
  Result<void> list(const Folder& folder, const char* part, std::vector<MailKey>& keys,
                    std::vector<Entry>& found);
  void add_to_backlog(std::vector<Entry> found);
  void absorb_events();
  bool scan_is_due();
  Batch take(Context& context);
  Taken take_one(const Entry& entry, Batch& batch, std::size_t& bytes, Context& context);
  std::optional<std::string> digest_of(int fd, Context& context) const;

  std::filesystem::path root_;
  std::vector<std::string> wanted_;
  ReadOptions options_;
  kit::Watch watch_;
  SeenMails seen_;
  std::vector<Folder> folders_;
  std::deque<Entry> backlog_;
  std::vector<Entry> unsettled_;        // may still be written; looked at again soon
  std::optional<std::string> reached_;  // the cursor that seen_ stands for
  std::vector<std::string> missing_;    // what could not be read since the last scan, and why
  std::chrono::steady_clock::time_point scanned_;
  bool scan_now_ = true;
};

}  // namespace voxbus::email
