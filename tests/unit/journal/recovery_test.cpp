// SPDX-License-Identifier: Apache-2.0
// What a start makes of files that were lost, put back from another time, or cut.
#include <sys/stat.h>

#include <set>

#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Starts : testing::Test {
  Store store;
  test::Folder aside{test::in_memory()};

  void bring(std::initializer_list<const char*> ids, const std::string& cursor) {
    std::vector<model::Item> items;
    for (const auto* id : ids) items.push_back(post(id).by("x:" + std::string(id)));
    store.channel().brings(std::move(items), cursor);
  }
  void keep_aside() { copy_folder(store.folder(), aside.path() / "kept"); }
  void put_back(const std::string& name) {
    const auto from = aside.path() / "kept" / name;
    std::filesystem::remove_all(store.file(name));
    std::filesystem::copy(from, store.file(name), std::filesystem::copy_options::recursive);
  }
};

// Over the files that are there: their inodes stay.
TEST_F(Starts, BeginANewEpochInACopyThatWasWrittenOverTheFiles) {
  store.open();
  bring({"a"}, "1");
  store.close();
  keep_aside();
  store.open();
  bring({"b"}, "2");
  store.close();
  const auto inode = [&] {
    struct stat status {};
    EXPECT_EQ(::stat(store.file("anchor").c_str(), &status), 0);
    return status.st_ino;
  };
  const auto before = inode();
  std::filesystem::copy(
      aside.path() / "kept", store.folder(),
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  ASSERT_EQ(inode(), before);
  store.open();
  EXPECT_THAT(store.journal().epochs(), SizeIs(2));
  bring({"c"}, "3");
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received c/1"));
}

TEST_F(Starts, NeverBeginTheSameEpochTwiceFromTheSameCopy) {
  store.open();
  bring({"a"}, "1");
  store.close();
  const auto kept = aside.path() / "whole";
  std::filesystem::copy(store.folder(), kept, std::filesystem::copy_options::recursive);
  std::set<std::string> sequences;
  for (const auto* id : {"b", "c", "d"}) {
    store.clock.advance(std::chrono::minutes(1));
    std::filesystem::remove_all(store.folder());
    std::filesystem::copy(kept, store.folder(), std::filesystem::copy_options::recursive);
    store.open();
    bring({id}, "2");
    sequences.insert(model::format(store.events().back().sequence));
    store.close();
  }
  EXPECT_THAT(sequences, SizeIs(3)) << "each names one event";
}

TEST_F(Starts, RebuildALostIndex) {
  store.open();
  bring({"a", "b"}, "1");
  store.close();
  std::filesystem::remove_all(store.file("index"));
  store.open();
  bring({"a", "b", "c"}, "2");
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1", "received c/1"));
  store.expect_whole();
}

TEST_F(Starts, ReadTheTailBehindAnIndexThatIsOlder) {
  store.open();
  bring({"a"}, "1");
  store.close();
  keep_aside();
  store.open();
  bring({"b", "c"}, "2");
  store.close();
  put_back("index");
  store.open();
  bring({"a", "b", "c"}, "3");
  EXPECT_THAT(store.events(), SizeIs(3));
}

// Witness and all: nothing else in it is older than the rest.
TEST_F(Starts, BeginANewEpochInAWholeCopyThatWasPutBack) {
  store.open();
  bring({"a"}, "1");
  store.close();
  const auto kept = aside.path() / "whole";
  std::filesystem::copy(store.folder(), kept, std::filesystem::copy_options::recursive);
  store.open();
  bring({"b"}, "2");
  store.close();
  std::filesystem::remove_all(store.folder());
  std::filesystem::copy(kept, store.folder(), std::filesystem::copy_options::recursive);
  store.open();
  EXPECT_THAT(store.journal().epochs(), SizeIs(2));
  bring({"c"}, "3");
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received c/1"));
  EXPECT_EQ(store.events().back().sequence.epoch, store.journal().epochs().back().epoch);
  store.reopen();
  EXPECT_THAT(store.journal().epochs(), SizeIs(2)) << "once";
  store.expect_whole();
}

TEST_F(Starts, RebuildAnIndexThatIsAheadOfItsJournal) {
  store.open();
  bring({"a"}, "1");
  store.close();
  keep_aside();
  store.open();
  bring({"b", "c"}, "2");
  store.close();
  put_back("journal.db");
  put_back("witness");
  store.open();
  bring({"a", "b", "c"}, "3");
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1", "received c/1"));
}

// A backup is put back whole, witness included: only who was told more can tell.
TEST_F(Starts, BeginANewEpochWhereAnOlderCopyWasPutBack) {
  store.open();
  bring({"a"}, "1");
  store.close();
  keep_aside();
  store.open();
  bring({"b", "c"}, "2");
  const auto told = store.journal().end();
  store.close();
  put_back("journal.db");
  put_back("witness");
  store.options.told = told;
  store.open();
  EXPECT_GT(store.journal().end().epoch, told.epoch);
  const auto begun = store.journal().end().epoch;
  EXPECT_EQ(store.journal().epochs().back().first, 2u) << "behind what is left";
  bring({"b", "d"}, "3");
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1", "received d/1"));
  store.reopen();
  EXPECT_EQ(store.journal().end().epoch, begun) << "once is enough";
}

TEST_F(Starts, GoOnWhereConsumersWereToldNoMoreThanThereIs) {
  store.open();
  bring({"a", "b"}, "1");
  const auto end = store.journal().end();
  store.close();
  std::filesystem::remove(store.file("witness"));  // as a power cut may leave it
  store.options.told = end;
  store.open();
  EXPECT_EQ(store.journal().end(), end);
}

TEST_F(Starts, BeginANewEpochAlsoWhereTheWholeJournalIsGone) {
  store.options.told = model::Sequence{3, 17};
  store.open();
  EXPECT_GT(store.journal().end().epoch, 3u);
  bring({"a"}, "1");
  EXPECT_EQ(store.journal().end().position, 1u);
}

TEST_F(Starts, BeginANewEpochWhereAPersonSaysThatItWasPutBack) {
  store.open();
  bring({"a"}, "1");
  const auto before = store.journal().end();
  EXPECT_FALSE(Journal::note_restored(store.options.directory)) << "while it is open";
  store.close();
  ASSERT_TRUE(Journal::note_restored(store.options.directory));
  store.open();
  const auto begun = store.journal().end().epoch;
  EXPECT_GT(begun, before.epoch);
  EXPECT_THAT(store.lines(), ElementsAre("received a/1"));
  store.reopen();
  EXPECT_EQ(store.journal().end().epoch, begun);
}

TEST_F(Starts, RebuildAnIndexThatIsDamaged) {
  store.open();
  bring({"a", "b"}, "1");
  store.close();
  for (const auto& file : files_below(store.file("index"))) {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  }
  store.open();
  bring({"a", "b"}, "2");
  EXPECT_THAT(store.events(), SizeIs(2));
}

TEST_F(Starts, RebuildTheIndexOfAnotherJournal) {
  Store other;
  other.open();
  other.channel().brings({post("x"), post("y")});
  other.close();
  store.open();
  bring({"a", "b"}, "1");
  store.close();
  std::filesystem::remove_all(store.file("index"));
  std::filesystem::copy(other.file("index"), store.file("index"));
  store.open();
  bring({"a", "b"}, "2");
  EXPECT_THAT(store.events(), SizeIs(2));
}

TEST_F(Starts, GiveNewKeysAfterTheIndexIsLost) {
  store.open();
  bring({"a", "b"}, "1");
  store.close();
  std::filesystem::remove_all(store.file("index"));
  store.open();
  bring({"c"}, "2");
  // Erasing the newest author takes nothing of the others.
  store.expect_whole();
  EXPECT_THAT(store.lines(), SizeIs(3));
}

TEST_F(Starts, BeginANewEpochWhereTheEndWasLost) {
  store.open();
  bring({"a"}, "1");
  store.close();
  keep_aside();
  store.open();
  bring({"b", "c"}, "2");
  const auto lost = store.events().at(1).sequence;
  store.close();
  put_back("journal.db");  // an older one; the witness knows better
  store.open();
  EXPECT_EQ(store.journal().stats().rows_lost, 2u);
  ASSERT_THAT(store.journal().epochs(), SizeIs(2));
  EXPECT_GT(store.journal().epochs()[1].epoch, 1u);
  EXPECT_THAT(store.journal().epochs()[1].reason, HasSubstr("2 rows were lost"));
  // The cursor went back with the rows, so the plugin brings them again.
  EXPECT_EQ(store.channel().opening().cursor, "1");
  bring({"b", "c"}, "2");
  const auto events = store.events();
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_NE(events[1].sequence, lost);
  EXPECT_GT(events[1].sequence, lost);
  EXPECT_GT(events[1].sequence.position, 3u);  // no position means two things
  store.expect_whole();
  store.reopen();
  EXPECT_THAT(store.journal().epochs(), SizeIs(2));
  EXPECT_THAT(store.events(), SizeIs(3));
}

TEST_F(Starts, BeginANewEpochWhereTheWholeFileWasLost) {
  store.open();
  bring({"a", "b"}, "1");
  store.close();
  std::filesystem::remove(store.file("journal.db"));
  store.open();
  EXPECT_THAT(store.events(), IsEmpty());
  const auto begun = store.journal().end();
  EXPECT_GT(begun.epoch, 1u);
  EXPECT_EQ(begun.position, 2u);
  EXPECT_EQ(store.journal().stats().rows_lost, 2u);
  bring({"a"}, "1");
  EXPECT_EQ(store.events().at(0).sequence, (model::Sequence{begun.epoch, 3}));
  store.expect_whole();
}

TEST_F(Starts, NoticeAHistoryThatWasReplaced) {
  store.open();
  bring({"a"}, "1");
  store.close();
  keep_aside();
  store.open();
  bring({"b"}, "2");
  store.close();
  const auto told = bytes_of(store.file("witness"));
  put_back("journal.db");
  put_back("witness");
  std::filesystem::remove(store.file("place"));  // which would tell at once
  store.open();
  bring({"other", "another"}, "2");
  store.close();
  write_bytes(store.file("witness"), told);
  store.open();
  EXPECT_THAT(store.journal().epochs(), SizeIs(2));
  EXPECT_THAT(store.events(), SizeIs(3));
}

TEST_F(Starts, DoWithoutAWitness) {
  store.open();
  bring({"a"}, "1");
  store.close();
  std::filesystem::remove(store.file("witness"));
  store.open();
  EXPECT_THAT(store.events(), SizeIs(1));
  EXPECT_THAT(store.journal().epochs(), SizeIs(1));
}

TEST_F(Starts, FinishASalvageThatWasInterrupted) {
  store.open();
  bring({"a", "b"}, "1");
  store.close();
  keep_aside();
  std::filesystem::remove(store.file("journal.db"));
  store.open();
  store.close();
  // As if the crash had come before the new file took its place.
  std::filesystem::rename(store.file("journal.db"), store.file("journal.salvaged"));
  put_back("journal.db");
  store.open();
  EXPECT_EQ(store.journal().end().position, 2u);
  EXPECT_THAT(store.journal().epochs(), SizeIs(2));
  EXPECT_FALSE(std::filesystem::exists(store.file("journal.salvaged")));
}

TEST_F(Starts, SalvageWhatAReaderFoundDamaged) {
  store.open();
  bring({"a", "b"}, "1");
  store.close();
  write_bytes(store.file("suspect"), "");
  store.open();
  EXPECT_THAT(store.events(), SizeIs(2));
  EXPECT_EQ(store.journal().stats().rows_lost, 0u);
  EXPECT_EQ(store.channel().opening().cursor, "1");
  EXPECT_FALSE(std::filesystem::exists(store.file("suspect")));
  store.expect_whole();
}

TEST_F(Starts, ContinueAfterAKillWithoutARestartOfTheIndex) {
  store.open();
  bring({"a", "b"}, "1");
  keep_aside();  // the index's last batch is in memory only
  store.close();
  std::filesystem::remove_all(store.folder());
  std::filesystem::rename(aside.path() / "kept", store.folder());
  store.open();
  bring({"a", "b", "c"}, "2");
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1", "received c/1"));
  EXPECT_THAT(store.journal().epochs(), SizeIs(1));
}

}  // namespace
}  // namespace voxbus::journal
