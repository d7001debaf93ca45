// SPDX-License-Identifier: Apache-2.0
// What a journal does in ordinary times, through its public interface.
#include "journal/journal.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <set>
#include <thread>

#include "base/json.hpp"
#include "model/event.hpp"
#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

struct Journals : testing::Test {
  Store store;
};

TEST_F(Journals, StoreWhatAChannelBrings) {
  store.open();
  store.channel().brings({post("a").says("hello"), post("b").says("good bye")}, "after b");
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1"));
  EXPECT_EQ(store.journal().end(), (model::Sequence{1, 2}));
  EXPECT_EQ(store.journal().oldest(), 1u);
}

TEST_F(Journals, KeepEverythingOverARestart) {
  store.open();
  store.channel().brings({post("a").says("hello").by("mailto:nora@example.org")}, "after a");
  const auto before = model::to_cloudevent(store.events().at(0));
  store.reopen();
  EXPECT_EQ(model::to_cloudevent(store.events().at(0)), before);
  EXPECT_EQ(store.channel().opening().cursor, "after a");
  store.expect_whole();
}

TEST_F(Journals, MakeEventsOfTheDocumentedForm) {
  store.open();
  const TimePoint occurred = store.clock.now() - std::chrono::hours(1);
  store.channel().brings({post("a").says("hello").in("thread 7").at(occurred).raw("RAW")});
  const auto event = store.events().at(0);
  EXPECT_EQ(event.source, "urn:voxbus:test-installation/channels/mail");
  EXPECT_EQ(event.type, "org.voxbus.interaction.received.v1");
  EXPECT_EQ(event.recorded, store.clock.now());
  EXPECT_TRUE(event.partition);
  EXPECT_EQ(event.body,
            R"({"time":"2026-11-21T23:00:00Z","datacontenttype":"application/json",)"
            R"("dataschema":"urn:voxbus:schema:interaction.v1","data":{"channel":"mail",)"
            R"("plugin":"email","native_id":"a","revision":1,"historic":false,"kind":"post",)"
            R"("text":"hello","raw":"0001.000000000000000001"}})");
  EXPECT_EQ(*store.reader().evidence(1), "RAW");
}

TEST_F(Journals, WriteAnEventOnOneLineWhateverTheRecordLooksLike) {
  store.open();
  model::Item item = post("a");
  item.record = " {\r\n \"kind\": \"post\",\n \"text\": \"a\\nb\" }\n ";
  store.channel().brings({item});
  const auto line = model::to_cloudevent(store.events().at(0));
  EXPECT_EQ(line.find_first_of("\r\n"), line.npos);
  EXPECT_TRUE(json::parse(line)) << line;
}

TEST_F(Journals, TakeTheRecordingForTheTimeOfWhatHasNone) {
  store.open();
  store.channel().brings({post("a")});
  EXPECT_THAT(store.events().at(0).body, HasSubstr(R"("time":"2026-11-22T00:00:00Z")"));
}

TEST_F(Journals, StoreWithdrawalsWithoutARecord) {
  store.open();
  store.channel().brings({post("a"), post("a").withdrawn(), post("b").withdrawn()});
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "withdrawn a/2", "withdrawn b/1"));
  store.channel().brings({post("b").says("late")});
  EXPECT_EQ(store.channel_stats().late, 1u);
  EXPECT_EQ(store.journal().end().position, 3u);
}

TEST_F(Journals, StoreQuarantinedItemsAsTheyAreSaidToBe) {
  store.open();
  store.channel().brings({post("a").quarantined("not a mail").raw("12345")});
  EXPECT_THAT(store.events().at(0).body, HasSubstr(R"("reason":"not a mail")"));
  EXPECT_THAT(store.events().at(0).body, HasSubstr("urn:voxbus:schema:quarantined.v1"));
  EXPECT_EQ(store.journal().stats().quarantined_total, 1u);
  store.reopen();
  EXPECT_EQ(store.journal().stats().quarantined_total, 1u);
}

TEST_F(Journals, DropDuplicatesAcrossGroupsAndRestarts) {
  store.open();
  store.channel().brings({post("a"), post("a")});
  store.channel().brings({post("a"), post("b")});
  store.reopen();
  store.channel().brings({post("a"), post("b"), post("c")});
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "received b/1", "received c/1"));
  EXPECT_EQ(store.channel_stats().duplicates, 2u);
}

TEST_F(Journals, NumberRevisionsAcrossRestarts) {
  store.open();
  store.channel().brings({post("a").says("1"), post("a").says("2")});
  store.reopen();
  store.channel().brings({post("a").says("3")});
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "revised a/2", "revised a/3"));
}

TEST_F(Journals, RememberVersionsAcrossRestarts) {
  store.open();
  store.channel().brings({post("a").says("new").version(20)});
  store.reopen();
  store.channel().brings({post("a").says("old").version(10)});
  EXPECT_THAT(store.lines(), ElementsAre("received a/1"));
  EXPECT_EQ(store.channel_stats().out_of_order, 1u);
}

TEST_F(Journals, KeepOneNativeIdOfTwoChannelsApart) {
  store.open();
  store.channel("mail").brings({post("a")});
  store.channel("forum").brings({post("a")});
  const auto events = store.events();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_NE(events[0].id, events[1].id);
}

TEST_F(Journals, GiveEveryRevisionAnIdOfItsOwn) {
  store.open();
  store.channel().brings({post("a").says("1"), post("a").says("2"), post("a").withdrawn()});
  std::set<Mac> ids;
  for (const auto& event : store.events()) ids.insert(event.id);
  EXPECT_THAT(ids, SizeIs(3));
}

TEST_F(Journals, MarkWhatPredatesTheBeginOrIsBackfilledAsHistoric) {
  store.open();
  const auto now = store.clock.now();
  store.channel("mail", {Begin::Kind::now, {}})
      .brings({post("old").at(now - seconds(1)), post("new").at(now + seconds(1)),
               post("filled").at(now + seconds(1)).backfill(), post("timeless")});
  EXPECT_THAT(store.lines(), ElementsAre("received old/1 historic", "received new/1",
                                         "received filled/1 historic", "received timeless/1"));
}

TEST_F(Journals, KeepTheBeginOfAChannelAcrossRestarts) {
  store.open();
  const auto opened = store.clock.now();
  {
    auto line = store.channel("mail", {Begin::Kind::now, {}});
    line.brings({post("a")});
  }
  store.clock.advance(std::chrono::hours(24));
  store.reopen();
  auto line = store.channel("mail", {Begin::Kind::now, {}});
  EXPECT_EQ(line.opening().begin, opened);
  EXPECT_FALSE(line.opening().new_origin);
}

TEST_F(Journals, KeepTheBeginOfAChannelThatBroughtNothing) {
  store.open();
  const auto opened = store.clock.now();
  { auto line = store.channel("mail", {Begin::Kind::now, {}}); }
  store.clock.advance(std::chrono::hours(24));
  store.reopen();
  EXPECT_EQ(store.channel("mail", {Begin::Kind::now, {}}).opening().begin, opened);
}

TEST_F(Journals, KeepCursorsOfSeveralOriginsApart) {
  store.open();
  store.channel("mail", {}, "email", "one").brings({post("a")}, "cursor of one");
  store.channel("mail", {}, "email", "two").brings({post("b")}, "cursor of two");
  store.reopen();
  EXPECT_EQ(store.channel("mail", {}, "email", "one").opening().cursor, "cursor of one");
  EXPECT_EQ(store.channel("mail", {}, "email", "two").opening().cursor, "cursor of two");
  EXPECT_EQ(store.channel("mail", {}, "email", "three").opening().cursor, "");
  EXPECT_EQ(store.channel("mail", {}, "other", "one").opening().cursor, "");
}

TEST_F(Journals, TakeABatchOfOnlyACursor) {
  store.open();
  store.channel().brings({}, "nothing new");
  store.reopen();
  EXPECT_EQ(store.channel().opening().cursor, "nothing new");
  EXPECT_THAT(store.lines(), IsEmpty());
}

TEST_F(Journals, RefuseTheLeaseOfAHostThatWasReplaced) {
  store.open();
  auto earlier = store.channel();
  auto later = store.channel();
  EXPECT_EQ(earlier.submit({post("a")}, "stolen"), Submit::stale_lease);
  later.brings({post("b")}, "mine");
  store.reopen();
  EXPECT_EQ(store.channel().opening().cursor, "mine");
  EXPECT_THAT(store.lines(), ElementsAre("received b/1"));
}

TEST_F(Journals, RefuseAClosedChannel) {
  store.open();
  auto line = store.channel();
  line.close();
  EXPECT_EQ(line.submit({post("a")}), Submit::stale_lease);
}

TEST_F(Journals, GiveCreditForWholeBatches) {
  store.open();
  auto line = store.channel();
  const model::Item a = post("a"), b = post("b"), c = post("a");
  line.brings({a, b});
  line.brings({c});
  const auto count = line.sink().count();
  EXPECT_EQ(count.batches, 2u);
  EXPECT_EQ(count.items, 3u);
  EXPECT_EQ(count.bytes, a.weight() + b.weight() + c.weight());
}

TEST_F(Journals, CountWhatBecameOfEachItem) {
  store.open();
  store.channel().brings({post("a").says("1").version(5), post("a").says("1").version(5),
                          post("a").says("0").version(4), post("a").says("2").version(6),
                          post("a").withdrawn(), post("a").says("3"),
                          post("b").quarantined("broken")});
  const auto stats = store.channel_stats();
  EXPECT_EQ(stats.received, 7u);
  EXPECT_EQ(stats.stored, 4u);
  EXPECT_EQ(stats.duplicates, 1u);
  EXPECT_EQ(stats.out_of_order, 1u);
  EXPECT_EQ(stats.revisions, 1u);
  EXPECT_EQ(stats.withdrawn, 1u);
  EXPECT_EQ(stats.late, 1u);
  EXPECT_EQ(stats.quarantined, 1u);
  EXPECT_EQ(stats.queued_bytes, 0u);
}

TEST_F(Journals, AppendFactsDurably) {
  store.open();
  const auto sequence = store.journal().append(
      {"channels/mail", "org.voxbus.channel.up.v1", "channel.v1",
       R"({"channel":"mail","plugin":"email","state":"up"})", "", "", std::nullopt});
  ASSERT_TRUE(sequence);
  EXPECT_EQ(*sequence, (model::Sequence{1, 1}));
  EXPECT_EQ(store.events().at(0).body,
            R"({"time":"2026-11-22T00:00:00Z","datacontenttype":"application/json",)"
            R"("dataschema":"urn:voxbus:schema:channel.v1",)"
            R"("data":{"channel":"mail","plugin":"email","state":"up"}})");
  EXPECT_EQ(store.events().at(0).source, "urn:voxbus:test-installation/channels/mail");
}

TEST_F(Journals, AppendAFactWithTheSameKeyOnce) {
  store.open();
  const Fact fact{"people/nora", "org.voxbus.conversation.claimed.v1", "", "{}", "key 1", "", {}};
  const auto first = store.journal().append(fact);
  store.channel().brings({post("a")});
  EXPECT_EQ(*store.journal().append(fact), *first);
  store.reopen();
  EXPECT_EQ(*store.journal().append(fact), *first);
  auto other = fact;
  other.dedupe_key = "key 2";
  EXPECT_EQ(store.journal().append(other)->position, 3u);
}

TEST_F(Journals, TellTheListenerEachNewEnd) {
  store.open();
  Guarded<std::vector<model::Sequence>> told;
  store.journal().on_append(
      [&](model::Sequence end) { told.with([&](auto& ends) { ends.push_back(end); }); });
  store.channel().brings({post("a"), post("b")});
  store.channel().brings({post("a")}, "cursor only");
  static_cast<void>(store.journal().append({"x", "org.voxbus.x.y.v1", "", "{}", "", "", {}}));
  store.close();
  told.with([&](const auto& ends) {
    EXPECT_THAT(ends, ElementsAre(model::Sequence{1, 2}, model::Sequence{1, 3}));
  });
}

TEST_F(Journals, NeverLetRecordedTimeGoBackEvenAcrossRestarts) {
  store.open();
  store.channel().brings({post("a")});
  const auto first = store.events().at(0).recorded;
  store.clock.advance(-std::chrono::minutes(30));
  store.channel().brings({post("b")});
  store.reopen();
  store.channel().brings({post("c")});
  for (const auto& event : store.events()) EXPECT_EQ(event.recorded, first);
}

TEST_F(Journals, JournalABackwardStepOfTheClockOnce) {
  store.open();
  store.channel().brings({post("a")});
  store.clock.advance(-std::chrono::hours(3));
  store.channel().brings({post("b")});
  store.channel().brings({post("c")});
  store.reopen();
  store.channel().brings({post("d")});
  EXPECT_THAT(store.lines(), ElementsAre("received a/1", "clock.stepped", "received b/1",
                                         "received c/1", "received d/1"));
  EXPECT_THAT(store.events().at(1).body,
              HasSubstr(R"("dataschema":"urn:voxbus:schema:clock.v1",)"
                        R"("data":{"from":"2026-11-22T00:00:00Z","to":"2026-11-21T21:00:00Z"})"));
}

TEST_F(Journals, CommitWhatWasSubmittedBeforeTheyClose) {
  store.open();
  auto line = store.channel();
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(line.submit({post("n" + std::to_string(i))}), Submit::taken);
  }
  store.reopen();
  EXPECT_THAT(store.events(), SizeIs(500));
}

TEST_F(Journals, GiveAQuietChannelItsShareBesideOneThatFloods) {
  store.options.group_items = 64;
  store.options.queue_bytes = 64u << 20;
  store.open();
  auto flood = store.channel("flood");
  auto quiet = store.channel("quiet");
  for (int batch = 0; batch < 40; ++batch) {
    std::vector<model::Item> items;
    for (int i = 0; i < 200; ++i) {
      items.push_back(post("f" + std::to_string(batch * 200 + i)).says(std::string(4000, 'x')));
    }
    ASSERT_EQ(flood.submit(std::move(items)), Submit::taken);
  }
  quiet.brings({post("q")});
  // It came through while most of the flood was still queued.
  EXPECT_GT(store.channel_stats("flood").queued_bytes, 0u);
  flood.settle();
  EXPECT_EQ(store.journal().end().position, 8001u);
}

TEST_F(Journals, SurviveManyChannelsAtOnce) {
  store.open();
  std::vector<std::jthread> hosts;
  for (int host = 0; host < 4; ++host) {
    hosts.emplace_back([this, host] {
      auto line = store.channel("channel-" + std::to_string(host));
      for (int i = 0; i < 50; ++i) {
        line.brings({post("a" + std::to_string(i)).by("x:" + std::to_string(i % 7))},
                    std::to_string(i));
      }
    });
  }
  hosts.clear();
  EXPECT_THAT(store.events(), SizeIs(200));
  store.expect_whole();
}

TEST_F(Journals, RefuseToStoreWithoutTheInstallationsName) {
  store.options.installation.clear();
  EXPECT_THAT(store.refusal(), HasSubstr("installation"));
}

TEST_F(Journals, KeepTheInstallationTheyWereMadeWith) {
  store.open();
  store.close();
  store.options.installation = "another";
  EXPECT_EQ(store.open().installation(), "test-installation");
}

TEST_F(Journals, RefuseASecondDaemonOnTheSameDirectory) {
  store.open();
  // In another process: a lock of one's own would say nothing.
  int results[2];
  ASSERT_EQ(::pipe2(results, O_CLOEXEC), 0);
  const auto directory = store.folder();
  const pid_t child = ::fork();
  if (child == 0) {
    Options options;
    options.directory = directory;
    const auto second = Journal::open(options);
    const std::string said = second ? "opened" : second.error().message;
    if (::write(results[1], said.data(), said.size()) < 0) ::_exit(2);
    ::_exit(0);
  }
  ::close(results[1]);
  std::string said(1000, '\0');
  const auto got = ::read(results[0], said.data(), said.size());
  ::close(results[0]);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  said.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  EXPECT_EQ(said,
            "another voxbusd (pid " + std::to_string(::getpid()) + ") holds " + directory.string());
}

TEST_F(Journals, RestartTheWalAboveItsCeiling) {
  store.options.wal_ceiling = 1u << 20;
  store.open();
  auto line = store.channel();
  for (int i = 0; i < 100; ++i) {
    std::string noise = random_token(50'000);
    line.brings({post("n" + std::to_string(i)).raw(std::move(noise))});
  }
  // Ten megabytes went through it.
  EXPECT_LT(std::filesystem::file_size(store.file("journal.db-wal")), 4u << 20);
  EXPECT_THAT(store.events(), SizeIs(100));
  store.expect_whole();
}

}  // namespace
}  // namespace voxbus::journal
