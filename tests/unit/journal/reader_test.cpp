// SPDX-License-Identifier: Apache-2.0
#include "journal/reader.hpp"

#include <sqlite3.h>

#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Readers : testing::Test {
  Store store;
  void bring(int count, std::size_t size = 10) {
    store.open();
    std::vector<model::Item> items;
    for (int i = 1; i <= count; ++i) {
      items.push_back(post("n" + std::to_string(i)).says(std::string(size, 'x')));
    }
    store.channel().brings(std::move(items));
  }
  std::vector<model::Position> positions(model::Position after, std::size_t count,
                                         std::size_t bytes) {
    std::vector<model::Position> out;
    for (const auto& event : *store.reader().read(after, count, bytes)) {
      out.push_back(event.sequence.position);
    }
    return out;
  }
};

TEST_F(Readers, GiveWhatFollowsAPositionUpToACount) {
  bring(5);
  EXPECT_THAT(positions(1, 3, 1u << 20), ElementsAre(2, 3, 4));
  EXPECT_THAT(positions(4, 3, 1u << 20), ElementsAre(5));
  EXPECT_THAT(positions(5, 3, 1u << 20), IsEmpty());
  EXPECT_THAT(positions(0, 0, 1u << 20), IsEmpty());
}

TEST_F(Readers, StopAtABoundOfBytesButGiveAtLeastOne) {
  bring(5, 1000);
  EXPECT_THAT(positions(0, 100, 1), ElementsAre(1));
  EXPECT_THAT(positions(0, 100, 2500), ElementsAre(1, 2, 3));
}

TEST_F(Readers, ReadMoreThanOneTransactionHolds) {
  bring(3000);
  EXPECT_THAT(positions(0, 5000, 1u << 30), SizeIs(3000));
}

TEST_F(Readers, SeeWhatIsCommittedAfterTheyWereMade) {
  bring(1);
  EXPECT_THAT(store.lines(), SizeIs(1));
  store.channel("forum").brings({post("other")});  // with a name that is new
  EXPECT_THAT(store.lines(), ElementsAre("received n1/1", "received other/1"));
}

TEST_F(Readers, KeepNoTransactionOpen) {
  bring(100);
  static_cast<void>(positions(0, 10, 1u << 20));
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(store.file("journal.db").c_str(), &db), SQLITE_OK);
  // Succeeds only when nobody reads and nobody writes.
  EXPECT_EQ(sqlite3_wal_checkpoint_v2(db, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(db);
}

TEST_F(Readers, FindOneEvent) {
  bring(3);
  EXPECT_EQ(line_of(*store.reader().at(2)), "received n2/1");
  EXPECT_THAT(store.reader().at(4).error().message, HasSubstr("no event at position 4"));
}

TEST_F(Readers, SayThatThereIsNoEvidence) {
  bring(1);
  EXPECT_THAT(store.reader().evidence(1).error().message, HasSubstr("no raw evidence is kept"));
  EXPECT_THAT(store.reader().evidence(9).error().message, HasSubstr("no event at position 9"));
}

TEST_F(Readers, FindRareAndOrdinaryTypes) {
  store.open();
  store.channel().brings({post("a"), post("b").quarantined("x"), post("a").says("2"),
                          post("c").quarantined("y"), post("d")});
  const auto lines = [&](std::string_view type, model::Position after, std::size_t max) {
    std::vector<std::string> out;
    for (const auto& event : *store.reader().of_type(type, after, max)) {
      out.push_back(line_of(event));
    }
    return out;
  };
  EXPECT_THAT(lines(model::type::kQuarantined, 0, 9),
              ElementsAre("quarantined b/1", "quarantined c/1"));
  EXPECT_THAT(lines(model::type::kQuarantined, 2, 9), ElementsAre("quarantined c/1"));
  EXPECT_THAT(lines(model::type::kQuarantined, 0, 1), ElementsAre("quarantined b/1"));
  EXPECT_THAT(lines(model::type::kReceived, 0, 9), ElementsAre("received a/1", "received d/1"));
  EXPECT_THAT(lines(model::type::kRevised, 0, 9), ElementsAre("revised a/2"));
  EXPECT_THAT(lines("org.voxbus.never.seen.v1", 0, 9), IsEmpty());
}

TEST_F(Readers, SayWhetherSomethingNewerOfItCame) {
  store.open();
  store.channel().brings({post("a").quarantined("x"), post("b").quarantined("y")});
  store.channel().brings({post("a").says("readable")});
  EXPECT_EQ(store.reader().is_latest(1).value(), false);
  EXPECT_EQ(store.reader().is_latest(2).value(), true);
  EXPECT_EQ(store.reader().is_latest(3).value(), true);
  EXPECT_THAT(store.reader().is_latest(9).error().message, HasSubstr("no event at position 9"));
}

TEST_F(Readers, FindTheFirstEventSinceATime) {
  store.open();
  const auto start = store.clock.now();
  for (int i = 0; i < 20; ++i) {
    store.channel().brings({post("a" + std::to_string(i)), post("b" + std::to_string(i))});
    store.clock.advance(std::chrono::minutes(1));
  }
  const auto since = [&](TimePoint time) { return *store.reader().first_since(time); };
  EXPECT_EQ(since(start - seconds(1)), 1u);
  EXPECT_EQ(since(start), 1u);
  EXPECT_EQ(since(start + seconds(1)), 3u);
  EXPECT_EQ(since(start + std::chrono::minutes(7)), 15u);
  EXPECT_EQ(since(start + std::chrono::hours(1)), 41u);
}

TEST_F(Readers, FindNothingInAnEmptyJournal) {
  store.open();
  EXPECT_THAT(store.lines(), IsEmpty());
  EXPECT_EQ(*store.reader().first_since(TimePoint{}), 1u);
}

}  // namespace
}  // namespace voxbus::journal
