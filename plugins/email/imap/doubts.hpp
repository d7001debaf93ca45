// SPDX-License-Identifier: Apache-2.0
//
// The mails that a server lists and does not hand over, until they are: or until it is clear that
// they never will be, and the channel goes on behind them. Pure; owned by one source, one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace voxbus::email::imap {

enum class Withheld {
  kMissing,  // its answer leaves it out
  kRefused,  // NO
  kFailed,   // the connection does not survive the question
};

struct Doubt {
  unsigned missing = 0, refused = 0, failed = 0;
  bool in_pieces = false;    // longer than was said, or more than a group may bring
  bool others_come = false;  // the same server hands over its neighbour
  std::string why;           // the last one's words

  // Whether it is given up. Where the neighbour does not come either, most likely the server is
  // ill, and the mails are not: it gets time, some ten minutes with the host's pauses.
  bool is_settled() const {
    return missing >= (others_come ? 2u : 4u) || refused + failed >= (others_come ? 3u : 10u);
  }
  // Whether it is asked for by itself. A connection may end over any mail once.
  bool needs_care() const { return in_pieces || missing + refused > 0 || failed > 1; }
};

class Doubts {
 public:
  Doubt& of(const std::string& mailbox, std::uint32_t uid) { return doubts_[{mailbox, uid}]; }
  const Doubt* find(const std::string& mailbox, std::uint32_t uid) const {
    const auto found = doubts_.find({mailbox, uid});
    return found == doubts_.end() ? nullptr : &found->second;
  }
  Doubt& note(const std::string& mailbox, std::uint32_t uid, Withheld how, std::string why) {
    Doubt& doubt = of(mailbox, uid);
    if (how == Withheld::kMissing) ++doubt.missing;
    if (how == Withheld::kRefused) ++doubt.refused;
    if (how == Withheld::kFailed) ++doubt.failed;
    doubt.why = std::move(why);
    return doubt;
  }
  // All below `next` are dealt with, or gone.
  void passed(const std::string& mailbox, std::uint64_t next) {
    const auto begin = doubts_.lower_bound({mailbox, 0});
    auto end = begin;
    while (end != doubts_.end() && end->first.first == mailbox && end->first.second < next) ++end;
    doubts_.erase(begin, end);
  }

 private:
  std::map<std::pair<std::string, std::uint32_t>, Doubt> doubts_;
};

}  // namespace voxbus::email::imap
