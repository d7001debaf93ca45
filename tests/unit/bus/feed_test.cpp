// SPDX-License-Identifier: Apache-2.0
#include "bus/feed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bus_fixture.hpp"

namespace voxbus::bus {
namespace {

using test::BusJournal;

// Waits until a subscriber was told `count` times at least.
class Told {
 public:
  void operator()() {
    count_.with([](auto& count) { ++count; });
    count_.notify_all();
  }
  [[nodiscard]] bool wait(std::size_t wanted) {
    return count_.when_for(
        test::kPatience, [&](const auto& count) { return count >= wanted; },
        [](const auto&, bool holds) { return holds; });
  }
  [[nodiscard]] std::size_t count() const {
    return count_.with([](const auto& count) { return count; });
  }

 private:
  Guarded<std::size_t> count_{0u};
};

std::vector<std::string> texts(const std::vector<SharedEvent>& events) {
  std::vector<std::string> out;
  for (const auto& event : events) out.push_back(event->facets().text);
  return out;
}

// Everything after `after`, page by page.
std::vector<SharedEvent> read_all(Feed& feed, model::Position after, const Filter& filter,
                                  PageLimits limits) {
  std::vector<SharedEvent> all;
  for (int pages = 0; pages < 100'000; ++pages) {
    auto page = feed.page(after, filter, limits);
    EXPECT_TRUE(page) << page.error().message;
    if (!page) break;
    all.insert(all.end(), page->events.begin(), page->events.end());
    EXPECT_GE(page->next, after);
    after = page->next;
    if (page->at_end) break;
  }
  return all;
}

TEST(Feed, GivesEverythingOnceAndInOrderFromTheDisk) {
  BusJournal journal;
  journal.write_many(1200);
  Feed feed(*journal);
  const auto all = read_all(feed, 0, {}, {.events = 37, .bytes = 1 << 20});
  ASSERT_EQ(all.size(), 1200u);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i]->position(), i + 1);
}

TEST(Feed, TellsSubscribersAndServesThemFromTheRing) {
  BusJournal journal;
  Feed feed(*journal);
  Told told;
  const auto subscription = feed.subscribe(std::ref(told));
  journal.write_many(10);
  ASSERT_TRUE(told.wait(1));
  const auto page = feed.recent(0, {}, {});
  ASSERT_TRUE(page) << "the ring reaches back to the subscription";
  EXPECT_EQ(page->events.size(), 10u);
  EXPECT_TRUE(page->at_end);
  EXPECT_EQ(feed.page(0, {}, {})->events.front(), page->events.front()) << "one rendering for all";
}

TEST(Feed, SendsSlowReadersToTheDiskWhenTheRingHasMovedOn) {
  BusJournal journal;
  Feed feed(*journal, {.ring_events = 8});
  Told told;
  const auto subscription = feed.subscribe(std::ref(told));
  journal.write_many(50);
  ASSERT_TRUE(told.wait(1));
  EXPECT_FALSE(feed.recent(0, {}, {}));
  EXPECT_TRUE(feed.recent(45, {}, {}));
  EXPECT_EQ(read_all(feed, 0, {}, {}).size(), 50u);
}

TEST(Feed, KeepsTheRingWithinItsBytes) {
  BusJournal journal;
  Feed feed(*journal, {.ring_bytes = 100'000});
  Told told;
  const auto subscription = feed.subscribe(std::ref(told));
  for (int i = 0; i < 20; ++i) journal.write({.text = std::string(20'000, 'x')});
  ASSERT_TRUE(told.wait(1));
  EXPECT_FALSE(feed.recent(10, {}, {}));
}

TEST(Feed, ReadsNothingAheadWhileNobodyListens) {
  BusJournal journal;
  Feed feed(*journal);
  {
    Told told;
    const auto subscription = feed.subscribe(std::ref(told));
    journal.write_many(5);
    ASSERT_TRUE(told.wait(1));
  }
  journal.write_many(5);
  EXPECT_EQ(read_all(feed, 0, {}, {}).size(), 10u) << "what was written since is on the disk";
}

TEST(Feed, ShowsAWriterItsOwnWordsAtOnce) {
  BusJournal journal;
  Feed feed(*journal);
  for (int i = 0; i < 50; ++i) {
    journal.write({.text = std::to_string(i)});
    EXPECT_EQ(read_all(feed, journal.end() - 1, {}, {}).size(), 1u);
  }
}

TEST(Feed, MovesPastWhatTheFilterLeavesOut) {
  BusJournal journal;
  journal.write_many(300, {.channel = "noise"});
  journal.write({.channel = "support", .text = "rare"});
  journal.write_many(300, {.channel = "noise"});
  Feed feed(*journal);
  Filter filter;
  ASSERT_TRUE(filter.add("channel", "support"));
  const auto page = feed.page(0, filter, {.scan_events = 100});
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->events.empty());
  EXPECT_EQ(page->next, 100u);
  EXPECT_FALSE(page->at_end);
  const auto all = read_all(feed, 0, filter, {.scan_events = 100});
  EXPECT_THAT(texts(all), testing::ElementsAre("rare"));
}

TEST(Feed, KeepsAPageWithinItsBytesButGivesOneInAnyCase) {
  BusJournal journal;
  for (int i = 0; i < 4; ++i) journal.write({.text = std::string(50'000, 'x')});
  Feed feed(*journal);
  EXPECT_EQ(feed.page(0, {}, {.bytes = 120'000})->events.size(), 2u);
  EXPECT_EQ(feed.page(0, {}, {.bytes = 10})->events.size(), 1u);
}

TEST(Feed, FindsPlacesByWordBySequenceAndByTime) {
  test::ManualClock clock;
  BusJournal journal(&clock);
  journal.write_many(5);
  clock.pass(std::chrono::hours(1));
  const auto noon = clock.now();
  journal.write_many(5);
  Feed feed(*journal);
  const auto after = [&](std::string_view from) {
    const auto start = feed.resolve(from);
    EXPECT_EQ(start.outcome, Start::Outcome::found) << from << ": " << start.problem;
    return start.after;
  };
  EXPECT_EQ(after("now"), 10u);
  EXPECT_EQ(after("beginning"), 0u);
  EXPECT_EQ(after(model::format(feed.at(7))), 7u);
  EXPECT_EQ(after(format_rfc3339(noon)), 5u);
  EXPECT_EQ(after("2020-01-01"), 0u);
  EXPECT_EQ(after("2099-01-01"), 10u);
  EXPECT_EQ(after("2099-01-01T00:00:00 02:00"), 10u)
      << "a plus that a query string turned into a space";
  for (const auto* bad : {"", "yesterday", "7", "0009.000000000000000001", "0001.x"}) {
    EXPECT_EQ(feed.resolve(bad).outcome, Start::Outcome::invalid) << bad;
  }
}

TEST(Feed, RefusesAPlaceBeyondTheEndInsteadOfTakingItForNow) {
  BusJournal journal;
  journal.write_many(5);
  Feed feed(*journal);
  for (const auto* beyond :
       {"0001.000000000000000006", "0001.999999999999999999", "0001.18446744073709551615"}) {
    const auto start = feed.resolve(beyond);
    EXPECT_EQ(start.outcome, Start::Outcome::invalid) << beyond;
    EXPECT_THAT(start.problem, testing::HasSubstr("another journal or a lost tail"));
    EXPECT_THAT(start.problem, testing::HasSubstr("now or beginning"));
  }
  EXPECT_EQ(feed.resolve(feed.end()).outcome, Start::Outcome::found);
  journal.write({});
  EXPECT_EQ(feed.resolve("0001.000000000000000006").after, 6u) << "once it was written it is one";
}

TEST(Feed, GoesOnAtTheNewEpochWhereATailWasLost) {
  BusJournal journal;
  journal.write_many(5);
  journal.remember();
  journal.write_many(5);
  journal.lose_what_came_since();
  ASSERT_EQ(journal->epochs().size(), 2u);
  journal.write_many(3);
  Feed feed(*journal);
  const auto first = journal->epochs()[1].first;
  EXPECT_EQ(feed.at(first - 1).epoch, 1u);
  const auto now = journal->epochs()[1].epoch;
  EXPECT_EQ(feed.at(first).epoch, now);
  const auto after = [&](model::Sequence sequence) { return feed.resolve(sequence).after; };
  EXPECT_EQ(after({1, 3}), 3u) << "both lines have it";
  EXPECT_EQ(after({1, 10}), first - 1) << "lost: its successors were never read";
  EXPECT_EQ(after({now, first}), first);
  EXPECT_EQ(after({now, first - 1}), first - 1) << "the end, as it was said before the first event";
  EXPECT_EQ(read_all(feed, after({1, 10}), {}, {}).size(), 3u);
  EXPECT_EQ(after({1, ~0ull}), first - 1) << "however far the lost line had come";
  for (const model::Sequence strange :
       {model::Sequence{now, first + 3}, {now, first - 2}, {now + 1, 1}, {0, 1}})
    EXPECT_EQ(feed.resolve(strange).outcome, Start::Outcome::invalid) << model::format(strange);
}

TEST(Feed, SaysWhatIsNoLongerHeldAndStartsAtTheOldest) {
  BusJournal journal;
  journal.write_many(4300);
  journal.drop_before(51);
  Feed feed(*journal);
  EXPECT_EQ(feed.oldest().position, 51u);
  EXPECT_EQ(feed.resolve(feed.at(49)).outcome, Start::Outcome::gone);
  EXPECT_EQ(feed.resolve(feed.at(50)).outcome, Start::Outcome::found);
  EXPECT_EQ(feed.resolve("beginning").after, 50u);
  EXPECT_EQ(feed.page(7, {}, {})->events.front()->position(), 51u);
}

TEST(Feed, GivesOneEventAndItsEvidence) {
  BusJournal journal;
  journal.write({.text = "words", .native_id = "m1"});
  Feed feed(*journal);
  EXPECT_EQ((*feed.event(1))->facets().text, "words");
  EXPECT_EQ(*feed.evidence(1), "raw of m1");
  EXPECT_FALSE(feed.event(2));
}

TEST(Feed, CallsNobodyAfterTheSubscriptionIsGone) {
  BusJournal journal;
  Feed feed(*journal);
  Told first, second;
  auto subscription = feed.subscribe(std::ref(first));
  const auto other = feed.subscribe(std::ref(second));
  subscription.reset();
  journal.write({});
  ASSERT_TRUE(second.wait(1));
  EXPECT_EQ(first.count(), 0u);
}

}  // namespace
}  // namespace voxbus::bus
