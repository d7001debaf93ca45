// SPDX-License-Identifier: Apache-2.0
// Nothing personal stands in clear in any file, and what is erased stays erased.
#include "base/text.hpp"
#include "journal/keys.hpp"
#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Sealed, NothingPersonalStandsInClearInAnyFile) {
  Store store;
  store.open();
  auto line = store.channel();
  // Incompressible and compressible, large and small; facts and cursors too.
  std::string large(3000, 'x');
  large += "canary-text";
  line.brings({post("canary-native").says("canary-text").by("mailto:canary-author@example.org"),
               post("canary-native-2")
                   .says(large)
                   .in("canary-conversation")
                   .raw("canary-raw" + random_token(20'000)),
               post("canary-native-3").quarantined("canary-reason").raw("canary-raw")},
              "canary-cursor");
  ASSERT_TRUE(store.journal().append({"people/operator",
                                      "org.voxbus.note.taken.v1",
                                      "",
                                      R"({"note":"canary-fact"})",
                                      "canary-key",
                                      "canary-thread",
                                      {}}));
  const auto search = [&] {
    int files = 0;
    for (const auto& file : files_below(store.folder())) {
      const auto bytes = bytes_of(file);
      ++files;
      EXPECT_EQ(bytes.find("canary"), bytes.npos) << file;
    }
    EXPECT_GT(files, 5);
  };
  search();  // with a WAL beside it
  store.close();
  search();  // the index flushed, the WAL moved into the file
}

TEST(Sealed, OneTextTwiceLooksDifferent) {
  Store store;
  store.open();
  store.channel().brings({post("a").says("the same"), post("b").says("the same")});
  const auto events = store.events();
  EXPECT_NE(events[0].id, events[1].id);
}

struct Erasure : testing::Test {
  Store store;
  // From outside: the command that erases comes with the desk.
  void erase(KeyId id) {
    store.close();
    const auto master = master_key({}, store.file("master.key"), false);
    auto keys = Keys::open(store.file("keys"), *master, true);
    ASSERT_TRUE((*keys)->erase(id));
    keys = Result<std::unique_ptr<Keys>>(nullptr);
    store.open();
  }
};

TEST_F(Erasure, TakesTheBodiesAndEvidenceAndLeavesTheChain) {
  store.open();
  store.channel().brings({post("a").by("x:nora").raw("raw"), post("b").by("x:omar").raw("raw"),
                          post("c").by("x:nora")});
  erase(1);
  EXPECT_THAT(store.lines(),
              ElementsAre("received (no body)", "received b/1", "received (no body)"));
  EXPECT_FALSE(store.reader().evidence(1));
  EXPECT_EQ(*store.reader().evidence(2), "raw");
  EXPECT_EQ(store.journal().stats().unreadable, 0u);
  const auto report = store.report();
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_EQ(report.erased, 2u);
}

TEST_F(Erasure, LetsAnErasedAuthorSpeakAgainUnderANewKey) {
  store.open();
  store.channel().brings({post("a").by("x:nora")});
  erase(1);
  store.channel().brings({post("b").by("x:nora"), post("a").by("x:nora")});
  EXPECT_THAT(store.lines(), ElementsAre("received (no body)", "received b/1"));
  store.reopen();
  std::filesystem::remove_all(store.file("index"));
  store.reopen();
  store.channel().brings({post("c").by("x:nora")});
  EXPECT_EQ(line_of(store.events().at(2)), "received c/1");
}

TEST_F(Erasure, ShowsTheDamageOfAKeyInsteadOfHidingIt) {
  store.open();
  store.channel().brings({post("a").by("x:nora"), post("b")});
  store.close();
  auto bytes = bytes_of(store.file("keys"));
  bytes[4096 + 20] ^= 1;
  write_bytes(store.file("keys"), bytes);
  store.open();
  EXPECT_THAT(store.lines(), ElementsAre("received (no body)", "received b/1"));
  EXPECT_EQ(store.journal().stats().unreadable, 1u);
  EXPECT_THAT(store.report().problems, ElementsAre(testing::HasSubstr("key 1 is damaged")));
  store.channel().brings({post("c").by("x:nora")});
  EXPECT_EQ(line_of(store.events().at(2)), "received c/1");
}

}  // namespace
}  // namespace voxbus::journal
