// SPDX-License-Identifier: Apache-2.0
// What a consumer is given, may settle and is refused. What happens to it when the journal or its
// own file is not what it was: consumers_recovery_test.cpp.
#include <gmock/gmock.h>

#include "consumers_fixture.hpp"

namespace voxbus::bus {
namespace {

using namespace std::chrono_literals;
using test::Consuming;
using testing::ElementsAre;
using testing::IsEmpty;
using Cause = Refusal::Cause;

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
  EXPECT_EQ(ack("desk", {4}).error().cause, Cause::invalid) << "never was on the bus";
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

}  // namespace
}  // namespace voxbus::bus
