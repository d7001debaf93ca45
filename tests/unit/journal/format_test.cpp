// SPDX-License-Identifier: Apache-2.0
// Journals of every format that was ever released open on this version and read the same; newer
// ones are refused and left as they are.
#include <sqlite3.h>

#include <map>
#include <sstream>

#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::filesystem::path kFixtures = VOXBUS_FIXTURES;

struct Formats : testing::Test {
  Store store;

  void take(const std::string& fixture) {
    copy_folder(kFixtures / fixture, store.folder());
    // What a checkout made of the permissions does not matter.
    for (const auto& file : files_below(store.folder())) {
      std::filesystem::permissions(
          file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
  }
  void run_sql(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(store.file("journal.db").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  std::map<std::string, std::string> all_bytes() {
    std::map<std::string, std::string> out;
    for (const auto& file : files_below(store.folder())) {
      if (file.filename() != "lock") out[file.string()] = bytes_of(file);
    }
    return out;
  }
};

TEST_F(Formats, OneOpensAndReadsTheSameEvents) {
  take("journal-v1");
  store.open();
  std::string events;
  for (const auto& event : store.events()) events += model::to_cloudevent(event) + '\n';
  EXPECT_EQ(events, bytes_of(kFixtures / "journal-v1" / "events.ndjson"));
  EXPECT_EQ(std::count(events.begin(), events.end(), '\n'), 10);
  EXPECT_EQ(*store.reader().evidence(4), "broken bytes");
  EXPECT_EQ(store.journal().installation(), "test-installation");
  EXPECT_THAT(store.journal().epochs(), SizeIs(1));
  store.expect_whole();
}

TEST_F(Formats, OneGoesOnWhereItStood) {
  take("journal-v1");
  store.open();
  auto mail = store.channel("mail", {Begin::Kind::all, {}});
  EXPECT_EQ(mail.opening().cursor, "cursor of mail");
  EXPECT_EQ(mail.opening().begin, store.clock.now());
  EXPECT_EQ(store.channel("forum", {}, "discourse", "origin-2").opening().cursor,
            "cursor of forum");
  // The ids are known, under the keys they had.
  mail.brings({post("a").says("first").by("mailto:nora@example.org").in("thread 1"),
               post("c").says(std::string(2000, 'x')).raw(std::string(500, 'r')), post("e")});
  EXPECT_EQ(store.channel_stats().duplicates, 2u);
  EXPECT_EQ(line_of(store.events(10).at(0)), "received e/1");
  EXPECT_EQ(store.journal().end().position, 11u);
  store.expect_whole();
}

TEST_F(Formats, NewerThanOursAreRefusedAndLeftAsTheyAre) {
  store.open();
  store.channel().brings({post("a")});
  store.close();
  run_sql("UPDATE meta SET value = '2' WHERE key = 'format'; PRAGMA user_version = 2;");
  const auto before = all_bytes();
  EXPECT_THAT(store.refusal(), HasSubstr("it was written by a newer Voxbus"));
  EXPECT_EQ(all_bytes(), before);
  EXPECT_THAT(verify(store.folder(), {}, {}).error().message, HasSubstr("a newer Voxbus"));
}

// Whole journals that somebody changed with a tool: verify() says what.
struct Verification : Formats {
  void SetUp() override {
    store.open();
    store.channel().brings({post("a").by("x:nora").raw("raw"), post("b"),
                            post("c").quarantined("x"), post("d"), post("e")},
                           "cursor");
    store.close();
  }
  std::vector<std::string> problems() { return store.report().problems; }
};

TEST_F(Verification, FindsAWholeJournalWhole) {
  const auto report = store.report();
  EXPECT_TRUE(report.whole());
  EXPECT_EQ(report.rows, 5u);
  EXPECT_EQ(report.evidence, 1u);
  EXPECT_EQ(report.channels, 1u);
  EXPECT_EQ(report.end, (model::Sequence{1, 5}));
  EXPECT_EQ(report.installation, "test-installation");
}
TEST_F(Verification, WorksBesideARunningDaemon) {
  store.open();
  auto line = store.channel();
  ASSERT_EQ(line.submit({post("f")}), Submit::taken);
  EXPECT_TRUE(store.report().whole());
  line.settle();
  EXPECT_EQ(store.report().rows, 6u);
}
TEST_F(Verification, TellsHowFarItIs) {
  model::Position seen = 0, last = 0;
  ASSERT_TRUE(verify(store.folder(), {}, [&](model::Position at, model::Position end) {
    seen = at;
    last = end;
  }));
  EXPECT_EQ(seen, 5u);
  EXPECT_EQ(last, 5u);
}
TEST_F(Verification, FindsAnAlteredRow) {
  run_sql("UPDATE entries SET recorded = recorded + 1 WHERE position = 2");
  EXPECT_THAT(problems(), testing::Contains("row 2 was altered"));
}
TEST_F(Verification, FindsAMissingRow) {
  run_sql("DELETE FROM entries WHERE position = 4");
  EXPECT_THAT(problems(), testing::Contains("rows 4 to 4 are missing"));
}
TEST_F(Verification, FindsAMissingEnd) {
  run_sql("DELETE FROM entries WHERE position > 3");
  EXPECT_THAT(problems(), testing::Contains("it ends at 3, but 5 was already told"));
}
TEST_F(Verification, FindsExchangedBodies) {
  run_sql(
      "UPDATE entries SET body = (SELECT body FROM entries WHERE position = 5), body_hash = "
      "(SELECT body_hash FROM entries WHERE position = 5) WHERE position = 4");
  EXPECT_THAT(problems(), testing::Contains("row 4 was altered"));
}
TEST_F(Verification, FindsAlteredEvidence) {
  run_sql("UPDATE evidence SET body = zeroblob(40) WHERE position = 1");
  EXPECT_THAT(problems(), testing::Contains("the evidence of row 1 was altered"));
}
TEST_F(Verification, FindsAnAlteredCursor) {
  run_sql("UPDATE channels SET cursor = zeroblob(40)");
  EXPECT_THAT(problems(), testing::Contains("the cursor of channel mail was altered"));
}
TEST_F(Verification, FindsAnIdThatStandsTwice) {
  run_sql("UPDATE entries SET id = (SELECT id FROM entries WHERE position = 1) WHERE position = 2");
  EXPECT_THAT(problems(), testing::Contains("1 ids stand at two positions"));
}
TEST_F(Verification, AcceptsBodiesAndEvidenceThatFellToRetention) {
  run_sql("UPDATE entries SET body = NULL WHERE position <= 2; DELETE FROM evidence");
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(store.report().erased, 2u);
  store.open();
  EXPECT_EQ(store.lines().at(0), "received (no body)");
  EXPECT_EQ(store.lines().at(3), "received d/1");
}
TEST_F(Verification, SaysThatThereIsNoJournal) {
  test::Folder empty{test::in_memory()};
  EXPECT_THAT(verify(empty.path(), {}, {}).error().message, HasSubstr("there is no journal in"));
}
TEST_F(Verification, NeedsTheMasterKey) {
  EXPECT_THAT(verify(store.folder(), random_key(), {}).error().message,
              HasSubstr("the master key is not the one"));
}

}  // namespace
}  // namespace voxbus::journal
