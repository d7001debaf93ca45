// SPDX-License-Identifier: Apache-2.0
#include "journal/keys.hpp"

#include <set>

#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::HasSubstr;

struct KeyFile : testing::Test {
  test::Folder temporary{test::in_memory()};
  std::filesystem::path file = temporary.path() / "keys";
  Key master = random_key();
  Aead aead;

  KeyFile() {
    if (!Keys::create(file, master)) throw std::runtime_error("cannot create the key file");
  }
  std::unique_ptr<Keys> open() {
    auto keys = Keys::open(file, master, true);
    if (!keys) throw std::runtime_error(keys.error().message);
    return std::move(*keys);
  }
  std::string refusal(const Key& with) {
    const auto keys = Keys::open(file, with, true);
    return keys ? "" : keys.error().message;
  }
  void damage(std::size_t at, std::string_view with) {
    auto bytes = bytes_of(file);
    bytes.replace(at, with.size(), with);
    write_bytes(file, bytes);
  }
  static std::size_t place_of(KeyId id) { return 4096 + (id - 1) * 64; }
};

TEST_F(KeyFile, GivesEachSlotAKeyOfItsOwnAndTheSameOneAgain) {
  std::set<Key> seen;
  auto keys = open();
  for (const KeyId id : {1u, 2u, 500u, 1024u}) {
    Key key{}, again{};
    EXPECT_EQ(keys->read(id, aead, key), KeyState::usable);
    EXPECT_EQ(open()->read(id, aead, again), KeyState::usable);
    EXPECT_EQ(key, again);
    seen.insert(key);
  }
  EXPECT_EQ(seen.size(), 4u);
}

TEST_F(KeyFile, GrowsByBlocks) {
  auto keys = open();
  EXPECT_EQ(keys->made(), Keys::kBlockSlots);
  Key key;
  EXPECT_EQ(keys->read(Keys::kBlockSlots + 1, aead, key), KeyState::missing);
  ASSERT_TRUE(keys->make_block());
  EXPECT_EQ(keys->made(), 2 * Keys::kBlockSlots);
  EXPECT_EQ(keys->read(Keys::kBlockSlots + 1, aead, key), KeyState::usable);
  EXPECT_EQ(open()->made(), 2 * Keys::kBlockSlots);
}

TEST_F(KeyFile, CutsATornBlockOff) {
  ASSERT_TRUE(open()->make_block());
  std::filesystem::resize_file(file, std::filesystem::file_size(file) - 100);
  auto keys = open();
  EXPECT_EQ(keys->made(), Keys::kBlockSlots);
  ASSERT_TRUE(keys->make_block());
  Key key;
  EXPECT_EQ(keys->read(2 * Keys::kBlockSlots, aead, key), KeyState::usable);
}

TEST_F(KeyFile, CutsABlockOffOfWhichNothingReachedTheDisk) {
  std::filesystem::resize_file(file, std::filesystem::file_size(file) + 64 * Keys::kBlockSlots);
  EXPECT_EQ(open()->made(), Keys::kBlockSlots);
}

TEST_F(KeyFile, NeverReadsAnErasedSlotAgain) {
  auto keys = open();
  KeyRing ring(*keys);
  Key before{}, key{};
  ASSERT_EQ(ring.get(7, before), KeyState::usable);
  ASSERT_TRUE(keys->erase(7));
  EXPECT_EQ(ring.get(7, key), KeyState::erased);
  EXPECT_EQ(open()->read(7, aead, key), KeyState::erased);
  EXPECT_EQ(bytes_of(file).find(std::string(as_text(before))), std::string::npos);
  EXPECT_EQ(keys->read(8, aead, key), KeyState::usable);
}

TEST_F(KeyFile, KeepsABlockOfWhichAllSlotsWereErased) {
  ASSERT_TRUE(open()->make_block());
  auto keys = open();
  for (KeyId id = Keys::kBlockSlots + 1; id <= 2 * Keys::kBlockSlots; ++id) {
    ASSERT_TRUE(keys->erase(id));
  }
  EXPECT_EQ(open()->made(), 2 * Keys::kBlockSlots);
}

TEST_F(KeyFile, RefusesToEraseTheSystemsKeyOrOneThatIsNotMade) {
  EXPECT_FALSE(open()->erase(kSystemKey));
  EXPECT_FALSE(open()->erase(Keys::kBlockSlots + 1));
}

TEST_F(KeyFile, TellsADamagedSlotFromAnErasedOne) {
  damage(place_of(3) + 20, "damaged");
  Key key;
  auto keys = open();
  EXPECT_EQ(keys->read(3, aead, key), KeyState::damaged);
  EXPECT_EQ(keys->read(4, aead, key), KeyState::usable);
}

TEST_F(KeyFile, DoesNotTakeOneSlotForAnother) {
  const auto bytes = bytes_of(file);
  damage(place_of(3), bytes.substr(place_of(4), 64));
  Key key;
  EXPECT_NE(open()->read(3, aead, key), KeyState::usable);
}

TEST_F(KeyFile, RefusesAWrongMasterKey) {
  EXPECT_THAT(refusal(random_key()), HasSubstr("the master key is not the one"));
}

TEST_F(KeyFile, SurvivesTheLossOfOneCopyOfItsHeader) {
  const auto purpose = open()->purpose("x");
  damage(0, std::string(80, '?'));
  EXPECT_EQ(open()->purpose("x"), purpose);
}

TEST_F(KeyFile, SaysSoWhenBothCopiesOfItsHeaderAreDamaged) {
  damage(30, "??");
  damage(2048 + 30, "??");
  EXPECT_THAT(refusal(master), HasSubstr("both copies of its header are damaged"));
}

TEST_F(KeyFile, IsNeverMadeOverAnotherOne) { EXPECT_FALSE(Keys::create(file, master)); }

TEST(MasterKey, IsMadeOnceAndReadableByNobodyElse) {
  test::Folder temporary{test::in_memory()};
  const auto file = temporary.path() / "master.key";
  const auto made = master_key({}, file, true);
  ASSERT_TRUE(made);
  EXPECT_EQ(*master_key({}, file, true), *made);
  EXPECT_EQ(std::filesystem::status(file).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(MasterKey, IsNotReplacedWhenItIsMissing) {
  Store store;
  store.open();
  store.close();
  std::filesystem::remove(store.file("master.key"));
  EXPECT_THAT(store.refusal(), HasSubstr("master.key: it is missing"));
}

TEST(MasterKey, MayComeFromElsewhere) {
  Store store;
  store.options.master_key = random_key();
  store.open();
  store.channel().brings({post("a")});
  store.reopen();
  EXPECT_EQ(store.lines().size(), 1u);
  EXPECT_FALSE(std::filesystem::exists(store.file("master.key")));
  store.close();
  store.options.master_key = random_key();
  EXPECT_THAT(store.refusal(), HasSubstr("the master key is not the one"));
}

TEST(MasterKey, OfAJournalWhoseKeysAreMissingHelpsNothing) {
  Store store;
  store.open();
  store.close();
  std::filesystem::remove(store.file("keys"));
  EXPECT_THAT(store.refusal(), HasSubstr("keys: it is missing"));
  EXPECT_FALSE(std::filesystem::exists(store.file("keys")));
}

TEST(KeysOfAJournal, AreMadeAheadOfManyNewAuthors) {
  Store store;
  store.open();
  auto line = store.channel();
  std::vector<model::Item> items;
  for (int i = 0; i < 3000; ++i) {
    items.push_back(post("n" + std::to_string(i)).by("x:" + std::to_string(i)));
  }
  line.brings(std::move(items));
  EXPECT_GT(store.journal().stats().keys_free, 0u);
  store.expect_whole();
}

}  // namespace
}  // namespace voxbus::journal
