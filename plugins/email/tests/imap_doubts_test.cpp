// SPDX-License-Identifier: Apache-2.0
#include "imap/doubts.hpp"

#include <gtest/gtest.h>

namespace {

using namespace voxbus::email::imap;

// How often it has to be withheld until it is given up.
unsigned tries(Withheld how, bool others_come) {
  Doubts doubts;
  for (unsigned count = 1; count < 100; ++count) {
    doubts.of("INBOX", 7).others_come = others_come;
    if (doubts.note("INBOX", 7, how, "why").is_settled()) return count;
  }
  return 100;
}

TEST(ImapDoubts, AreSettledSoonerWhereOthersCome) {
  EXPECT_EQ(tries(Withheld::kMissing, true), 2u);
  EXPECT_EQ(tries(Withheld::kRefused, true), 3u);
  EXPECT_EQ(tries(Withheld::kFailed, true), 3u);
  EXPECT_EQ(tries(Withheld::kMissing, false), 4u);
  EXPECT_EQ(tries(Withheld::kRefused, false), 10u);
  EXPECT_EQ(tries(Withheld::kFailed, false), 10u);
}

TEST(ImapDoubts, TakeOneLostConnectionForNoMailsFault) {
  Doubts doubts;
  EXPECT_FALSE(doubts.note("INBOX", 7, Withheld::kFailed, "").needs_care());
  EXPECT_TRUE(doubts.note("INBOX", 7, Withheld::kFailed, "").needs_care());
  EXPECT_TRUE(doubts.note("INBOX", 8, Withheld::kRefused, "").needs_care());
  EXPECT_TRUE(doubts.note("INBOX", 9, Withheld::kMissing, "").needs_care());
}

TEST(ImapDoubts, AreForgottenOnceTheirMailboxIsReadBehindThem) {
  Doubts doubts;
  for (const std::uint32_t uid : {5u, 7u, 4294967295u})
    doubts.note("B", uid, Withheld::kMissing, "why");
  doubts.note("A", 7, Withheld::kMissing, "");
  doubts.note("C", 1, Withheld::kMissing, "");
  doubts.passed("B", 7);
  EXPECT_FALSE(doubts.find("B", 5));
  EXPECT_TRUE(doubts.find("B", 7));
  doubts.passed("B", std::uint64_t{1} << 32);
  EXPECT_FALSE(doubts.find("B", 4294967295u));
  EXPECT_TRUE(doubts.find("A", 7));
  EXPECT_TRUE(doubts.find("C", 1));
}

}  // namespace
