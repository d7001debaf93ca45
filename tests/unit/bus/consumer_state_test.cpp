// SPDX-License-Identifier: Apache-2.0
#include "bus/consumer_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus/positions.hpp"

namespace voxbus::bus {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using Acked = ConsumerState::Acked;

class Owing : public testing::Test {
 protected:
  ConsumerState make(DeliveryRules rules) { return ConsumerState(rules, {}); }
  ConsumerState::Time at(std::chrono::milliseconds time) { return ConsumerState::Time(1h) + time; }
  ConsumerState::Time now = ConsumerState::Time(1h);
};

TEST_F(Owing, MovesTheFloorOnlyPastWhatIsSettled) {
  auto state = make({});
  for (model::Position p : {1, 2, 3}) EXPECT_TRUE(state.offer(p, 0, "a", now));
  EXPECT_EQ(state.floor(), 0u);
  EXPECT_EQ(state.ack(2), Acked::now);
  EXPECT_EQ(state.floor(), 0u);
  EXPECT_EQ(state.ack(1), Acked::now);
  EXPECT_EQ(state.floor(), 2u);
  EXPECT_EQ(state.ack(1), Acked::before);
  EXPECT_EQ(state.ack(4), Acked::never_delivered);
  EXPECT_EQ(state.ack(3), Acked::now);
  EXPECT_EQ(state.floor(), 3u);
}

TEST_F(Owing, PassesOverWhatAFilterLeavesOut) {
  auto state = make({});
  EXPECT_TRUE(state.offer(5, 0, "a", now));
  state.pass(900);
  EXPECT_EQ(state.floor(), 4u);
  EXPECT_EQ(state.ack(5), Acked::now);
  EXPECT_EQ(state.floor(), 900u);
}

TEST_F(Owing, DeliversAgainWhatWasNotAcknowledgedInTime) {
  auto state = make({.ack_within = 30s});
  EXPECT_TRUE(state.offer(1, 0, "a", now));
  EXPECT_THAT(state.expire(at(29s)), IsEmpty());
  EXPECT_THAT(state.redeliver("b", 10, at(29s)), IsEmpty());
  EXPECT_EQ(state.next_due(at(29s)), at(30s));
  EXPECT_THAT(state.expire(at(30s)), IsEmpty());
  EXPECT_THAT(state.redeliver("b", 10, at(30s)), ElementsAre(Delivery{1, 2}));
  EXPECT_EQ(state.in_flight(), 1u);
}

TEST_F(Owing, ParksAfterTheLastDelivery) {
  auto state = make({.ack_within = 1s, .max_deliver = 2});
  EXPECT_TRUE(state.offer(1, 0, "a", now));
  EXPECT_TRUE(state.offer(2, 0, "a", now));
  EXPECT_EQ(state.ack(2), Acked::now);
  EXPECT_THAT(state.expire(at(1s)), IsEmpty());
  EXPECT_EQ(state.redeliver("a", 1, at(1s)).size(), 1u);
  EXPECT_THAT(state.expire(at(2s)), ElementsAre(1u));
  EXPECT_EQ(state.floor(), 2u);
  EXPECT_EQ(state.open(), 0u);
}

TEST_F(Owing, GivesBackAfterTheDelayThatWasAsked) {
  auto state = make({.max_deliver = 2});
  EXPECT_TRUE(state.offer(1, 0, "a", now));
  EXPECT_FALSE(state.nack(1, 10s, now));
  EXPECT_THAT(state.redeliver("a", 1, at(9s)), IsEmpty());
  EXPECT_EQ(state.next_due(at(9s)), at(10s));
  EXPECT_THAT(state.redeliver("a", 1, at(10s)), ElementsAre(Delivery{1, 2}));
  EXPECT_TRUE(state.nack(1, 0s, at(10s))) << "its deliveries are used up: parked";
  EXPECT_EQ(state.floor(), 1u);
}

TEST_F(Owing, NeverHasMoreInFlightThanItMay) {
  auto state = make({.max_in_flight = 2});
  EXPECT_TRUE(state.offer(1, 0, "a", now));
  EXPECT_TRUE(state.has_room());
  EXPECT_TRUE(state.offer(2, 0, "a", now));
  EXPECT_FALSE(state.has_room());
  EXPECT_EQ(state.ack(2), Acked::now);
  EXPECT_TRUE(state.has_room());
}

TEST_F(Owing, KeepsAKeyWithOneMemberAtATime) {
  auto state = make({.group = true});
  EXPECT_TRUE(state.offer(1, 7, "a", now));
  EXPECT_FALSE(state.offer(2, 7, "b", now)) << "kept for a";
  EXPECT_TRUE(state.offer(3, 8, "b", now));
  EXPECT_THAT(state.redeliver("b", 10, now), IsEmpty());
  EXPECT_THAT(state.redeliver("a", 10, now), ElementsAre(Delivery{2, 1}));
  EXPECT_EQ(state.ack(1), Acked::now);
  EXPECT_FALSE(state.offer(4, 7, "b", now)) << "2 is still with a";
  EXPECT_EQ(state.ack(2), Acked::now);
  EXPECT_THAT(state.redeliver("b", 10, now), ElementsAre(Delivery{4, 1}));
}

TEST_F(Owing, SharesFreelyWithoutAGroup) {
  auto state = make({});
  EXPECT_TRUE(state.offer(1, 7, "a", now));
  EXPECT_TRUE(state.offer(2, 7, "b", now));
}

TEST_F(Owing, BoundsWhatItKeepsForABusyMember) {
  auto state = make({.max_in_flight = 2, .group = true});
  EXPECT_TRUE(state.offer(1, 7, "a", now));
  for (model::Position p : {2, 3, 4}) {
    ASSERT_TRUE(state.has_room());
    EXPECT_FALSE(state.offer(p, 7, "b", now));
  }
  EXPECT_FALSE(state.has_room());
  EXPECT_EQ(state.next_due(now), at(30s)) << "only the lease can end the wait";
}

TEST_F(Owing, CountsNoAttemptThatWasNotHandedOver) {
  auto state = make({.max_deliver = 1});
  EXPECT_TRUE(state.offer(1, 7, "a", now));
  state.undo(1);
  EXPECT_EQ(state.in_flight(), 0u);
  EXPECT_THAT(state.redeliver("b", 1, now), ElementsAre(Delivery{1, 1}));
}

TEST_F(Owing, AcknowledgesEverythingDeliveredUpToAPosition) {
  auto state = make({});
  for (model::Position p : {1, 2, 3}) EXPECT_TRUE(state.offer(p, 0, "a", now));
  EXPECT_TRUE(state.ack_through(2));
  EXPECT_EQ(state.floor(), 2u);
  EXPECT_FALSE(state.ack_through(4));
}

TEST_F(Owing, TakesParkedEventsUpAgainWithoutGoingBack) {
  auto state = make({.max_deliver = 1});
  EXPECT_TRUE(state.offer(1, 0, "a", now));
  EXPECT_TRUE(state.nack(1, 0s, now));
  state.pass(50);
  EXPECT_EQ(state.floor(), 50u);
  ASSERT_TRUE(state.has_room_again());
  state.reopen(1, 0, now);
  EXPECT_EQ(state.floor(), 50u);
  EXPECT_THAT(state.redeliver("a", 5, now), ElementsAre(Delivery{1, 1}));
  EXPECT_EQ(state.ack(1), Acked::now);
}

TEST_F(Owing, KeepsAKeyTogetherThatIsTakenUpAgain) {
  auto state = make({.max_deliver = 1, .group = true});
  for (model::Position p : {1, 2}) {
    EXPECT_TRUE(state.offer(p, 7, "a", now));
    EXPECT_TRUE(state.nack(p, 0s, now)) << "parked";
  }
  state.reopen(1, 7, now);
  state.reopen(2, 7, now);
  EXPECT_THAT(state.redeliver("a", 1, now), ElementsAre(Delivery{1, 1}));
  EXPECT_THAT(state.redeliver("b", 1, now), IsEmpty()) << "its conversation is with a";
  EXPECT_EQ(state.ack(1), Acked::now);
  EXPECT_THAT(state.redeliver("b", 1, now), ElementsAre(Delivery{2, 1}));
}

TEST_F(Owing, RemembersAcrossARestartWhatIsOpen) {
  auto state = make({});
  for (model::Position p : {3, 4, 5}) EXPECT_TRUE(state.offer(p, 9, "a", now));
  EXPECT_EQ(state.ack(4), Acked::now);
  ConsumerState again({}, state.snapshot());
  EXPECT_EQ(again.head(), 5u);
  EXPECT_EQ(again.floor(), 2u);
  EXPECT_THAT(again.redeliver("a", 10, now), ElementsAre(Delivery{3, 2}, Delivery{5, 2}));
}

TEST(OpenList, ComesBackAsItWasWritten) {
  const std::vector<ConsumerState::Open> open = {{7, 1, 0}, {9, 2, 0}, {1ull << 62, 1000, ~0ull}};
  EXPECT_EQ(encode_open({{7, 1, 0}, {9, 2, 0}}), std::string("\x07\x01\x00\x02\x02\x00", 6));
  const auto back = decode_open(encode_open(open));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, open);
  EXPECT_FALSE(decode_open(std::string_view("\x07\x01", 2)));
  EXPECT_FALSE(decode_open(std::string(11, '\xFF')));
}

}  // namespace
}  // namespace voxbus::bus
