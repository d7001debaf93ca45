// SPDX-License-Identifier: Apache-2.0
// A disk that is full, fails, or is gone in the middle.
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "journal/key_maker.hpp"
#include "journal/space.hpp"

#include "unit/journal/faulty_vfs.hpp"
#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint64_t kPlenty = 1u << 30;

struct Disks : testing::Test {
  FaultyDisk disk;
  Store store;
  std::atomic<bool> full{false};
  std::atomic<std::uint64_t> free{kPlenty};

  Disks() {
    store.options.vfs = kFaulty;
    store.options.free_space = [this] { return free.load(); };
  }
  // Polls what only the journal's own threads can bring about.
  template<class Condition>
  static bool comes_true(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + seconds(20);
    while (std::chrono::steady_clock::now() < limit) {
      if (condition()) return true;
      std::this_thread::yield();
    }
    return false;
  }
  bool waits() {
    return comes_true([&] { return store.journal().stats().waiting_for_space; });
  }
};

TEST_F(Disks, ThatAreFullMakeChannelsWaitAndLoseNothing) {
  store.open();
  auto line = store.channel();
  line.brings({post("a")}, "after a");
  free = 0;
  disk.full_while([&] { return full.load(); });
  full = true;
  ASSERT_EQ(line.submit({post("b")}, "after b"), Submit::taken);
  EXPECT_TRUE(waits());
  EXPECT_FALSE(line.sink().batches_within(2, milliseconds(30)));
  EXPECT_EQ(line.submit({post("c")}, "after c"), Submit::taken);
  full = false;
  free = kPlenty;
  line.settle();
  EXPECT_FALSE(store.journal().stats().waiting_for_space);
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1", "received c/1"));
  EXPECT_THAT(store.fatal(), IsEmpty());
  EXPECT_TRUE(std::filesystem::exists(store.file("reserve")));
  store.reopen();
  EXPECT_EQ(store.channel().opening().cursor, "after c");
}

TEST_F(Disks, ThatAreFullStillTakeFactsThroughTheReserve) {
  store.open();
  auto line = store.channel();
  line.brings({post("a")});
  free = 0;
  // The disk has no more than what the reserve gives back.
  disk.full_while([reserve = store.file("reserve")] { return std::filesystem::exists(reserve); });
  line.brings({post("b")});  // decided already: it goes through
  EXPECT_TRUE(store.journal().stats().waiting_for_space);
  ASSERT_EQ(line.submit({post("c")}), Submit::taken);
  EXPECT_TRUE(store.journal().append({"desk", "org.voxbus.x.y.v1", "", "{}", "", "", {}}));
  EXPECT_EQ(line.sink().count().batches, 2u);
  EXPECT_GT(store.channel_stats().queued_bytes, 0u);
  disk.full_while({});
  free = kPlenty;
  line.settle();
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1", "x.y", "received c/1"));
}

TEST_F(Disks, ThatAreFullDoNotKeepTheJournalFromStopping) {
  store.open();
  auto line = store.channel();
  line.brings({post("a")}, "after a");
  free = 0;
  disk.full_while([] { return true; });
  ASSERT_EQ(line.submit({post("b")}, "after b"), Submit::taken);
  EXPECT_TRUE(waits());
  store.close();
  disk.full_while({});
  free = kPlenty;
  store.open();
  EXPECT_THAT(store.lines(), ElementsAre("received a/1"));
  EXPECT_EQ(store.channel().opening().cursor, "after a");
}

// A backup tool may hold it for hours.
TEST_F(Disks, WhoseLockSomebodyElseHoldsDoNotKeepTheJournalFromStopping) {
  store.options.vfs = {};
  store.open();
  auto line = store.channel();
  line.brings({post("a")}, "after a");
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(store.file("journal.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  ASSERT_EQ(line.submit({post("b")}, "after b"), Submit::taken);
  EXPECT_TRUE(comes_true([&] { return store.journal().stats().waiting_for_lock; }));
  store.close();  // does not come back before the lock is free, else
  sqlite3_close(other);
  store.open();
  EXPECT_THAT(store.lines(), ElementsAre("received a/1"));
  EXPECT_EQ(store.channel().opening().cursor, "after a");
}

TEST_F(Disks, WithoutRoomForTheReserveLetChannelsWaitFromTheStart) {
  free = 0;
  store.open();
  auto line = store.channel();
  ASSERT_EQ(line.submit({post("a")}), Submit::taken);
  EXPECT_TRUE(store.journal().stats().waiting_for_space);
  EXPECT_FALSE(line.sink().batches_within(1, milliseconds(30)));
  free = kPlenty;
  line.settle();
  EXPECT_THAT(store.lines(), SizeIs(1));
}

TEST_F(Disks, ThatAreFullAtTheStartAreOpenedWithTheReserve) {
  store.open();
  store.channel().brings({post("a")}, "after a");
  store.close();
  free = 0;
  disk.full_while([reserve = store.file("reserve")] { return std::filesystem::exists(reserve); });
  store.open();
  EXPECT_TRUE(store.journal().append({"desk", "org.voxbus.x.y.v1", "", "{}", "", "", {}}));
  EXPECT_TRUE(store.journal().stats().waiting_for_space);
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "x.y"));
}

TEST_F(Disks, ThatFailToSyncEndAllAcknowledging) {
  store.open();
  auto line = store.channel();
  line.brings({post("a")}, "after a");
  disk.fail_next_sync();
  ASSERT_EQ(line.submit({post("b")}, "after b"), Submit::taken);
  EXPECT_TRUE(comes_true([&] { return store.journal().stats().failed && !store.fatal().empty(); }));
  EXPECT_THAT(store.fatal(), SizeIs(1));
  EXPECT_EQ(line.sink().count().batches, 1u);
  EXPECT_EQ(line.submit({post("c")}), Submit::stopping);
  EXPECT_FALSE(store.journal().append({"desk", "org.voxbus.x.y.v1", "", "{}", "", "", {}}));
  EXPECT_FALSE(store.journal().open_channel({"forum", "p", "o"}, {}, &line.sink()));
  store.reopen();
  EXPECT_EQ(store.lines().at(0), "received a/1");
  EXPECT_THAT(store.journal().epochs(), SizeIs(1));
}

// Whoever waits for keys says so and goes on turning: the watchdog must not end a daemon whose disk
// is full.
TEST(KeyMaker, WaitsForSpaceWithSignsOfLifeAndGoesOnWhenThereIsSome) {
  const test::Folder temporary{test::in_memory()};
  const auto master = random_key();
  ASSERT_TRUE(Keys::create(temporary.path() / "keys", master));
  auto keys = Keys::open(temporary.path() / "keys", master, true);
  ASSERT_TRUE(keys);
  const SystemClock clock;
  Shared shared(Intake("test", 1 << 20), clock);
  shared.fail = [](const Error& error, std::string_view) { ADD_FAILURE() << error.message; };
  std::atomic<bool> full = true;
  std::atomic<int> tries = 0;
  constexpr auto kRetry = milliseconds(10);
  KeyMaker maker(
      **keys,
      [&]() -> Status {
        ++tries;
        return full ? Status(system_error("write keys", ENOSPC)) : (*keys)->make_block();
      },
      shared, kRetry);
  const auto begun = std::chrono::steady_clock::now();
  shared.deciding.beat();
  std::atomic<bool> got = false;
  std::jthread sequencer([&] { got = maker.ensure((*keys)->made() + 1); });
  EXPECT_TRUE(Disks::comes_true([&] { return tries > 100; }));
  EXPECT_LT(shared.deciding.quiet_for() * 2, std::chrono::steady_clock::now() - begun);
  EXPECT_TRUE(shared.pipeline.with([](const auto& state) { return state.keys_wait_for_space; }));
  EXPECT_FALSE(got);
  full = false;
  sequencer.join();
  EXPECT_TRUE(got);
  EXPECT_FALSE(shared.pipeline.with([](const auto& state) { return state.keys_wait_for_space; }));
}

TEST(Lock, BelongsToWhomTheFolderBelongsWhoeverMadeIt) {
  const test::Folder temporary{test::in_memory()};
  constexpr uid_t kService = 65534;
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(temporary.path().c_str(), kService, kService), 0);
  }
  ASSERT_TRUE(lock_directory(temporary.path()));
  struct stat folder {
  }, lock{};
  ASSERT_EQ(::stat(temporary.path().c_str(), &folder), 0);
  ASSERT_EQ(::stat((temporary.path() / "lock").c_str(), &lock), 0);
  EXPECT_EQ(lock.st_uid, folder.st_uid);
  EXPECT_EQ(lock.st_gid, folder.st_gid);
}

// The same short life of a journal, with a disk that is gone at each of its operations in turn.
struct Crashes : Disks, testing::WithParamInterface<FaultyDisk::Crash> {
  static constexpr int kBatches = 4;

  // How many batches were acknowledged.
  std::size_t live() {
    CountingSink sink;  // outlives the journal
    const auto opened = Journal::open(store.options);
    if (!opened) return 0;
    const auto channel = (*opened)->open_channel({"mail", "email", "o"}, {}, &sink);
    if (!channel) return 0;
    for (int i = 1; i <= kBatches; ++i) {
      const auto number = std::to_string(i);
      const auto answer = (*opened)->submit(
          "mail", channel->lease,
          {{post("a" + number).says(std::string(3000, 'x')), post("b" + number).raw("raw")},
           number});
      if (answer != Submit::taken) break;
      const auto wanted = static_cast<std::size_t>(i);
      if (!comes_true(
              [&] { return sink.count().batches >= wanted || (*opened)->stats().failed; })) {
        ADD_FAILURE() << "neither committed nor failed";
      }
    }
    return sink.count().batches;
  }
};

TEST_P(Crashes, AtAnyOperationLoseNothingAcknowledgedAndNeverStoreACursorWithoutItsItems) {
  store.options.wal_ceiling = 64u << 10;  // so that checkpoints happen too
  std::uint64_t crashes = 0;
  for (std::uint64_t operation = 1;; ++operation) {
    SCOPED_TRACE("operation " + std::to_string(operation));
    std::filesystem::remove_all(store.folder());
    store.options.vfs = {};
    store.open();  // made by a sound disk
    store.close();
    store.options.vfs = kFaulty;
    disk.crash_at(operation);
    const auto acknowledged = live();
    if (!disk.crashed()) break;
    ++crashes;
    disk.settle(GetParam());
    disk.~FaultyDisk();
    new (&disk) FaultyDisk;

    store.options.vfs = {};
    store.open();
    std::set<std::string> lines;
    for (const auto& line : store.lines()) EXPECT_TRUE(lines.insert(line).second) << line;
    for (std::size_t i = 1; i <= acknowledged; ++i) {
      EXPECT_TRUE(lines.contains("received a" + std::to_string(i) + "/1"));
      EXPECT_TRUE(lines.contains("received b" + std::to_string(i) + "/1"));
    }
    const auto cursor = store.channel("mail", {}, "email", "o").opening().cursor;
    const auto covered = cursor.empty() ? 0 : std::stoul(cursor);
    EXPECT_GE(covered, acknowledged);
    EXPECT_GE(lines.size(), 2 * covered);
    EXPECT_THAT(store.journal().epochs(), SizeIs(1));
    store.expect_whole();
    store.close();
  }
  EXPECT_GT(crashes, 15u);
}

INSTANTIATE_TEST_SUITE_P(Unsynced, Crashes,
                         testing::Values(FaultyDisk::Crash::keeps_all, FaultyDisk::Crash::drops_all,
                                         FaultyDisk::Crash::drops_newest,
                                         FaultyDisk::Crash::tears_newest),
                         [](const auto& unsynced) {
                           switch (unsynced.param) {
                             case FaultyDisk::Crash::keeps_all:
                               return "Kept";
                             case FaultyDisk::Crash::drops_all:
                               return "Dropped";
                             case FaultyDisk::Crash::drops_newest:
                               return "NewestDropped";
                             case FaultyDisk::Crash::tears_newest:
                               return "NewestTorn";
                           }
                           return "";
                         });

}  // namespace
}  // namespace voxbus::journal
