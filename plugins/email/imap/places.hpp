// SPDX-License-Identifier: Apache-2.0
//
// How far each mailbox of an account was read, and the cursor that says so. Pure; owned by one
// source, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace voxbus::email::imap {

inline constexpr std::uint64_t kLastUid = 0xFFFFFFFF;
inline constexpr std::size_t kMostMailboxes = 1500;  // whose places fit into a cursor

struct Place {
  std::uint32_t validity = 0;  // 0: never looked at
  std::uint64_t next = 1;      // the UID from which on nothing was brought; may be kLastUid + 1
};

class Places {
 public:
  // Text of one line. Mailboxes that nobody looked at are not in it.
  std::string cursor() const;
  // Whether no mailbox is in it.
  static bool is_empty(std::string_view cursor);
  // False when it was not made by cursor().
  bool load(std::string_view cursor);
  Place& of(const std::string& mailbox);
  std::size_t size() const { return places_.size(); }
  void keep_only(const std::vector<std::string>& mailboxes);

 private:
  std::map<std::string, Place> places_;  // by place_key() of the mailbox
};

// A mailbox in the cursor: short, whatever its name.
std::string place_key(const std::string& mailbox);

}  // namespace voxbus::email::imap
