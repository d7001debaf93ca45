// SPDX-License-Identifier: Apache-2.0
// One flipped bit or one cut, at many places of a small journal, one after the other: never a
// silent end, what is readable stays, what is not is counted, and the journal goes on.
//   VOXBUS_DAMAGE_STRIDE=1 tries every byte; the test run takes fewer.
#include <cstdlib>
#include <map>

#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::IsEmpty;
using testing::Le;
using testing::SizeIs;

std::size_t stride(std::size_t usual) {
  const char* given = std::getenv("VOXBUS_DAMAGE_STRIDE");
  return given ? std::max<std::size_t>(std::strtoul(given, nullptr, 10), 1) : usual;
}

struct Damage : testing::Test {
  test::Folder aside{test::in_memory()};
  std::filesystem::path whole = aside.path() / "whole";
  std::map<model::Position, model::Event> original;
  std::uint64_t tried = 0, salvaged = 0, lost = 0, most_lost = 0;

  // A journal of forty rows; `closed`, or as a kill leaves it.
  void make(bool closed) {
    Store store;
    store.open();
    for (int i = 0; i < 10; ++i) {
      const auto n = std::to_string(i);
      store.channel().brings(
          {post("a" + n).says("hello " + n).by("x:author-" + n),
           post("b" + n).says(std::string(3000, 'x') + random_token(2000)).in("thread " + n),
           post("c" + n).raw(random_token(i % 3 == 0 ? 12'000 : 100)).by("x:nora"),
           post("d" + n).quarantined("broken " + n)},
          "cursor " + n);
    }
    for (auto& event : store.events()) original[event.sequence.position] = event;
    if (closed) store.close();
    copy_folder(store.folder(), whole);
    std::filesystem::remove(whole / "reserve");
    std::filesystem::remove_all(whole / "index");
  }

  // Opens a copy in which one file was changed, and holds it to the promise.
  void open_changed(const std::string& file, const std::string& bytes) {
    ++tried;
    Store store;
    copy_folder(whole, store.folder());
    write_bytes(store.file(file), bytes);
    store.open();
    const auto stats = store.journal().stats();
    const auto& epochs = store.journal().epochs();
    std::map<model::Position, model::Event> found;
    for (auto& event : store.events()) found[event.sequence.position] = event;
    EXPECT_THAT(store.fatal(), IsEmpty());

    std::uint64_t missing = 0;
    for (const auto& [position, event] : original) {
      const auto at = found.find(position);
      if (at == found.end()) {
        ++missing;
        continue;
      }
      EXPECT_EQ(model::to_cloudevent(at->second), model::to_cloudevent(event));
    }
    EXPECT_THAT(found, SizeIs(original.size() - missing));
    EXPECT_EQ(stats.rows_lost, missing);
    EXPECT_TRUE(missing == 0 || epochs.size() == 2);
    salvaged += epochs.size() == 2;
    lost += missing;
    most_lost = std::max(most_lost, missing);

    // It goes on, and what was lost may come again.
    store.channel().brings({post("d9").quarantined("broken 9"), post("new")});
    const auto end = store.journal().end().position;
    EXPECT_EQ(line_of(*store.reader().at(end)), "received new/1");
    store.expect_whole();
    store.reopen();
    EXPECT_EQ(store.journal().end().position, end);
  }

  void flip_along(const std::string& file, std::size_t step) {
    const auto bytes = bytes_of(whole / file);
    ASSERT_FALSE(bytes.empty());
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      SCOPED_TRACE(file + ", bit " + std::to_string(at % 8) + " of byte " + std::to_string(at));
      auto changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
      open_changed(file, changed);
      if (HasFatalFailure() || HasFailure()) return;
    }
  }
  void cut_along(const std::string& file, std::size_t step) {
    const auto bytes = bytes_of(whole / file);
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      SCOPED_TRACE(file + " cut at byte " + std::to_string(at));
      open_changed(file, bytes.substr(0, at));
      if (HasFatalFailure() || HasFailure()) return;
    }
  }
  void say() const {
    RecordProperty("tried", static_cast<int>(tried));
    std::printf("tried %zu, salvaged %zu, rows lost %zu, at most %zu at once\n",
                static_cast<std::size_t>(tried), static_cast<std::size_t>(salvaged),
                static_cast<std::size_t>(lost), static_cast<std::size_t>(most_lost));
  }
};

TEST_F(Damage, OfOneBitOfTheFileCostsAtMostTheRowItIsIn) {
  make(true);
  flip_along("journal.db", stride(2039));
  say();
  EXPECT_GT(salvaged, tried / 4);
  EXPECT_THAT(most_lost, Le(1u));
}

TEST_F(Damage, OfOneBitOfTheHeadersOfPagesCostsLittle) {
  make(true);
  const auto bytes = bytes_of(whole / "journal.db");
  for (std::size_t page = 0; page < bytes.size(); page += 8192) {
    for (std::size_t i = 0; i < 24; i += stride(5)) {
      const auto at = page + (page == 0 ? 100 : 0) + i;
      SCOPED_TRACE("byte " + std::to_string(at));
      auto changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1 << (i % 8)));
      open_changed("journal.db", changed);
      if (HasFailure()) return;
    }
  }
  say();
  EXPECT_THAT(most_lost, Le(1u));
}

// Where the format should stand there is a number larger than ours: no reason to ask for an
// upgrade.
TEST_F(Damage, OfTheWholeHeaderIsNotTakenForANewerFormat) {
  make(true);
  auto bytes = bytes_of(whole / "journal.db");
  bytes.replace(0, 100, 100, '\xA5');
  open_changed("journal.db", bytes);
  EXPECT_EQ(salvaged, 1u);
  EXPECT_THAT(most_lost, Le(original.size()));
}

TEST_F(Damage, OfOneBitOfTheFilesOwnHeaderCostsNothing) {
  make(true);
  const auto bytes = bytes_of(whole / "journal.db");
  for (std::size_t at = 0; at < 100; at += stride(3)) {
    SCOPED_TRACE("byte " + std::to_string(at));
    auto changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    open_changed("journal.db", changed);
    if (HasFailure()) return;
  }
  say();
  EXPECT_EQ(lost, 0u);
}

TEST_F(Damage, OfOneBitOfTheWalDoesNotEndTheJournalThere) {
  make(false);
  flip_along("journal.db-wal", stride(9001));
  say();
  EXPECT_GT(salvaged, tried / 2);
  EXPECT_THAT(most_lost, Le(1u));
}

TEST_F(Damage, OfOneBitOfTheWalsHeaderCostsNothing) {
  make(false);
  const auto bytes = bytes_of(whole / "journal.db-wal");
  for (std::size_t at = 0; at < 56; at += stride(3)) {
    SCOPED_TRACE("byte " + std::to_string(at));
    auto changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
    open_changed("journal.db-wal", changed);
    if (HasFailure()) return;
  }
  say();
  EXPECT_EQ(lost, 0u);
}

TEST_F(Damage, OfAFileThatWasCutIsCounted) {
  make(true);
  cut_along("journal.db", stride(9011));
  say();
  EXPECT_EQ(salvaged, tried);
}

TEST_F(Damage, OfAWalThatWasCutIsCounted) {
  make(false);
  cut_along("journal.db-wal", stride(30'011));
  say();
  EXPECT_EQ(salvaged, tried);
}

TEST_F(Damage, OfTheWitnessCostsNothing) {
  make(true);
  flip_along("witness", stride(5));
  cut_along("witness", stride(9));
  EXPECT_EQ(salvaged, 0u);
}

TEST_F(Damage, ThatComesWhileTheDaemonRunsIsNoticedByItsReaders) {
  Store store;
  store.open();
  store.channel().brings({post("a").says(std::string(100, 'x')), post("b"), post("c")});
  store.reopen();  // everything is in the file
  auto bytes = bytes_of(store.file("journal.db"));
  // The body of the first row stands at the end of its page.
  const auto page = bytes.rfind('\x0d', bytes.size() - 8192);
  ASSERT_NE(page, bytes.npos);
  bool noticed = false;
  for (std::size_t at = bytes.size(); at > 8192 && !noticed; at -= 64) {
    auto changed = bytes;
    changed[at - 30] = static_cast<char>(changed[at - 30] ^ 1);
    write_bytes(store.file("journal.db"), changed);
    const auto events = store.journal().reader()->read(0, 10, 1u << 20);
    noticed = !events;
  }
  EXPECT_TRUE(noticed);
  EXPECT_THAT(store.fatal(), SizeIs(1));
  EXPECT_TRUE(std::filesystem::exists(store.file("suspect")));
  store.reopen();
  EXPECT_THAT(store.journal().epochs(), SizeIs(2));
  EXPECT_THAT(store.events(), SizeIs(2));
  EXPECT_EQ(store.journal().stats().rows_lost, 1u);
}

}  // namespace
}  // namespace voxbus::journal
