// SPDX-License-Identifier: Apache-2.0
// One run of a channel with a plugin of the test's own: what the host takes, refuses, blames and
// waits for; and which entries it accepts at all. No process, no journal.
#include "host/channel_run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <set>

#include "../../plugins/raw_entry.hpp"
#include "app/intake_wiring.hpp"
#include "base/guarded.hpp"
#include "host/backoff.hpp"
#include "host/crash_mark.hpp"

namespace voxbus::host {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A plugin whose poll is whatever the test says, over the bare ABI as a C author would write it.
using Script = std::function<voxbus_status(const voxbus_call*)>;
Script script;

voxbus_status scripted_poll(voxbus_channel*, const voxbus_call* call, voxbus_view) {
  return script(call);
}
voxbus_view view(std::string_view text) { return {text.data(), text.size()}; }

bool create_commits = false;  // where only a poll may
voxbus_status scripted_create(const voxbus_host* host, const voxbus_call* call,
                              voxbus_view settings, voxbus_channel** channel) {
  if (create_commits) {
    EXPECT_EQ(call->commit(call, view("in create")), VOXBUS_MISUSE);
  }
  return raw::create(host, call, settings, channel);
}
constexpr voxbus_plugin scripted() {
  auto entry = raw::entry("org.example.scripted");
  entry.create = scripted_create;
  entry.poll = scripted_poll;
  return entry;
}
const voxbus_plugin kEntry = scripted();

voxbus_status emit(const voxbus_call* call, std::string_view id, std::string_view raw) {
  voxbus_item item{};
  item.size = sizeof item;
  item.native_id = view(id);
  item.record = view(R"({"kind":"message","text":"x"})");
  item.raw = view(raw);
  return call->emit(call, &item);
}
voxbus_status examine(const voxbus_call* call, std::string_view id) {
  return call->examine(call, view(id), view("its bytes"));
}
voxbus_status fail(const voxbus_call* call, voxbus_status status) {
  voxbus_failure failure{};
  failure.size = sizeof failure;
  failure.message = view("so it is");
  call->fail(call, &failure);
  return status;
}

class Gathering final : public Outlet {
 public:
  [[nodiscard]] bool wait_for_credit() override {
    if (on_wait) on_wait();
    return true;
  }
  [[nodiscard]] bool emit(model::Item item) override {
    if (on_emit) on_emit();
    items.push_back(std::move(item));
    return true;
  }
  [[nodiscard]] bool commit(std::string_view cursor) override {
    cursors.emplace_back(cursor);
    return true;
  }
  void polled(const Outcome& outcome) override {
    polls.push_back(outcome);
    if (after_poll) after_poll(outcome);
  }
  void ready(const Ready&) override {}
  void probed(const Outcome&) override {}
  void reread(const Outcome&) override {}
  void log(const LogLine& line) override { lines.push_back(line.message); }
  void stop() override {}

  std::vector<model::Item> items;
  std::vector<std::string> cursors, lines;
  std::vector<Outcome> polls;
  std::function<void(const Outcome&)> after_poll;
  std::function<void()> on_wait, on_emit;
};

class ChannelRunTest : public ::testing::Test {
 protected:
  // Polls until `polls` of them came back.
  void run(Script poll, int polls = 1) {
    script = std::move(poll);
    Start start;
    start.channel = "test";
    start.plugin = kEntry.id;
    start.settings = "{}";
    start.first_retry_ms = 1;
    start.max_item = 1 << 20;
    start.poison = poison_;
    auto plugin = Plugin::from_entry(kEntry, "scripted");
    ASSERT_TRUE(plugin);
    auto intake = app::make_intake(start);
    ChannelRun channel(std::move(start), *plugin, std::move(intake), outlet_, mark_, clock_);
    outlet_.after_poll = [&, left = polls](const Outcome&) mutable {
      if (--left <= 0) channel.stop();
    };
    EXPECT_EQ(channel.run().status, VOXBUS_OK);
  }

  SystemClock clock_;
  Gathering outlet_;
  CrashMark* mark_ = nullptr;
  std::vector<std::string> poison_;
};

TEST_F(ChannelRunTest, TakesIdsOfAnyLengthAndTheirNeighbours) {
  run([](const voxbus_call* call) {
    for (const auto& id : {std::string("first"), std::string(2000, 'm'), std::string("third")})
      EXPECT_EQ(emit(call, id, "x"), VOXBUS_OK);
    return call->commit(call, view("end"));
  });
  ASSERT_THAT(outlet_.items, SizeIs(3));
  EXPECT_EQ(outlet_.items[0].native_id, "first");
  EXPECT_THAT(outlet_.items[1].native_id, ::testing::StartsWith("sha256:"));
  EXPECT_FALSE(outlet_.items[1].quarantined);
  EXPECT_EQ(outlet_.items[2].native_id, "third");
  EXPECT_THAT(outlet_.cursors, ElementsAre("end"));
}

TEST_F(ChannelRunTest, QuarantinesItemsWithoutAnIdEachByItself) {
  run([](const voxbus_call* call) {
    EXPECT_EQ(emit(call, "", "some bytes"), VOXBUS_OK);
    EXPECT_EQ(emit(call, "", "other bytes"), VOXBUS_OK);
    return call->commit(call, view("end"));
  });
  ASSERT_THAT(outlet_.items, SizeIs(2));
  EXPECT_TRUE(outlet_.items[0].quarantined && outlet_.items[1].quarantined);
  EXPECT_NE(outlet_.items[0].native_id, outlet_.items[1].native_id);
  EXPECT_EQ(outlet_.items[1].raw, "other bytes");
  EXPECT_THAT(outlet_.cursors, ElementsAre("end"));
}

TEST_F(ChannelRunTest, TakesNoCursorOverWhatItRefused) {
  run([](const voxbus_call* call) {
    const voxbus_item unfilled{};  // its size is missing
    EXPECT_EQ(call->emit(call, &unfilled), VOXBUS_MISUSE);
    EXPECT_EQ(emit(call, "sound", "x"), VOXBUS_OK);
    EXPECT_EQ(call->commit(call, view("beyond")), VOXBUS_MISUSE);
    return voxbus_status{VOXBUS_OK};
  });
  EXPECT_THAT(outlet_.cursors, IsEmpty());
  EXPECT_THAT(outlet_.lines, ElementsAre(HasSubstr("an item that is not filled in")));
}

TEST_F(ChannelRunTest, ARecordOverWhichThePluginsCodeFailsThreeTimesGoesToQuarantine) {
  run(
      [](const voxbus_call* call) {
        if (examine(call, "poison") == VOXBUS_OK) return fail(call, VOXBUS_FAULT);
        return emit(call, "behind it", "x");
      },
      4);
  ASSERT_THAT(outlet_.items, SizeIs(2));
  EXPECT_TRUE(outlet_.items[0].quarantined);
  EXPECT_EQ(outlet_.items[0].native_id, "poison");
  EXPECT_EQ(outlet_.items[0].raw, "its bytes");
  EXPECT_EQ(outlet_.items[1].native_id, "behind it");
}

TEST_F(ChannelRunTest, ARetryThatThePluginAsksForBlamesNoRecord) {
  run(
      [](const voxbus_call* call) {
        EXPECT_EQ(examine(call, "innocent"), VOXBUS_OK);
        return fail(call, VOXBUS_RETRY);
      },
      4);
  EXPECT_THAT(outlet_.items, IsEmpty());
}

TEST_F(ChannelRunTest, AFaultBehindARecordThatWasBroughtBlamesItNot) {
  run(
      [](const voxbus_call* call) {
        EXPECT_EQ(examine(call, "innocent"), VOXBUS_OK);
        EXPECT_EQ(emit(call, "innocent", "x"), VOXBUS_OK);
        return fail(call, VOXBUS_FAULT);
      },
      4);
  ASSERT_THAT(outlet_.items, SizeIs(4));
  for (const auto& item : outlet_.items) EXPECT_FALSE(item.quarantined);
}

// The journal may be full for hours: a record that waits for it is not one that the plugin is busy
// with, neither when it was brought nor when it is on its way to quarantine.
TEST_F(ChannelRunTest, ARecordThatWaitsForCreditIsNotUnderSuspicion) {
  auto mark = CrashMark::make();
  ASSERT_TRUE(mark);
  mark_ = &*mark;
  poison_ = {"poison"};
  const auto suspect = [&] {
    const auto examined = mark->examined();
    return examined ? examined->native_id : "nobody";
  };
  std::vector<std::string> while_waiting, while_sending;
  outlet_.on_wait = [&] { while_waiting.push_back(suspect()); };
  outlet_.on_emit = [&] { while_sending.push_back(suspect()); };
  run([&](const voxbus_call* call) {
    EXPECT_EQ(examine(call, "poison"), VOXBUS_SKIP);
    EXPECT_EQ(examine(call, "sound"), VOXBUS_OK);
    EXPECT_EQ(suspect(), "sound");
    EXPECT_EQ(emit(call, "sound", "x"), VOXBUS_OK);
    EXPECT_EQ(suspect(), "sound") << "a second item of the record may follow";
    EXPECT_EQ(emit(call, "sound/2", "x"), VOXBUS_OK);
    EXPECT_EQ(call->commit(call, view("end")), VOXBUS_OK);
    EXPECT_EQ(suspect(), "nobody");
    return emit(call, "unexamined", "x");
  });
  EXPECT_THAT(while_waiting, ElementsAre("nobody", "nobody", "nobody", "nobody"));
  EXPECT_THAT(while_sending, ElementsAre("poison", "sound", "sound/2", "unexamined"))
      << "to die while it is framed is this record's doing";
  EXPECT_THAT(outlet_.items, SizeIs(4));
}

TEST_F(ChannelRunTest, ACursorIsTakenInAPollOnly) {
  create_commits = true;
  run([](const voxbus_call* call) { return call->commit(call, view("in poll")); });
  create_commits = false;
  EXPECT_THAT(outlet_.cursors, ElementsAre("in poll"));
  EXPECT_THAT(outlet_.lines, ElementsAre(HasSubstr("a cursor outside of poll")));
}

// Most likely for want of memory.
TEST_F(ChannelRunTest, NoCursorCoversAnItemOverWhichTheHostItselfFailed) {
  int failures = 0;
  outlet_.on_emit = [&] {
    if (++failures <= 3) throw std::bad_alloc();
  };
  run(
      [&](const voxbus_call* call) {
        const auto taken = emit(call, "too much", "its bytes");
        if (taken != VOXBUS_OK) {
          EXPECT_EQ(taken, VOXBUS_RETRY);
          EXPECT_EQ(call->commit(call, view("beyond")), VOXBUS_MISUSE);
          return taken;
        }
        return call->commit(call, view("end"));
      },
      4);
  EXPECT_THAT(outlet_.cursors, ElementsAre("end"));
  ASSERT_THAT(outlet_.items, SizeIs(1));
  EXPECT_TRUE(outlet_.items[0].quarantined) << "three times is enough";
  EXPECT_EQ(outlet_.items[0].raw, "its bytes");
}

// ---- which entries are accepted (rules 3 and 5 of the ABI)
// ---------------------------------------

TEST(PluginEntry, OfALargerStructIsReadAsFarAsItIsKnown) {
  struct Later {
    voxbus_plugin known;
    void* appended;
  } later{kEntry, nullptr};
  later.known.size = sizeof later;
  later.known.abi_minor = 7;
  const auto plugin = Plugin::from_entry(later.known, "later");
  ASSERT_TRUE(plugin);
  EXPECT_EQ((*plugin)->abi_minor(), VOXBUS_ABI_MINOR) << "the lower minor rules";
}

TEST(PluginEntry, OfAnEarlierMinorIsSpokenToInThatMinor) {
  auto earlier = kEntry;
  earlier.abi_minor = 0;
  const auto plugin = Plugin::from_entry(earlier, "earlier");
  ASSERT_TRUE(plugin);
  EXPECT_EQ((*plugin)->abi_minor(), 0);
}

TEST(PluginEntry, ThatIsTooSmallOrOfAnotherMajorOrHollowIsRefusedWithItsReason) {
  const auto reason = [](auto change) {
    auto entry = kEntry;
    change(entry);
    const auto plugin = Plugin::from_entry(entry, "it");
    return plugin ? std::string("accepted") : plugin.error().message;
  };
  EXPECT_THAT(reason([](auto& e) { e.size = 4; }), HasSubstr("ABI"));
  EXPECT_THAT(reason([](auto& e) { e.size -= 1; }), HasSubstr("fewer than"));
  EXPECT_THAT(reason([](auto& e) { e.abi_major = 1; }), HasSubstr("speaks plugin ABI 1"));
  EXPECT_THAT(reason([](auto& e) { e.id = nullptr; }), HasSubstr("empty"));
  EXPECT_THAT(reason([](auto& e) { e.poll = nullptr; }), HasSubstr("empty"));
  EXPECT_THAT(reason([](auto& e) { e.destroy = nullptr; }), HasSubstr("empty"));
  EXPECT_THAT(reason([](auto& e) { e.capability = nullptr; }), "accepted");
}

// What a plugin compiled today finds at these places it must find there for ever.
TEST(PluginEntry, HasItsMembersWhereTheyAlwaysWere) {
  EXPECT_EQ(offsetof(voxbus_plugin, id), 8u);
  EXPECT_EQ(offsetof(voxbus_plugin, describe), 24u);
  EXPECT_EQ(offsetof(voxbus_plugin, create), 32u);
  EXPECT_EQ(offsetof(voxbus_plugin, destroy), 40u);
  EXPECT_EQ(offsetof(voxbus_plugin, poll), 48u);
  EXPECT_EQ(offsetof(voxbus_plugin, stop), 56u);
  EXPECT_EQ(offsetof(voxbus_plugin, capability), 64u);
  EXPECT_EQ(offsetof(voxbus_call, emit), 8u);
  EXPECT_EQ(offsetof(voxbus_call, commit), 16u);
  EXPECT_EQ(offsetof(voxbus_call, examine), 24u);
  EXPECT_EQ(offsetof(voxbus_call, fail), 32u);
  EXPECT_EQ(offsetof(voxbus_call, stopping), 40u);
  EXPECT_EQ(offsetof(voxbus_call, wake_fd), 48u);
  EXPECT_EQ(offsetof(voxbus_host, service), 8u);
  EXPECT_EQ(offsetof(voxbus_item, native_id), 8u);
  EXPECT_EQ(offsetof(voxbus_item, version), 24u);
  EXPECT_EQ(offsetof(voxbus_item, occurred_at), 32u);
  EXPECT_EQ(offsetof(voxbus_item, record), 40u);
  EXPECT_EQ(offsetof(voxbus_item, raw), 56u);
  EXPECT_EQ(offsetof(voxbus_item, attachments), 72u);
  EXPECT_EQ(offsetof(voxbus_failure, message), 8u);
  EXPECT_EQ(offsetof(voxbus_failure, retry_after_ms), 24u);
}

// ---- waiting
// -------------------------------------------------------------------------------------

TEST(BackoffTest, DoublesUpToItsLimitWithJitterOverTheUpperHalf) {
  Backoff backoff(100ms, 1000ms);
  for (const auto full : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    const auto wait = backoff.next();
    EXPECT_GE(wait, full / 2);
    EXPECT_LE(wait, full);
  }
  backoff.reset();
  EXPECT_LE(backoff.next(), 100ms);
  for (int i = 0; i < 200; ++i) EXPECT_LE(backoff.next(), 1000ms) << "no overflow";
}

TEST(BackoffTest, DoesNotBringBackTogetherWhatFailedTogether) {
  std::set<std::int64_t> waits;
  for (int i = 0; i < 20; ++i) waits.insert(Backoff(100'000ms, 100'000ms).next().count());
  EXPECT_GT(waits.size(), 10u);
}

}  // namespace
}  // namespace voxbus::host
