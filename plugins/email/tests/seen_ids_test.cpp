// SPDX-License-Identifier: Apache-2.0
#include "pop3/seen_ids.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

using voxbus::email::pop3::hash_of;
using voxbus::email::pop3::IdHash;
using voxbus::email::pop3::SeenIds;

std::vector<IdHash> ids(int count) {
  std::vector<IdHash> out;
  for (int i = 0; i < count; ++i) out.push_back(hash_of("mail-" + std::to_string(i)));
  return out;
}

// What is still to be brought of `present` after a restart with that cursor.
std::vector<IdHash> left_after_restart(const std::string& cursor,
                                       const std::vector<IdHash>& present) {
  SeenIds seen;
  EXPECT_TRUE(seen.load(cursor));
  seen.present(present);
  std::vector<IdHash> left;
  for (const IdHash id : present) {
    if (!seen.contains(id)) left.push_back(id);
  }
  return left;
}

std::string cursor_over(const std::vector<IdHash>& present, std::size_t brought) {
  SeenIds seen;
  EXPECT_TRUE(seen.load(""));
  seen.present(present);
  for (std::size_t i = 0; i < brought; ++i) seen.add(present[i]);
  return seen.cursor();
}

TEST(SeenIds, BringNothingAgainFromAnUnchangedMaildropOf100000) {
  const auto all = ids(100'000);
  const auto cursor = cursor_over(all, all.size());
  EXPECT_LE(cursor.size(), 4'200u);
  EXPECT_TRUE(left_after_restart(cursor, all).empty());
}

TEST(SeenIds, GoOnWhereTheyStoppedAndBringWhatCameMeanwhile) {
  const auto all = ids(20'000);
  for (const std::size_t brought : {0u, 1u, 7u, 512u, 513u, 15'000u}) {
    const std::vector<IdHash> rest(all.begin() + brought, all.end());
    EXPECT_EQ(left_after_restart(cursor_over(all, brought), all), rest) << brought;
  }
}

TEST(SeenIds, ReadAFewAgainAfterADeletionAndLoseNone) {
  const auto all = ids(20'000);
  const auto cursor = cursor_over(all, all.size());
  for (const std::size_t gone : {0u, 5'000u, 19'488u, 19'990u, 19'999u}) {
    auto present = all;
    present.erase(present.begin() + gone);
    present.push_back(hash_of("new"));
    const auto left = left_after_restart(cursor, present);
    EXPECT_TRUE(std::count(left.begin(), left.end(), hash_of("new"))) << gone;
    EXPECT_LE(left.size(), 20'000u / 96 + 2) << gone;
  }
}

// Any order of arrivals, deletions, restarts and lists that a server turns round: each mail is
// brought at least once while it is there, and never twice by one life of the channel.
TEST(SeenIds, LoseNoneWhateverHappensToTheMaildrop) {
  std::mt19937 dice(2026);
  const auto roll = [&](int sides) { return static_cast<int>(dice() % sides); };
  for (int round = 0; round < 50; ++round) {
    SeenIds seen;
    std::vector<IdHash> there;
    std::set<IdHash> brought_ever, brought_in_this_life;
    std::string cursor;
    ASSERT_TRUE(seen.load(cursor));
    int made = 0;
    for (int step = 0; step < 200; ++step) {
      for (int i = roll(30); i > 0; --i)
        there.push_back(hash_of(std::to_string(round) + "/" + std::to_string(made++)));
      if (roll(4) == 0) {
        for (int i = roll(5); i > 0 && !there.empty(); --i)
          there.erase(there.begin() + roll(static_cast<int>(there.size())));
      }
      if (roll(40) == 0) std::shuffle(there.begin(), there.end(), dice);
      if (roll(3) == 0) {
        ASSERT_TRUE(seen.load(cursor));
        brought_in_this_life.clear();
      }
      seen.present(there);
      int most = roll(2) == 0 ? 1'000'000 : roll(20);
      for (const IdHash id : there) {
        if (seen.contains(id)) {
          ASSERT_TRUE(brought_ever.contains(id)) << "round " << round << ": one was passed by";
        } else if (most-- > 0) {
          ASSERT_TRUE(brought_in_this_life.insert(id).second) << "round " << round << ": twice";
          brought_ever.insert(id);
          seen.add(id);
        }
      }
      cursor = seen.cursor();
    }
  }
}

TEST(SeenIds, TakeNoCursorButTheirOwn) {
  SeenIds seen;
  EXPECT_TRUE(seen.load(""));
  EXPECT_TRUE(seen.load("pop3-1"));
  EXPECT_FALSE(seen.load("maildir1"));
  EXPECT_FALSE(seen.load("pop3-1x"));
  EXPECT_FALSE(seen.load("i1 0123456789abcdef 1 1"));
}

}  // namespace
