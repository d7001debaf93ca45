// SPDX-License-Identifier: Apache-2.0
//
// Which mails of a maildrop were brought, as a set that fits into a cursor. Pure; owned by one
// source, used on its polling thread.
//
// Decision. Context: a maildrop's numbers are of one session only, its unique ids have no order of
// their own, there may be 100,000 of them, and the cursor is at most 64 KiB. What servers do keep
// is the order of their list: a new mail stands at its end. Choice: as for a Maildir
// (seen_mails.hpp), but by the places in that list: those that were brought are cut into at most
// 256 ranges, short ones at the end, and of each the cursor holds the hash of its last unique id
// and the sum of its hashes. After a restart the list is summed again from one such last id to the
// next; where the sum differs, or the last id is gone, those mails are brought again and the daemon
// drops what it has. Cost: up to two ranges read again for each mail that was deleted on the server
// while the channel was down (16 of the newest 512 mails, up to 1/96 of those before them).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace voxbus::email::pop3 {

using IdHash = std::uint64_t;
IdHash hash_of(std::string_view unique_id);

class SeenIds {
 public:
  // Takes what a cursor says; false when it was not made by cursor(). No ids are known then: the
  // next present() finds them.
  bool load(std::string_view cursor);
  std::string cursor() const;

  // These are there now, in the server's order, and no others. Forgets those that are gone.
  void present(std::vector<IdHash> ids);

  bool contains(IdHash id) const { return known_.contains(id); }
  // One of those that are there.
  void add(IdHash id) { known_.insert(id); }

 private:
  struct Range {
    IdHash last;
    std::uint64_t sum;
  };

  std::vector<IdHash> present_;
  std::unordered_set<IdHash> known_;
  std::vector<Range> loaded_;  // what a cursor said, until the ids are known
};

}  // namespace voxbus::email::pop3
