// SPDX-License-Identifier: Apache-2.0
//
// The harness notices what it promises to notice, and the SDK's functions at the border turn
// whatever a channel does into a status.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "voxbus/plugin.hpp"
#include "voxbus/testing.hpp"

namespace {

using ::testing::HasSubstr;
using voxbus::testing::ContractViolation;
using voxbus::testing::Harness;
using voxbus::testing::Outcome;

// A channel whose poll is whatever the test says.
class Scripted final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{
      .id = "org.example.scripted", .version = "1.0.0", .summary = "Does what a test says"};
  using Poll =
      std::function<voxbus::Result<voxbus::Batch>(const voxbus::Cursor&, voxbus::Context&)>;
  static inline Poll script;

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since,
                                     voxbus::Context& context) override {
    return script(since, context);
  }
};

class ThrowsWhenMade final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "a.b", .version = "1", .summary = "x"};
  ThrowsWhenMade() { throw std::runtime_error("the tape is missing"); }
  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context&) override {
    return voxbus::Batch{};
  }
};

Outcome poll_once(Harness& harness, Scripted::Poll script) {
  Scripted::script = std::move(script);
  EXPECT_EQ(harness.create().status, VOXBUS_OK);
  return harness.poll();
}
Outcome poll_once(Scripted::Poll script) {
  Harness harness{voxbus::detail::Plugin<Scripted>::kEntry};
  return poll_once(harness, std::move(script));
}

// Passes an item of the ABI straight through, as a plugin in another language would.
voxbus_item item(std::string_view id, std::string_view record) {
  voxbus_item out{};
  out.size = sizeof out;
  out.native_id = voxbus::detail::view(id);
  out.record = voxbus::detail::view(record);
  return out;
}
std::string violation_of(const voxbus_item& bad) {
  try {
    (void)poll_once([&](const voxbus::Cursor&, voxbus::Context& context) {
      (void)context.emit(bad);
      return voxbus::Batch{};
    });
  } catch (const ContractViolation& violation) {
    return violation.what();
  }
  return "none";
}

TEST(Border, TurnsExceptionsIntoAStatusWithTheirWords) {
  const Outcome outcome = poll_once([](const auto&, auto&) -> voxbus::Result<voxbus::Batch> {
    throw std::runtime_error("the line is \xFF dead");
  });
  EXPECT_EQ(outcome.status, VOXBUS_FAULT);
  EXPECT_EQ(outcome.message, "the line is \xEF\xBF\xBD dead");
}

TEST(Border, TurnsThrownNumbersAndLackOfMemoryIntoAStatus) {
  const Outcome number =
      poll_once([](const auto&, auto&) -> voxbus::Result<voxbus::Batch> { throw 7; });
  EXPECT_EQ(number.status, VOXBUS_FAULT);
  EXPECT_EQ(number.message, "an exception of an unknown type");
  const Outcome memory = poll_once(
      [](const auto&, auto&) -> voxbus::Result<voxbus::Batch> { throw std::bad_alloc{}; });
  EXPECT_EQ(memory.status, VOXBUS_FAULT);
  EXPECT_EQ(memory.message, "out of memory");
}

// Three lines, of which the channel remembers in itself how far it read; one poll throws behind the
// second, which was taken and not brought.
class Forgetful final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.example.forgetful",
                                        .version = "1.0.0",
                                        .summary = "Is ahead of its cursor when it throws"};
  static inline int throws_left = 0;
  static inline std::atomic<int> stops = 0;

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since, voxbus::Context&) override {
    if (!next_) next_ = since.empty() ? 0 : std::stoi(since.bytes);
    if (*next_ >= 3) return voxbus::Batch{};
    const int mine = (*next_)++;
    if (mine == 1 && throws_left-- > 0) throw std::bad_alloc{};
    voxbus::Record record;
    record.text = "line " + std::to_string(mine);
    return voxbus::Batch{.items = {{.native_id = std::to_string(mine), .record = record}},
                         .cursor = {std::to_string(*next_)},
                         .more = true};
  }
  voxbus::Result<void> probe(voxbus::Context&) { return {}; }
  void stop() noexcept override { ++stops; }

 private:
  std::optional<int> next_;
};

TEST(Border, AfterAPollThatThrewTheNextBeginsAtTheCursorAgain) {
  for (const int throws : {1, 3}) {
    Forgetful::throws_left = throws;
    Harness harness{voxbus::detail::Plugin<Forgetful>::kEntry};
    ASSERT_EQ(harness.create().status, VOXBUS_OK);
    std::vector<std::string> ids;
    int faults = 0;
    for (int polls = 0; polls < 10; ++polls) {
      const Outcome outcome = harness.poll();
      faults += outcome.status == VOXBUS_FAULT;
      for (const auto& item : outcome.items) ids.push_back(item.native_id);
    }
    EXPECT_EQ(faults, throws);
    EXPECT_EQ(ids, (std::vector<std::string>{"0", "1", "2"}));
  }
}

TEST(Border, TellsAChannelThatWasMadeAnewOfAStopThatCameBefore) {
  Forgetful::throws_left = 1;
  Forgetful::stops = 0;
  Harness harness{voxbus::detail::Plugin<Forgetful>::kEntry};
  ASSERT_EQ(harness.create().status, VOXBUS_OK);
  (void)harness.poll();
  EXPECT_EQ(harness.poll().status, VOXBUS_FAULT);
  harness.stop_before_poll();
  (void)harness.poll();
  EXPECT_EQ(Forgetful::stops, 2) << "the one that was in doubt, and the new one";
}

TEST(Border, KeepsKindAndDelayOfAnError) {
  const Outcome later = poll_once([](const auto&, auto&) -> voxbus::Result<voxbus::Batch> {
    return voxbus::Error::retry("busy", std::chrono::seconds{3});
  });
  EXPECT_EQ(later.status, VOXBUS_RETRY);
  EXPECT_EQ(later.retry_after, std::chrono::seconds{3});
  const Outcome never = poll_once([](const auto&, auto&) -> voxbus::Result<voxbus::Batch> {
    return voxbus::Error::permanent("no such mailbox");
  });
  EXPECT_EQ(never.status, VOXBUS_PERMANENT);
}

TEST(Border, ReportsAConstructorThatThrows) {
  Harness harness{voxbus::detail::Plugin<ThrowsWhenMade>::kEntry};
  const Outcome outcome = harness.create();
  EXPECT_EQ(outcome.status, VOXBUS_PERMANENT);
  EXPECT_EQ(outcome.message, "the tape is missing");
}

TEST(Border, RefusesABatchWithoutItsCursor) {
  const Outcome outcome = poll_once([](const auto&, auto&) -> voxbus::Result<voxbus::Batch> {
    return voxbus::Batch{.items = {{.native_id = "1"}}};
  });
  EXPECT_EQ(outcome.status, VOXBUS_PERMANENT);
  EXPECT_THAT(outcome.message, HasSubstr("without a cursor"));
}

TEST(Border, CarriesEveryMemberOfAnItem) {
  Harness harness{voxbus::detail::Plugin<Scripted>::kEntry};
  const Outcome outcome =
      poll_once(harness, [](const auto&, auto&) -> voxbus::Result<voxbus::Batch> {
        voxbus::Record record;
        record.kind = voxbus::Kind::kReview;
        record.direction = voxbus::Direction::kOutbound;
        record.audience = voxbus::Audience::kPublic;
        record.author = {"x:1", "Nora", {"mailto:nora@example.org"}, "https://example.org/nora"};
        record.conversation = "c";
        record.in_reply_to = "0";
        record.title = "t";
        record.text = "w";
        record.quoted.push_back({2, "Ada", 0, "before", "n"});
        record.language = "en";
        record.attachments.push_back({"a.txt", "text/plain", 3, std::string(64, 'a'), "https://e"});
        record.permalink = "https://example.org/1";
        record.call = {voxbus::CallDirection::kInternal, voxbus::Disposition::kBusy, 3, 0};
        record.native = {{{"mid", "m"}}, {{"likes", 2}}, {{"window", "24h"}}};
        return voxbus::Batch{.items = {{.native_id = "1",
                                        .version = 7,
                                        .occurred_at = voxbus::Time{std::chrono::seconds{5}},
                                        .record = record,
                                        .raw = "raw",
                                        .attachments = {{"a.txt", "text/plain", "abc"}},
                                        .backfill = true}},
                             .cursor = {"next"}};
      });
  ASSERT_EQ(outcome.items.size(), 1u);
  const auto& seen = outcome.items[0];
  EXPECT_EQ(seen.version, 7u);
  EXPECT_EQ(seen.occurred_at, 5'000'000);
  EXPECT_EQ(seen.flags, VOXBUS_ITEM_HAS_VERSION | VOXBUS_ITEM_HAS_OCCURRED | VOXBUS_ITEM_BACKFILL);
  EXPECT_EQ(seen.raw, "raw");
  ASSERT_EQ(seen.attachments.size(), 1u);
  EXPECT_EQ(seen.attachments[0].bytes, "abc");
  EXPECT_EQ(harness.cursor(), "next");
  EXPECT_EQ(
      seen.record,
      R"({"kind":"review","direction":"outbound","audience":"public","author":{"handle":"x:1",)"
      R"("name":"Nora","addresses":["mailto:nora@example.org"],"profile":"https://example.org/nora"},)"
      R"("conversation":"c","in_reply_to":"0","title":"t","text":"w","quoted":[{"depth":2,)"
      R"("author":"Ada","at":0,"text":"before","native_id":"n"}],"language":"en","attachments":[)"
      R"({"name":"a.txt","type":"text/plain","size":3,"sha256":")" +
          std::string(64, 'a') +
          R"(","url":"https://e"}],"permalink":"https://example.org/1","call":{"direction":"internal",)"
          R"("disposition":"busy","waited_seconds":3,"talked_seconds":0},"native":{"ids":{"mid":"m"},)"
          R"("metrics":{"likes":2.0},"window":"24h"}})");
}

TEST(Harness, NoticesLinksThatTheHostLetsGo) {
  for (const char* members :
       {R"("permalink":"javascript:alert")", R"("author":{"profile":"/nora"})",
        R"("attachments":[{"name":"a","url":"data:text/html,x"}])"}) {
    EXPECT_THAT(violation_of(item("1", R"({"kind":"post",)" + std::string{members} + "}")),
                HasSubstr("is no address of http or https"))
        << members;
  }
}

TEST(Harness, NoticesARecordThatIsNotUtf8) {
  EXPECT_THAT(violation_of(item("1", "{\"kind\":\"message\",\"text\":\"\xFF\"}")),
              HasSubstr("not UTF-8"));
}

TEST(Harness, NoticesAnEmptyOrOverlongNativeId) {
  EXPECT_THAT(violation_of(item("", R"({"kind":"post"})")), HasSubstr("native id of 0 bytes"));
  EXPECT_THAT(violation_of(item(std::string(1025, 'x'), R"({"kind":"post"})")),
              HasSubstr("native id of 1025 bytes"));
}

TEST(Harness, NoticesWhatAPluginInCFillsInWrongly) {
  auto nowhere = item("1", R"({"kind":"post"})");
  nowhere.raw = {nullptr, 7};
  EXPECT_THAT(violation_of(nowhere), HasSubstr("raw bytes of 7 bytes at no address"));
  auto files = item("1", R"({"kind":"post"})");
  files.attachment_count = 1;
  EXPECT_THAT(violation_of(files), HasSubstr("an attachment that is none"));
  auto seconds = item("1", R"({"kind":"post"})");
  seconds.flags = VOXBUS_ITEM_HAS_OCCURRED;
  seconds.occurred_at = std::numeric_limits<std::int64_t>::max();
  EXPECT_THAT(violation_of(seconds), HasSubstr("microseconds since 1970"));
  auto entry = voxbus::detail::Plugin<Scripted>::kEntry;
  entry.id = "";
  EXPECT_THROW(Harness{entry}, ContractViolation);
  entry = voxbus::detail::Plugin<Scripted>::kEntry;
  entry.id = "org.example.another";
  Harness another{entry};
  EXPECT_THROW((void)another.describe(), ContractViolation);
}

TEST(Harness, NoticesARecordOutsideTheSchema) {
  EXPECT_THAT(violation_of(item("1", R"({"text":"x"})")), HasSubstr("record.kind is missing"));
  EXPECT_THAT(violation_of(item("1", R"({"kind":"letter"})")), HasSubstr("unknown value"));
  EXPECT_THAT(violation_of(item("1", R"({"kind":"post","author":{"phone":"1"}})")),
              HasSubstr("record.author.phone is not in the schema"));
  EXPECT_THAT(violation_of(item("1", R"({"kind":"call","call":{"waited_seconds":-1}})")),
              HasSubstr("record.call.waited_seconds"));
  EXPECT_EQ(violation_of(item("1", R"({"kind":"post"})")).find("not in the schema"),
            std::string::npos);
}

TEST(Harness, NoticesItemsThatNoCursorCovers) {
  EXPECT_THAT(violation_of(item("1", R"({"kind":"post"})")),
              HasSubstr("returned without a cursor for 1 items"));
}

TEST(Harness, NoticesEmitAfterTheCallReturned) {
  Harness harness{voxbus::detail::Plugin<Scripted>::kEntry};
  const voxbus::Context* kept = nullptr;
  std::optional<voxbus::Context> copy;
  (void)poll_once(harness, [&](const auto&, voxbus::Context& context) {
    copy = context;
    kept = &*copy;
    return voxbus::Batch{};
  });
  ASSERT_NE(kept, nullptr);
  EXPECT_THROW((void)copy->emit(voxbus::Item{.native_id = "late"}), voxbus::Failure);
  EXPECT_THROW(harness.destroy(), ContractViolation);
}

TEST(Harness, NoticesEmitFromAnotherThread) {
  EXPECT_THROW((void)poll_once([](const auto&, voxbus::Context& context) {
                 std::thread other{[&] {
                   try {
                     (void)context.emit(voxbus::Item{.native_id = "1"});
                   } catch (const voxbus::Failure&) {
                   }
                 }};
                 other.join();
                 return voxbus::Batch{};
               }),
               ContractViolation);
}

TEST(Harness, NoticesACursorAbove64KiB) {
  EXPECT_THROW((void)poll_once([](const auto&, voxbus::Context& context) {
                 (void)context.commit({std::string(65'537, 'x')});
                 return voxbus::Batch{};
               }),
               ContractViolation);
}

TEST(Context, WaitEndsAtOnceWhenStopComes) {
  Harness harness{voxbus::detail::Plugin<Scripted>::kEntry};
  std::chrono::steady_clock::time_point asked;
  std::thread stopper;
  harness.on_waiting([&](int) {
    stopper = std::thread{[&] {
      asked = std::chrono::steady_clock::now();
      harness.stop();
    }};
  });
  const Outcome outcome = poll_once(harness, [](const auto&, voxbus::Context& context) {
    EXPECT_FALSE(context.wait(std::chrono::hours{1}));
    return voxbus::Batch{};
  });
  stopper.join();
  EXPECT_EQ(outcome.status, VOXBUS_STOPPED);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::milliseconds{200});
}

TEST(Context, UsesTheClockAndTheLogOfTheHost) {
  Harness harness{voxbus::detail::Plugin<Scripted>::kEntry};
  harness.set_now(42);
  (void)poll_once(harness, [](const auto&, voxbus::Context& context) {
    EXPECT_EQ(context.now().time_since_epoch().count(), 42);
    context.log(voxbus::LogLevel::kWarning, "the file is short");
    EXPECT_TRUE(context.wait(std::chrono::milliseconds{0}));
    return voxbus::Batch{};
  });
  EXPECT_THAT(harness.log(), ::testing::ElementsAre("the file is short"));
}

TEST(Abi, IsEnoughForAPluginInPlainC) {
  const auto harness = Harness::load(PLAIN_C_SO);
  EXPECT_EQ(harness->describe().text("name"), "plain_c");
  ASSERT_EQ(harness->create().status, VOXBUS_OK);
  const Outcome outcome = harness->drain();
  ASSERT_EQ(outcome.items.size(), 1u);
  EXPECT_EQ(outcome.items[0].json().text("text"), "hello from C");
  EXPECT_TRUE(harness->drain().items.empty());
}

}  // namespace
