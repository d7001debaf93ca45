// SPDX-License-Identifier: Apache-2.0
// Consumers that are killed, whose journal lost its tail, was put back from a backup or dropped
// what was old, and consumers whose own file is damaged or not theirs.
#include <gmock/gmock.h>

#include <fstream>

#include "base/posix.hpp"
#include "bus/positions.hpp"
#include "consumers_fixture.hpp"

namespace voxbus::bus {
namespace {

using namespace std::chrono_literals;
using test::Consuming;
using testing::ElementsAre;
using testing::IsEmpty;
using Cause = Refusal::Cause;

TEST_F(Consuming, AcknowledgesAfterAKillWhatItGotBefore) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk", 3).size(), 3u);
  crash_and_reopen();
  const auto settled = ack("desk", {1, 3});
  ASSERT_TRUE(settled) << settled.error().detail;
  EXPECT_EQ(settled->passed_over, 0u);
  EXPECT_THAT(positions("desk"), ElementsAre(2, 4, 5));
}

TEST_F(Consuming, PassesOverWhatAPowerCutMadeItForgetAndGivesItAgain) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk", 2).size(), 2u);
  keep_disk();
  EXPECT_EQ(positions("desk").size(), 3u);
  cut_power_and_reopen();
  const auto some = ack("desk", {1, 4});
  ASSERT_TRUE(some) << some.error().detail;
  EXPECT_EQ(some->passed_over, 1u);
  const auto through = consumers->ack_through("desk", feed->at(5));
  ASSERT_TRUE(through) << through.error().detail;
  EXPECT_EQ(through->passed_over, 1u);
  EXPECT_EQ(through->floor.position, 2u) << "2 was its own";
  EXPECT_THAT(positions("desk"), ElementsAre(3, 4, 5));
}

TEST_F(Consuming, GoesOnBehindALostTail) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning","max_deliver":1})");
  close();
  journal.remember();
  open();
  journal.write_many(5);
  EXPECT_EQ(positions("desk").size(), 10u);
  ASSERT_TRUE(ack("desk", {1, 2, 3, 4, 5, 6, 7}));
  ASSERT_TRUE(consumers->nack("desk", {feed->at(9)}, 0s));
  close();
  journal.lose_what_came_since();
  open();
  journal.write_many(2);
  const auto first = journal->epochs()[1].first;
  EXPECT_THAT(positions("desk"), ElementsAre(first, first + 1));
  EXPECT_TRUE(consumers->ack("desk", {{1, 8}}))
      << "an acknowledgement of the lost tail harms nothing";
  EXPECT_EQ(shown("desk", "in_flight"), 2);
  EXPECT_EQ(*consumers->redeliver_parked("desk", std::nullopt), 1u);
  EXPECT_THAT(positions("desk"), IsEmpty()) << "what was parked is lost as well";
  EXPECT_EQ(shown("desk", "waiting"), 0);
}

TEST_F(Consuming, GoesBackToWhatAJournalThatWasPutBackStillHas) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning","max_deliver":2})");
  close();
  journal.back_up();
  open();
  journal.write_many(5);
  EXPECT_EQ(positions("desk").size(), 10u);
  ASSERT_TRUE(ack("desk", {1, 2, 3, 4, 7}));
  ASSERT_TRUE(consumers->nack("desk", {feed->at(9)}, 0s));
  EXPECT_THAT(positions("desk"), ElementsAre(9));
  ASSERT_TRUE(consumers->nack("desk", {feed->at(9)}, 0s));
  EXPECT_EQ(shown("desk", "parked"), 1);
  close();
  const auto told = highest_told(journal.folder() / "positions");
  ASSERT_TRUE(told);
  EXPECT_EQ(*told, (model::Sequence{1, 10}));

  journal.put_back();
  ASSERT_LT(journal->end(), *told);
  journal.begin_epoch(told->epoch + 1);
  testing::internal::CaptureStdout();
  open();
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              testing::HasSubstr("consumer desk goes back from 0001.000000000000000010 to "
                                 "0001.000000000000000005"));
  EXPECT_EQ(highest_told(journal.folder() / "positions"), (model::Sequence{1, 5}))
      << "the file no longer speaks of the old line, or the next start would begin yet an epoch";
  crash_and_reopen();
  EXPECT_EQ(shown("desk", "parked"), 0);
  journal.write_many(5);
  const auto of_the_old_line = [](const std::vector<model::Position>& which) {
    std::vector<model::Sequence> sequences;
    for (const auto position : which) sequences.push_back({1, position});
    return sequences;
  };
  EXPECT_TRUE(consumers->ack("desk", of_the_old_line({6, 8, 10}))) << "before they come";
  EXPECT_THAT(positions("desk"), ElementsAre(5, 6, 7, 8, 9, 10));
  EXPECT_TRUE(consumers->ack("desk", of_the_old_line({6, 8, 10})));
  EXPECT_TRUE(consumers->ack_through("desk", {1, 10}));
  EXPECT_TRUE(consumers->nack("desk", of_the_old_line({6, 9}), 0s));
  EXPECT_EQ(shown("desk", "in_flight"), 6) << "nothing of the new line was settled";
  EXPECT_FALSE(consumers->redeliver_parked("desk", of_the_old_line({9})));
  ASSERT_TRUE(ack("desk", {5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(consumers->show("desk")->at("floor").as_string(), "0002.000000000000000010");
}

TEST_F(Consuming, GoesBackToTheEndEvenWhenNoEpochWasBegun) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning"})");
  close();
  journal.back_up();
  open();
  journal.write_many(5);
  EXPECT_EQ(positions("desk").size(), 10u);
  ASSERT_TRUE(ack("desk", {1, 2, 3, 4, 5, 6, 7, 8}));
  close();
  journal.put_back();
  open();
  EXPECT_EQ(shown("desk", "in_flight"), 0);
  journal.write_many(2);
  EXPECT_THAT(positions("desk"), ElementsAre(6, 7)) << "neither silence up to 10 nor all anew";
}

TEST_F(Consuming, KnowsInAnEpochThatAnotherLineSkippedWhereTheLinesParted) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning"})");
  close();
  journal.back_up();
  journal.begin_epoch(2);
  open();
  journal.write_many(5);
  EXPECT_EQ(positions("desk").size(), 10u);
  ASSERT_TRUE(ack("desk", {1, 2, 3, 4, 5, 6}));
  close();
  EXPECT_EQ(highest_told(journal.folder() / "positions"), (model::Sequence{2, 10}));
  journal.put_back();
  journal.begin_epoch(3);
  open();
  journal.write_many(2);
  EXPECT_THAT(positions("desk"), ElementsAre(6, 7));
  EXPECT_EQ(feed->at(6), (model::Sequence{3, 6}));
}

TEST(HighestTold, SaysNothingWhenThereIsNothingToBelieve) {
  const test::Folder folder;
  EXPECT_FALSE(highest_told(folder.path() / "nowhere"));
  EXPECT_FALSE(highest_told(folder.path()));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "positions.db")) << "nothing is made";
  { ASSERT_TRUE(Positions::open(folder.path())); }
  EXPECT_FALSE(highest_told(folder.path())) << "no consumer";
  std::ofstream(folder.path() / "positions.db", std::ios::binary | std::ios::trunc)
      << std::string(8192, 'x');
  EXPECT_FALSE(highest_told(folder.path()));
  std::filesystem::resize_file(folder.path() / "positions.db", 0);
  EXPECT_FALSE(highest_told(folder.path())) << "an empty file";
}

TEST(HighestTold, IsTheHighestOfAllConsumersInTheNewestEpoch) {
  const test::Folder folder;
  {
    auto positions = *Positions::open(folder.path());
    const auto add = [&](const char* name, model::Epoch epoch, model::Position head) {
      StoredConsumer consumer;
      consumer.name = name;
      consumer.epoch = epoch;
      consumer.state = {head, 0, {}};
      ASSERT_TRUE(positions->insert(consumer));
    };
    add("a", 1, 900);
    add("b", 2, 40);
    add("c", 2, 41);
    add("d", 2, 7);
    add("e", 3, ~0ull >> 1);  // no sequence can be that
  }
  EXPECT_EQ(highest_told(folder.path()), (model::Sequence{2, 41}));
}

TEST_F(Consuming, SaysWhatWasToldAlsoAfterAKill) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk").size(), 5u);
  ASSERT_TRUE(ack("desk", {1, 2, 3, 4, 5}));
  // As a kill leaves it: the newest is in the write-ahead log alone.
  const auto copy = journal.folder() / "copy";
  std::filesystem::copy(journal.folder() / "positions", copy);
  ASSERT_TRUE(std::filesystem::exists(copy / "positions.db-wal"));
  EXPECT_EQ(highest_told(copy), (model::Sequence{1, 5}));
}

TEST_F(Consuming, RefusesAcknowledgementsFromNowhere) {
  journal.write_many(5);
  close();
  journal.begin_epoch(3);
  open();
  journal.write_many(5);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk", 8).size(), 8u);
  const auto all_four = [&](model::Sequence sequence) {
    std::vector<Outcome<Settled>> out;
    out.push_back(consumers->ack("desk", {feed->at(1), sequence}));
    out.push_back(consumers->ack_through("desk", sequence));
    out.push_back(consumers->nack("desk", {feed->at(1), sequence}, 1h));
    out.push_back(consumers->release("desk", {feed->at(1), sequence}));
    return out;
  };
  for (const model::Sequence strange :
       {model::Sequence{4, 6}, {9, 1}, {0, 1}, {3, 1}, {3, 999}, {3, ~0ull}}) {
    for (const auto& outcome : all_four(strange)) {
      ASSERT_FALSE(outcome) << model::format(strange);
      EXPECT_EQ(outcome.error().cause, Cause::invalid);
      EXPECT_FALSE(outcome.error().parameter.empty());
    }
    EXPECT_EQ(shown("desk", "in_flight"), 8) << "one that is strange refuses them all";
  }
  for (const model::Sequence lost : {model::Sequence{1, 6}, {1, 999}, {2, 7}}) {
    EXPECT_TRUE(consumers->ack("desk", {lost})) << model::format(lost);
    EXPECT_TRUE(consumers->ack_through("desk", lost));
    EXPECT_EQ(shown("desk", "in_flight"), 8);
  }
  EXPECT_TRUE(consumers->ack_through("desk", feed->at(8)));
  EXPECT_EQ(shown("desk", "in_flight"), 0);
}

TEST_F(Consuming, GoesOnWhereRetentionHasOvertakenIt) {
  journal.write_many(4300);
  put("desk", R"({"from":"beginning"})");
  EXPECT_THAT(positions("desk", 2), ElementsAre(1, 2));
  ASSERT_TRUE(ack("desk", {1}));
  close();
  journal.drop_before(51);
  open();
  EXPECT_THAT(positions("desk", 2), ElementsAre(51, 52)) << "2 can never be delivered again";
  EXPECT_EQ(shown("desk", "in_flight"), 2);
  ConsumerRequest request;
  request.from = model::format(feed->at(10));
  EXPECT_EQ(consumers->put("other", request, false).error().cause, Cause::gone);
}

TEST_F(Consuming, SetsADamagedFileAsideAndLives) {
  journal.write_many(3);
  put("desk", R"({"from":"beginning"})");
  close();
  {
    std::ofstream file(journal.folder() / "positions" / "positions.db",
                       std::ios::binary | std::ios::trunc);
    file << "this is not a database, but it is long enough to look like one when only its size is "
            "asked for";
  }
  open();
  EXPECT_EQ(consumers->list().size(), 0u);
  int set_aside = 0;
  for (const auto& entry : std::filesystem::directory_iterator(journal.folder() / "positions")) {
    set_aside += entry.path().filename().string().find(".damaged-") != std::string::npos;
  }
  EXPECT_EQ(set_aside, 1);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk").size(), 3u);
}

TEST_F(Consuming, SurvivesAnyFlippedByteOfItsFile) {
  put("desk", R"({"from":"beginning"})");
  close();
  const auto file = journal.folder() / "positions" / "positions.db";
  const auto whole = *read_file(file);
  for (std::size_t at = 0; at < whole.size(); at += 997) {
    auto bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    for (const auto& entry : std::filesystem::directory_iterator(file.parent_path()))
      std::filesystem::remove(entry.path());
    std::ofstream(file, std::ios::binary) << bytes;
    open();
    ASSERT_FALSE(testing::Test::HasFatalFailure()) << "at " << at;
    (void)consumers->list();
    close();
  }
}

TEST_F(Consuming, RefusesTheFileOfANewerVersion) {
  close();
  const auto file = journal.folder() / "positions" / "positions.db";
  auto bytes = *read_file(file);
  bytes[63] = 99;  // user_version, big-endian, at 60
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
  feed = std::make_unique<Feed>(*journal);
  const auto opened = Consumers::open(file.parent_path(), *feed, clock);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, testing::HasSubstr("newer version"));
  EXPECT_EQ(*read_file(file), bytes);
}

}  // namespace
}  // namespace voxbus::bus
