// SPDX-License-Identifier: Apache-2.0
#include "seen_mails.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using voxbus::email::MailKey;
using voxbus::email::SeenMails;

std::vector<MailKey> keys(int count) {
  std::vector<MailKey> out;
  for (int i = 0; i < count; ++i) {
    out.push_back(MailKey::of(
        "INBOX", std::to_string(1'767'607'200 + i / 3) + ".M" + std::to_string(i) + "P1.host"));
  }
  return out;
}

// What is still to be brought of `present` after a restart with that cursor.
std::size_t left_after_restart(const std::string& cursor, const std::vector<MailKey>& present) {
  SeenMails seen;
  EXPECT_TRUE(seen.load(cursor));
  seen.present(present);
  std::size_t left = 0;
  for (const auto& key : present) left += seen.contains(key) ? 0 : 1;
  return left;
}

TEST(SeenMails, KnowAMailByFolderAndNameWithoutItsFlags) {
  EXPECT_EQ(MailKey::of("INBOX", "a"), MailKey::of("INBOX", "a:2,RS"));
  EXPECT_NE(MailKey::of("INBOX", "a"), MailKey::of("Sales", "a"));
  EXPECT_NE(MailKey::of("INBOX", "a"), MailKey::of("INBOX", "b"));
}

TEST(SeenMails, ReadTheTimeOfDeliveryFromTheName) {
  EXPECT_EQ(MailKey::of("", "17.M5P1.host").seconds, 17u);
  EXPECT_EQ(MailKey::of("", "17.M5P1.host").micros, 5u);
  EXPECT_EQ(MailKey::of("", "17.V801I12M34.host").micros, 34u);
  EXPECT_EQ(MailKey::of("", "17").seconds, 0u);
  EXPECT_EQ(MailKey::of("", "99999999999999.M1").seconds, 0u);
  EXPECT_EQ(MailKey::of("", "note").seconds, 0u);
}

TEST(SeenMails, BringNothingAgainFromAnUnchangedMaildirOf100000) {
  SeenMails seen;
  const auto all = keys(100'000);
  for (const auto& key : all) seen.add(key);
  EXPECT_LE(seen.cursor().size(), 6'200u);
  EXPECT_EQ(left_after_restart(seen.cursor(), all), 0u);
}

TEST(SeenMails, BringExactlyTheMailsThatCameMeanwhile) {
  SeenMails seen;
  const auto all = keys(20'000);
  for (std::size_t i = 0; i < 15'000; ++i) seen.add(all[i]);
  EXPECT_EQ(left_after_restart(seen.cursor(), all), 5'000u);
}

TEST(SeenMails, GoOnExactlyWhereAnImportWasInterrupted) {
  const auto all = keys(2'000);
  for (std::size_t done = 0; done < all.size(); done += 37) {
    SeenMails seen;
    for (std::size_t i = 0; i < done; ++i) seen.add(all[i]);
    EXPECT_EQ(left_after_restart(seen.cursor(), all), all.size() - done);
  }
}

TEST(SeenMails, BringAMailWithAnOldNameAndOnlyItsRangeAgain) {
  SeenMails seen;
  auto all = keys(10'000);
  for (const auto& key : all) seen.add(key);
  all.push_back(MailKey::of("INBOX", "1.older.than.all"));
  all.push_back(MailKey::of("INBOX", "1767608000.M0P9.host"));
  const std::size_t left = left_after_restart(seen.cursor(), all);
  EXPECT_GE(left, 2u);
  EXPECT_LE(left, 2 * (10'000 / SeenMails::kOlder + 2));
}

TEST(SeenMails, BringAgainOnlyTheRangeOfADeletedMail) {
  SeenMails seen;
  auto all = keys(10'000);
  for (const auto& key : all) seen.add(key);
  all.pop_back();
  EXPECT_LT(left_after_restart(seen.cursor(), all), SeenMails::kNewestLength);
  all.erase(all.begin());
  EXPECT_LE(left_after_restart(seen.cursor(), all), 10'000 / SeenMails::kOlder + 10);
}

TEST(SeenMails, ForgetNothingThatIsThereWhileTheProcessLives) {
  SeenMails seen;
  ASSERT_TRUE(seen.load(""));
  auto all = keys(100);
  seen.present(all);
  for (const auto& key : all) seen.add(key);
  const auto deleted = all.back();
  all.pop_back();
  seen.present(all);
  for (const auto& key : all) EXPECT_TRUE(seen.contains(key));
  EXPECT_FALSE(seen.contains(deleted));
  EXPECT_EQ(left_after_restart(seen.cursor(), all), 0u);
}

TEST(SeenMails, BringOpenOnesAgainUntilTheyAreClosed) {
  SeenMails seen;
  const auto all = keys(1'000);
  for (const auto& key : all) seen.add(key);
  const std::string closed = seen.cursor();
  seen.add(all[17], true);
  seen.add(all[500], true);
  EXPECT_EQ(left_after_restart(seen.cursor(), all), 2u);
  seen.present(all);
  EXPECT_TRUE(seen.contains(all[17])) << "while the process lives it is told what grows";
  seen.close(all[17]);
  EXPECT_EQ(left_after_restart(seen.cursor(), all), 1u);
  seen.remove(all[500]);
  seen.add(all[500]);
  EXPECT_EQ(seen.cursor(), closed);
  for (const auto& key : all) seen.add(key, true);
  EXPECT_EQ(left_after_restart(seen.cursor(), all), SeenMails::kMostOpen) << "bounded";
  EXPECT_TRUE(seen.load(seen.cursor()));
}

TEST(SeenMails, RefuseACursorFromAnotherSource) {
  SeenMails seen;
  for (const std::string& cursor :
       {std::string{"17"}, std::string{"maildir1x"}, "maildir1" + std::string(48, '\xFF'),
        "maildir1" + std::string(48, '\0'), std::string{"maildir2"},
        std::string{"maildir2\x02"} + std::string(8, 'x')}) {
    EXPECT_FALSE(seen.load(cursor)) << cursor;
  }
  EXPECT_TRUE(seen.load("maildir1"));
}

}  // namespace
