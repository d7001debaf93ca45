// SPDX-License-Identifier: Apache-2.0
#include "journal/intake.hpp"

#include <gmock/gmock.h>

#include <map>

namespace voxbus::journal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

model::Item item(std::string native_id, std::size_t size = 0) {
  model::Item out;
  out.native_id = std::move(native_id);
  out.record = std::string(size, 'x');
  return out;
}

struct Queues : testing::Test {
  static constexpr std::size_t kLimit = 1u << 20;
  Intake intake{"here", kLimit};
  std::map<std::string, std::uint64_t> leases;

  Opening open(const std::string& name, const std::string& origin = "o") {
    auto opening = intake.open({name, "plugin", origin}, {Begin::Kind::all, {}}, TimePoint{});
    leases[name] = opening.lease;
    return opening;
  }
  Submit submit(const std::string& name, std::vector<model::Item> items,
                std::optional<std::string> cursor = {}) {
    return intake.submit(name, leases[name], {std::move(items), std::move(cursor)});
  }
  Taken take(std::size_t items = 1024, std::size_t bytes = 4u << 20) {
    return intake.take(items, bytes, false);
  }
  static std::vector<std::string> ids(const Taken& taken) {
    std::vector<std::string> out;
    for (const auto& entry : taken.items) out.push_back(entry.item.native_id);
    return out;
  }
  static std::string cursor_in(const Taken& taken) {
    return taken.marks.empty() ? "none" : taken.marks.back().cursor;
  }
};

TEST_F(Queues, KeepTheOrderOfAChannel) {
  open("mail");
  ASSERT_EQ(submit("mail", {item("a"), item("b")}), Submit::taken);
  ASSERT_EQ(submit("mail", {item("c")}), Submit::taken);
  EXPECT_THAT(ids(take()), ElementsAre("a", "b", "c"));
  EXPECT_FALSE(intake.has_work(false));
}

TEST_F(Queues, GiveACursorOnlyWithTheLastItemOfItsBatch) {
  open("mail");
  take();  // the mark of the opening itself
  ASSERT_EQ(submit("mail", {item("a"), item("b"), item("c")}, "after c"), Submit::taken);
  const auto first = take(2);
  EXPECT_THAT(ids(first), ElementsAre("a", "b"));
  EXPECT_EQ(cursor_in(first), "none");
  EXPECT_THAT(first.credits, IsEmpty());
  const auto second = take(2);
  EXPECT_THAT(ids(second), ElementsAre("c"));
  EXPECT_EQ(cursor_in(second), "after c");
  ASSERT_EQ(second.credits.size(), 1u);
  EXPECT_EQ(second.credits[0].items, 3u);
  EXPECT_EQ(second.credits[0].batches, 1u);
}

TEST_F(Queues, TakeABatchOfNothingButACursor) {
  open("mail");
  take();
  ASSERT_EQ(submit("mail", {}, "here"), Submit::taken);
  EXPECT_EQ(cursor_in(take()), "here");
}

TEST_F(Queues, DoNotWriteACursorThatDidNotChange) {
  open("mail");
  ASSERT_EQ(submit("mail", {}, "here"), Submit::taken);
  take();
  ASSERT_EQ(submit("mail", {}, "here"), Submit::taken);
  const auto taken = take();
  EXPECT_THAT(taken.marks, IsEmpty());
  EXPECT_EQ(taken.credits.at(0).batches, 1u);
}

TEST_F(Queues, WriteTheNewestOfSeveralCursorsOnce) {
  open("mail");
  take();
  ASSERT_EQ(submit("mail", {item("a")}, "1"), Submit::taken);
  ASSERT_EQ(submit("mail", {item("b")}, "2"), Submit::taken);
  const auto taken = take();
  ASSERT_EQ(taken.marks.size(), 1u);
  EXPECT_EQ(taken.marks[0].cursor, "2");
  EXPECT_EQ(taken.credits.at(0).batches, 2u);
}

TEST_F(Queues, GiveAQuietChannelItsShareBesideOneThatFloods) {
  open("flood");
  open("quiet");
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(submit("flood", {item("f", 10'000), item("f", 10'000)}), Submit::taken);
  }
  ASSERT_EQ(submit("quiet", {item("q1", 10'000), item("q2", 10'000)}), Submit::taken);
  // Room for twenty: the flood takes what one turn allows, then the quiet one comes.
  const auto taken = take(1024, 200'000);
  const auto names = ids(taken);
  EXPECT_EQ(std::count(names.begin(), names.end(), "q1"), 1);
  EXPECT_EQ(std::count(names.begin(), names.end(), "q2"), 1);
}

TEST_F(Queues, ShareByBytesAndNotByItems) {
  open("large");
  open("small");
  for (int i = 0; i < 40; ++i) ASSERT_EQ(submit("large", {item("L", 20'000)}), Submit::taken);
  for (int i = 0; i < 800; ++i) ASSERT_EQ(submit("small", {item("s", 700)}), Submit::taken);
  std::map<std::string, std::size_t> bytes;
  for (int turn = 0; turn < 4; ++turn) {
    for (const auto& entry : take(1024, 130'000).items) {
      bytes[entry.item.native_id] += entry.item.weight();
    }
  }
  EXPECT_GT(bytes["L"], bytes["s"] / 2);
  EXPECT_GT(bytes["s"], bytes["L"] / 2);
}

TEST_F(Queues, ContinueATurnThatAGroupCutShort) {
  open("a");
  open("b");
  for (int i = 0; i < 8; ++i) ASSERT_EQ(submit("a", {item("a")}), Submit::taken);
  for (int i = 0; i < 8; ++i) ASSERT_EQ(submit("b", {item("b")}), Submit::taken);
  EXPECT_THAT(ids(take(4)), ElementsAre("a", "a", "a", "a"));
  EXPECT_THAT(ids(take(8)), ElementsAre("a", "a", "a", "a", "b", "b", "b", "b"));
}

TEST_F(Queues, TakeAnItemLargerThanAGroupAlone) {
  open("mail");
  ASSERT_EQ(submit("mail", {item("a"), item("huge", 500'000), item("b")}), Submit::taken);
  EXPECT_THAT(ids(take(1024, 100'000)), ElementsAre("a"));
  EXPECT_THAT(ids(take(1024, 100'000)), ElementsAre("huge"));
  EXPECT_THAT(ids(take(1024, 100'000)), ElementsAre("b"));
}

TEST_F(Queues, RefuseMoreThanTheLimitAndTakeNothingOfIt) {
  open("mail");
  ASSERT_EQ(submit("mail", {item("a", kLimit / 2)}), Submit::taken);
  EXPECT_EQ(submit("mail", {item("b", kLimit / 2)}), Submit::over_limit);
  take();
  EXPECT_EQ(submit("mail", {item("b", kLimit / 2)}), Submit::taken);
  EXPECT_THAT(ids(take()), ElementsAre("b"));
}

TEST_F(Queues, BoundBatchesWithoutItemsToo) {
  open("mail");
  auto answer = Submit::taken;
  for (std::size_t i = 0; i < kLimit && answer == Submit::taken; ++i) answer = submit("mail", {});
  EXPECT_EQ(answer, Submit::over_limit);
}

TEST_F(Queues, RefuseAnEarlierLease) {
  const auto earlier = open("mail");
  open("mail");
  EXPECT_EQ(intake.submit("mail", earlier.lease, {{item("a")}, "x"}), Submit::stale_lease);
  EXPECT_EQ(submit("mail", {item("b")}), Submit::taken);
}

TEST_F(Queues, DropWhatAnEarlierLeaseHadQueuedTogetherWithItsCursor) {
  open("mail");
  ASSERT_EQ(submit("mail", {item("a")}, "after a"), Submit::taken);
  EXPECT_EQ(open("mail").cursor, "");
  EXPECT_THAT(ids(take()), IsEmpty());
  EXPECT_EQ(intake.queued_items(), 0u);
  EXPECT_EQ(intake.queued_bytes(), 0u);
}

TEST_F(Queues, DropTheRestOfABatchWhenItsChannelCloses) {
  open("mail");
  ASSERT_EQ(submit("mail", {item("a"), item("b")}, "after b"), Submit::taken);
  take(1);
  intake.close("mail", leases["mail"]);
  EXPECT_THAT(ids(take()), IsEmpty());
  EXPECT_EQ(intake.queued_items(), 0u);
  EXPECT_EQ(open("mail").cursor, "");
}

TEST_F(Queues, GiveTheNextOpeningTheCursorOfWhatWasTaken) {
  EXPECT_TRUE(open("mail").new_origin);
  ASSERT_EQ(submit("mail", {item("a")}, "after a"), Submit::taken);
  take();
  const auto opening = open("mail");
  EXPECT_EQ(opening.cursor, "after a");
  EXPECT_FALSE(opening.new_origin);
}

TEST_F(Queues, NeverGiveACursorToAnotherOrigin) {
  open("mail", "one server");
  ASSERT_EQ(submit("mail", {item("a")}, "after a"), Submit::taken);
  take();
  const auto other = open("mail", "another server");
  EXPECT_EQ(other.cursor, "");
  EXPECT_TRUE(other.new_origin);
  EXPECT_EQ(open("mail", "one server").cursor, "after a");
}

TEST_F(Queues, KeepTheBeginOfTheFirstOpening) {
  const TimePoint noon{std::chrono::hours(12)};
  const auto first = intake.open({"mail", "p", "o"}, {Begin::Kind::now, {}}, noon);
  const auto second =
      intake.open({"mail", "p", "o"}, {Begin::Kind::date, TimePoint{}}, noon + seconds(5));
  EXPECT_EQ(first.begin, noon);
  EXPECT_EQ(second.begin, noon);
}

TEST_F(Queues, TakeFactsFirstAndWhileChannelsWait) {
  open("mail");
  ASSERT_EQ(submit("mail", {item("a")}), Submit::taken);
  PendingFact pending;
  pending.fact.type = "t";
  intake.add(std::move(pending));
  EXPECT_TRUE(intake.has_work(true));
  const auto taken = intake.take(1024, 1u << 20, true);
  EXPECT_EQ(taken.facts.size(), 1u);
  EXPECT_THAT(taken.items, IsEmpty());
  EXPECT_FALSE(intake.has_work(true));
  EXPECT_TRUE(intake.has_work(false));
}

}  // namespace
}  // namespace voxbus::journal
