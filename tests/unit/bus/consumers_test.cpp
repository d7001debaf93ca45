// SPDX-License-Identifier: Apache-2.0
#include "bus/consumers.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "bus/positions.hpp"
#include "bus_fixture.hpp"

namespace voxbus::bus {
namespace {

using namespace std::chrono_literals;
using test::BusJournal;
using test::Words;
using testing::ElementsAre;
using testing::IsEmpty;
using Cause = Refusal::Cause;

constexpr std::size_t kBytes = 8 << 20;

class Consuming : public testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    feed = std::make_unique<Feed>(*journal);
    auto opened = Consumers::open(journal.folder() / "positions", *feed, clock);
    ASSERT_TRUE(opened) << opened.error().message;
    consumers = std::move(*opened);
  }
  void close() {
    consumers.reset();
    feed.reset();
  }
  // As after a kill: what was not written stays unwritten.
  void crash_and_reopen() {
    const auto copy = journal.folder() / "copy";
    std::filesystem::copy(journal.folder() / "positions", copy,
                          std::filesystem::copy_options::recursive);
    close();
    std::filesystem::remove_all(journal.folder() / "positions");
    std::filesystem::rename(copy, journal.folder() / "positions");
    open();
  }

  void put(const std::string& name, const std::string& body = "{}", bool update = false) {
    const auto request = read_consumer_request(json::parse(body)->get_object());
    ASSERT_TRUE(request) << request.error().detail;
    const auto done = consumers->put(name, *request, update);
    ASSERT_TRUE(done) << done.error().detail;
  }
  Outcome<Fetched> fetch(const std::string& name, std::size_t max = 100,
                         const std::string& member = "") {
    return consumers->fetch(name, member, max, kBytes);
  }
  std::vector<model::Position> positions(const std::string& name, std::size_t max = 100,
                                         const std::string& member = "") {
    std::vector<model::Position> out;
    const auto fetched = fetch(name, max, member);
    EXPECT_TRUE(fetched) << (fetched ? "" : fetched.error().detail);
    if (!fetched) return out;
    for (const auto& item : fetched->items) out.push_back(item.event->position());
    return out;
  }
  Outcome<Settled> ack(const std::string& name, std::vector<model::Position> which) {
    std::vector<model::Sequence> sequences;
    for (const auto position : which) sequences.push_back(feed->at(position));
    return consumers->ack(name, sequences);
  }
  std::int64_t shown(const std::string& name, std::string_view member) {
    return *json::integer_at(*consumers->show(name), member);
  }

  test::ManualClock clock;
  BusJournal journal{&clock};
  std::unique_ptr<Feed> feed;
  std::unique_ptr<Consumers> consumers;
};

TEST_F(Consuming, DeliversOnceWhatIsAcknowledged) {
  journal.write_many(5);
  put("desk", R"({"from":"beginning"})");
  EXPECT_THAT(positions("desk"), ElementsAre(1, 2, 3, 4, 5));
  const auto settled = ack("desk", {1, 2, 3, 4, 5});
  ASSERT_TRUE(settled);
  EXPECT_EQ(settled->floor.position, 5u);
  EXPECT_EQ(settled->in_flight, 0u);
  EXPECT_THAT(positions("desk"), IsEmpty());
  journal.write({});
  EXPECT_THAT(positions("desk"), ElementsAre(6));
}

TEST_F(Consuming, BeginsNowUnlessToldOtherwise) {
  journal.write_many(5);
  put("desk");
  EXPECT_THAT(positions("desk"), IsEmpty());
  put("middle", R"({"from":")" + model::format(feed->at(3)) + R"("})");
  EXPECT_THAT(positions("middle"), ElementsAre(4, 5));
}

TEST_F(Consuming, KeepsAcknowledgementsThroughAKill) {
  journal.write_many(10);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk").size(), 10u);
  ASSERT_TRUE(ack("desk", {1, 2, 4, 9}));
  crash_and_reopen();
  EXPECT_THAT(positions("desk"), ElementsAre(3, 5, 6, 7, 8, 10))
      << "nothing acknowledged comes again";
  EXPECT_EQ(shown("desk", "in_flight"), 6);
}

TEST_F(Consuming, DeliversAgainAfterAKillWhatNobodyAcknowledged) {
  journal.write_many(3);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk").size(), 3u);
  crash_and_reopen();
  EXPECT_THAT(positions("desk"), ElementsAre(1, 2, 3));
}

TEST_F(Consuming, RedeliversAndThenParksAcrossRestarts) {
  journal.write_many(2);
  put("desk", R"({"from":"beginning","ack_within":"10s","max_deliver":2})");
  EXPECT_THAT(positions("desk", 1), ElementsAre(1));
  clock.pass(10s);
  const auto again = fetch("desk", 1);
  ASSERT_EQ(again->items.size(), 1u);
  EXPECT_EQ(again->items[0].attempt, 2u);
  clock.pass(10s);
  EXPECT_THAT(positions("desk"), ElementsAre(2)) << "the first is parked";
  crash_and_reopen();
  const auto parked = consumers->parked("desk", 10);
  ASSERT_TRUE(parked);
  const auto& list = parked->at("parked").as_array();
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].at("sequence").as_string(), model::format(feed->at(1)));
  EXPECT_EQ(json::integer_at(list[0].as_object(), "attempts"), 2);
  EXPECT_EQ(list[0].at("event").at("data").at("text").as_string(), "0");
  EXPECT_EQ(shown("desk", "parked"), 1);
}

TEST_F(Consuming, TakesParkedEventsUpAgain) {
  journal.write_many(2);
  put("desk", R"({"from":"beginning","max_deliver":1})");
  EXPECT_EQ(positions("desk").size(), 2u);
  ASSERT_TRUE(consumers->nack("desk", {feed->at(1), feed->at(2)}, 0s));
  EXPECT_EQ(shown("desk", "parked"), 2);
  EXPECT_EQ(*consumers->redeliver_parked("desk", std::vector{feed->at(2)}), 1u);
  EXPECT_THAT(positions("desk"), ElementsAre(2));
  EXPECT_EQ(*consumers->redeliver_parked("desk", std::nullopt), 1u);
  EXPECT_THAT(positions("desk"), ElementsAre(1));
  EXPECT_EQ(shown("desk", "parked"), 0);
  EXPECT_EQ(consumers->redeliver_parked("desk", std::vector{feed->at(1)}).error().cause,
            Cause::invalid);
}

TEST_F(Consuming, TakesALateAcknowledgementOfAParkedEvent) {
  journal.write_many(1);
  put("desk", R"({"from":"beginning","max_deliver":1,"ack_within":"1s"})");
  EXPECT_EQ(positions("desk").size(), 1u);
  clock.pass(2s);
  EXPECT_THAT(positions("desk"), IsEmpty());
  EXPECT_EQ(shown("desk", "parked"), 1);
  ASSERT_TRUE(ack("desk", {1}));
  EXPECT_EQ(shown("desk", "parked"), 0);
}

TEST_F(Consuming, SharesAGroupByConversation) {
  for (int i = 0; i < 3; ++i) {
    journal.write({.conversation = "a"});
    journal.write({.conversation = "b"});
  }
  put("desk", R"({"from":"beginning","group":true})");
  EXPECT_THAT(positions("desk", 1, "one"), ElementsAre(1));
  EXPECT_THAT(positions("desk", 100, "two"), ElementsAre(2, 4, 6)) << "conversation a is with one";
  EXPECT_THAT(positions("desk", 100, "one"), ElementsAre(3, 5));
  ASSERT_TRUE(ack("desk", {2, 4, 6}));
  journal.write({.conversation = "b"});
  EXPECT_THAT(positions("desk", 100, "one"), ElementsAre(7));
  EXPECT_EQ(fetch("desk").error().parameter, "member");
  EXPECT_EQ(consumers->ack_through("desk", feed->at(7)).error().cause, Cause::conflict);
}

TEST_F(Consuming, KeepsConversationsTogetherAfterARestart) {
  for (int i = 0; i < 3; ++i) journal.write({.conversation = "a"});
  put("desk", R"({"from":"beginning","group":true})");
  EXPECT_EQ(positions("desk", 100, "one").size(), 3u);
  ASSERT_TRUE(ack("desk", {1}));
  crash_and_reopen();
  EXPECT_THAT(positions("desk", 1, "one"), ElementsAre(2));
  EXPECT_THAT(positions("desk", 1, "two"), IsEmpty());
}

TEST_F(Consuming, KeepsTheConversationsOfParkedEventsTogether) {
  for (int i = 0; i < 3; ++i) journal.write({.conversation = "a"});
  journal.write({.conversation = "b"});
  put("desk", R"({"from":"beginning","group":true,"max_deliver":1})");
  EXPECT_EQ(positions("desk", 100, "one").size(), 4u);
  ASSERT_TRUE(consumers->nack("desk", {feed->at(1), feed->at(2), feed->at(3), feed->at(4)}, 0s));
  EXPECT_EQ(*consumers->redeliver_parked("desk", std::nullopt), 4u);
  EXPECT_THAT(positions("desk", 1, "one"), ElementsAre(1));
  EXPECT_THAT(positions("desk", 100, "two"), ElementsAre(4)) << "conversation a is with one";
  EXPECT_THAT(positions("desk", 100, "one"), ElementsAre(2, 3));
  crash_and_reopen();
  EXPECT_THAT(positions("desk", 1, "two"), ElementsAre(1));
  EXPECT_THAT(positions("desk", 100, "one"), ElementsAre(4)) << "after a kill as well";
}

TEST_F(Consuming, NeverHandsOutMoreThanIsAllowedInFlight) {
  journal.write_many(50);
  put("desk", R"({"from":"beginning","max_in_flight":10})");
  EXPECT_EQ(positions("desk").size(), 10u);
  EXPECT_THAT(positions("desk"), IsEmpty());
  ASSERT_TRUE(ack("desk", {5}));
  EXPECT_THAT(positions("desk"), ElementsAre(11));
}

TEST_F(Consuming, SaysWhenSomethingMayBecomeDue) {
  journal.write_many(1);
  put("desk", R"({"from":"beginning","ack_within":"10s"})");
  EXPECT_EQ(positions("desk").size(), 1u);
  const auto nothing = fetch("desk");
  ASSERT_TRUE(nothing->items.empty());
  EXPECT_FALSE(nothing->more);
  EXPECT_EQ(nothing->due, clock.steady() + 10s);
}

TEST_F(Consuming, FindsARareEventWithoutStartingOver) {
  put("desk", R"({"from":"beginning","filter":{"text":"needle"}})");
  journal.write_many(3000);
  journal.write({.text = "a needle"});
  journal.write_many(3000);
  model::Position floor = 0;
  std::vector<model::Position> found;
  for (int i = 0; i < 20 && shown("desk", "lag") > 0; ++i) {
    for (const auto position : positions("desk")) {
      found.push_back(position);
      ASSERT_TRUE(ack("desk", {position}));
    }
    const auto now =
        model::parse_sequence(*json::text_at(*consumers->show("desk"), "floor"))->position;
    EXPECT_GE(now, floor);
    floor = now;
  }
  EXPECT_THAT(found, ElementsAre(3001));
  EXPECT_EQ(floor, 6001u);
}

TEST_F(Consuming, IsTheSameConsumerWhenAskedForAgain) {
  put("desk", R"({"filter":{"kind":["mail","call"]}})");
  const auto same =
      read_consumer_request(json::parse(R"({"filter":{"kind":["call","mail"]}})")->get_object());
  const auto again = consumers->put("desk", *same, false);
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->created);
  const auto other =
      read_consumer_request(json::parse(R"({"filter":{"kind":"call"}})")->get_object());
  EXPECT_EQ(consumers->put("desk", *other, false).error().cause, Cause::conflict);
  EXPECT_TRUE(consumers->put("desk", *other, true));
  EXPECT_EQ(json::serialize(consumers->show("desk")->at("filter")), R"({"kind":["call"]})");
  crash_and_reopen();
  EXPECT_EQ(json::serialize(consumers->show("desk")->at("filter")), R"({"kind":["call"]})");
}

TEST_F(Consuming, LeavesWhatARequestDoesNotNameAsAnAdministratorSetIt) {
  put("desk",
      R"({"filter":{"kind":"mail"},"max_in_flight":7,"ack_within":"2m","max_deliver":9,"group":true})");
  const auto before = json::serialize(*consumers->show("desk"));
  put("desk");
  put("desk", R"({"from":"beginning","ack_within":"120s"})");
  EXPECT_EQ(json::serialize(*consumers->show("desk")), before);
  const std::pair<const char*, const char*> changes[] = {
      {"filter", R"({"filter":{}})"},
      {"max_in_flight", R"({"max_in_flight":8})"},
      {"ack_within", R"({"ack_within":"1m"})"},
      {"max_deliver", R"({"max_deliver":1})"},
      {"group", R"({"group":false})"}};
  for (const auto& [member, body] : changes) {
    const auto request = read_consumer_request(json::parse(body)->get_object());
    const auto refused = consumers->put("desk", *request, false);
    ASSERT_FALSE(refused) << member;
    EXPECT_EQ(refused.error().cause, Cause::conflict);
    EXPECT_THAT(refused.error().detail, testing::HasSubstr(std::string("another ") + member + ":"));
    EXPECT_EQ(json::serialize(*consumers->show("desk")), before);
  }
  put("desk", R"({"ack_within":"1m"})", true);
  crash_and_reopen();
  EXPECT_EQ(*json::text_at(*consumers->show("desk"), "ack_within"), "60s");
  EXPECT_EQ(shown("desk", "max_deliver"), 9) << "an update changes what it names";
  EXPECT_EQ(json::serialize(consumers->show("desk")->at("filter")), R"({"kind":["mail"]})");
}

TEST_F(Consuming, RefusesWhatMakesNoSense) {
  for (const auto* body :
       {R"({"max_in_flight":0})", R"({"max_in_flight":"5"})", R"({"ack_within":30})",
        R"({"ack_within":"1y"})", R"({"max_deliver":-1})", R"({"group":"yes"})", R"({"filter":[]})",
        R"({"filter":{"text":"("}})", R"({"from":5})", R"({"unknown":1})"}) {
    const auto request = read_consumer_request(json::parse(body)->get_object());
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().cause, Cause::invalid);
    EXPECT_FALSE(request.error().parameter.empty());
  }
  for (const auto* name : {"", "Desk", "-a", "a b", "a/b", "\xC3\xA4"})
    EXPECT_FALSE(is_consumer_name(name)) << name;
  EXPECT_FALSE(is_consumer_name(std::string(65, 'a')));
  EXPECT_TRUE(is_consumer_name("0desk.mail_all-1"));
  ConsumerRequest from_nowhere;
  from_nowhere.from = "yesterday";
  EXPECT_EQ(consumers->put("desk", from_nowhere, false).error().parameter, "from");
  EXPECT_EQ(fetch("nobody").error().cause, Cause::not_found);
  put("desk");
  EXPECT_EQ(ack("desk", {4}).error().cause, Cause::invalid) << "never delivered";
}

TEST_F(Consuming, ForgetsARemovedConsumerForGood) {
  journal.write_many(3);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk").size(), 3u);
  ASSERT_TRUE(consumers->remove("desk"));
  EXPECT_EQ(consumers->remove("desk").error().cause, Cause::not_found);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk").size(), 3u);
  crash_and_reopen();
  EXPECT_EQ(consumers->list().size(), 1u);
}

TEST_F(Consuming, GivesBackWhatCouldNotBeHandedOver) {
  journal.write_many(2);
  put("desk", R"({"from":"beginning","max_deliver":1})");
  EXPECT_EQ(positions("desk").size(), 2u);
  consumers->undo("desk", {1, 2});
  EXPECT_THAT(positions("desk"), ElementsAre(1, 2));
}

TEST_F(Consuming, TellsWhenSomethingBecameFree) {
  std::vector<std::string> told;
  consumers->on_change([&](const std::string& name) { told.push_back(name); });
  journal.write_many(2);
  put("desk", R"({"from":"beginning"})");
  EXPECT_EQ(positions("desk").size(), 2u);
  EXPECT_THAT(told, IsEmpty());
  ASSERT_TRUE(ack("desk", {1}));
  ASSERT_TRUE(consumers->nack("desk", {feed->at(2)}, 0s));
  EXPECT_THAT(told, ElementsAre("desk", "desk"));
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
  const auto of_the_old_line = [](std::vector<model::Position> which) {
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
  std::ofstream(folder.path() / "positions.db", std::ios::binary | std::ios::trunc);
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
    add("e", 1'000'000, 8);  // no sequence can be that
    add("f", 3, ~0ull >> 1);
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
       {model::Sequence{4, 6}, {9, 1}, {0, 1}, {3, 9}, {3, 1}, {3, 999}, {3, ~0ull}}) {
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
