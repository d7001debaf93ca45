// SPDX-License-Identifier: Apache-2.0
// The index, wherever an entry is by now: gathered, on its way, in RocksDB's memory or on the disk.
#include "journal/index.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "../testing.hpp"

namespace voxbus::journal {
namespace {

Mac mac_of(std::uint64_t number) {
  Mac mac;
  const auto digest = sha256(std::to_string(number));
  std::copy_n(digest.begin(), mac.size(), mac.begin());
  return mac;
}

// The group that ends at `position`: its native, its author and its message.
IndexBatch group_at(model::Position position) {
  IndexBatch batch;
  NativeState state;
  state.position = position;
  state.revision = static_cast<std::uint32_t>(position);
  state.content = mac_of(position + 1'000'000);
  batch.natives.emplace_back(mac_of(position), state);
  batch.authors.emplace_back(mac_of(position % 7), static_cast<KeyId>(position));
  batch.messages.emplace_back(mac_of(position), mac_of(position + 2'000'000));
  batch.marker.position = position;
  batch.marker.next_key = static_cast<KeyId>(position + 1);
  return batch;
}

// Whether it knows the native and the message of that position, and as they were written.
bool knows(const Index& index, model::Position position) {
  const Mac wanted[] = {mac_of(position)};
  const auto natives = index.natives(wanted);
  const auto messages = index.messages(wanted);
  return natives && messages && natives->front() && messages->front() &&
         natives->front()->position == position &&
         natives->front()->content == mac_of(position + 1'000'000) &&
         messages->front() == mac_of(position + 2'000'000);
}

TEST(Index, KnowsWhatWasWrittenWhereverItIsByNow) {
  const test::Folder folder;
  const auto index = Index::open(folder.path() / "index", 10);
  ASSERT_TRUE(index);
  for (model::Position position = 1; position <= 300; ++position) {
    ASSERT_TRUE((*index)->write(group_at(position)));
    if (position == 100) {
      ASSERT_TRUE((*index)->flush());
    }
    for (const auto before : {position, position / 2 + 1, model::Position{1}})
      ASSERT_TRUE(knows(**index, before)) << before << " at " << position;
    ASSERT_FALSE(knows(**index, position + 1));
    const Mac author[] = {mac_of(position % 7)};
    ASSERT_EQ((*index)->authors(author)->front(), position) << "the newest counts";
  }
}

TEST(Index, HoldsAllThatItsMarkerSpeaksOf) {
  for (model::Position end = 1; end <= 60; ++end) {
    const test::Folder folder;
    const bool flushed = end % 2 == 0;
    {
      const auto index = Index::open(folder.path() / "index", 10);
      ASSERT_TRUE(index);
      for (model::Position position = 1; position <= end; ++position)
        ASSERT_TRUE((*index)->write(group_at(position)));
      if (flushed) {
        ASSERT_TRUE((*index)->flush());
      }
    }
    const auto again = Index::open(folder.path() / "index", 10);
    ASSERT_TRUE(again);
    const auto marker = (*again)->marker();
    ASSERT_TRUE(marker);
    const auto reached = *marker ? (*marker)->position : 0;
    if (flushed) {
      EXPECT_EQ(reached, end);
    }
    for (model::Position position = 1; position <= reached; ++position)
      EXPECT_TRUE(knows(**again, position)) << position << " of " << reached;
  }
}

TEST(Index, LosesNothingFromSightWhileItMoves) {
  const test::Folder folder;
  const auto index = Index::open(folder.path() / "index", 64);
  ASSERT_TRUE(index);
  std::atomic<model::Position> written{0};
  std::atomic<bool> over{false};
  std::atomic<int> missed{0}, looked{0};
  std::thread reader([&] {
    for (std::uint64_t turn = 0; !over; ++turn) {
      const auto newest = written.load();
      if (newest == 0) continue;
      for (const auto position : {newest, newest - (turn * 31) % newest}) {
        if (!knows(**index, position)) ++missed;
        ++looked;
      }
    }
  });
  for (model::Position position = 1; position <= 5'000; ++position) {
    EXPECT_TRUE((*index)->write(group_at(position)));
    written = position;
  }
  while (looked < 1'000) std::this_thread::yield();
  over = true;
  reader.join();
  EXPECT_EQ(missed, 0) << "of " << looked;
}

}  // namespace
}  // namespace voxbus::journal
