// SPDX-License-Identifier: Apache-2.0
//
// Which mails of a Maildir were brought, as a set that fits into a cursor. Pure; owned by one
// Maildir, used on its polling thread.
//
// Decision. Context: the cursor is at most 64 KiB, a Maildir may hold 100,000 mails and more, and
// no file time is to be trusted: mails arrive with older times (restored, synchronised), clocks
// step back, and the move from new to cur or a changed flag touches times as well. Choice: names
// only. A mail's name before ":2," never changes and mostly begins with the time of its delivery.
// Mails are brought in the order of their names; the cursor cuts those that were brought into at
// most 256 ranges, short ones for the newest, and holds for each its last name and the sum of its
// names' hashes. After a restart the names present are summed again: a range whose sum is equal
// holds nothing new, of one that differs every mail is brought again and the daemon drops what it
// has, and all behind the last range is new. While the process lives the names themselves are
// remembered. Cost: after a mail was deleted, moved away or put in with an old name while the
// channel was down, one range is read again (8 mails among the newest 512, up to 1/192 of the
// Maildir before them); and some 6 KiB of cursor with each batch from a large Maildir.
//
// A mail that somebody may still have been writing when it was brought is named in the cursor as
// well, by its hash, and brought again after a restart: if it grew meanwhile, nobody saw it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace voxbus::email {

// A mail by its folder and name, in the order of delivery. The hash alone tells mails apart.
struct MailKey {
  std::uint32_t seconds = 0;  // of the delivery, 0 where the name does not say
  std::uint32_t micros = 0;
  std::uint64_t hash = 0;

  static MailKey of(std::string_view folder, std::string_view file_name);
  friend bool operator==(const MailKey&, const MailKey&) = default;
  friend bool operator<(const MailKey& a, const MailKey& b) {
    return std::tie(a.seconds, a.micros, a.hash) < std::tie(b.seconds, b.micros, b.hash);
  }
};

class SeenMails {
 public:
  static constexpr std::size_t kNewest = 64;       // ranges
  static constexpr std::size_t kNewestLength = 8;  // mails in each of them
  static constexpr std::size_t kOlder = 192;       // ranges
  static constexpr std::size_t kMostOpen = 64;     // mails that may still be written

  // Takes what a cursor says; false when it was not made by cursor(). No names are known then: the
  // next present() finds them.
  bool load(std::string_view cursor);
  std::string cursor() const;

  // These mails are there now, and no others. Forgets those that are gone.
  void present(std::vector<MailKey> keys);

  bool contains(const MailKey& key) const;
  // `open`: it may still be written; of more than kMostOpen the latest are kept.
  void add(const MailKey& key, bool open = false);
  // It is known to be whole now.
  void close(const MailKey& key);
  void remove(const MailKey& key);

 private:
  struct Range {
    MailKey last;
    std::uint64_t sum;
  };

  std::vector<MailKey> known_;       // sorted
  std::vector<std::uint64_t> open_;  // hashes
  std::vector<Range> loaded_;        // what a cursor said, until the names are known
  std::vector<std::uint64_t> loaded_open_;
};

}  // namespace voxbus::email
