// SPDX-License-Identifier: Apache-2.0
// What of a channel's ups and downs reaches the journal: the first at once, and then the newest,
// never more often than the interval says.
#include "host/fact_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "../bus/bus_fixture.hpp"

namespace voxbus::host {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class FactWriterTest : public ::testing::Test {
 protected:
  static ChannelStatus status(const std::string& name, Level level, std::string reason = {}) {
    ChannelStatus made;
    made.name = name;
    made.plugin_id = "org.voxbus.test";
    made.level = level;
    made.reason = std::move(reason);
    made.since = SystemClock().now();
    return made;
  }
  struct Written {
    std::string words;  // "support degraded: gone"
    TimePoint recorded;
  };
  std::vector<Written> written() {
    std::vector<Written> out;
    const auto events = journal_->reader()->read(0, 1000, 1 << 20);
    if (!events) throw std::runtime_error(events.error().message);
    for (const auto& event : *events) {
      const auto body = json::parse(event.body);
      const auto* data = body ? json::object_at(body->get_object(), "data") : nullptr;
      if (!data) throw std::runtime_error("an event without data");
      const auto text = [&](const char* name) {
        return std::string(json::text_at(*data, name).value_or(""));
      };
      out.push_back(
          {text("channel") + ' ' + text("state") + ": " + text("reason"), event.recorded});
    }
    return out;
  }
  // Once there are so many; after a while whatever there is.
  std::vector<std::string> when(std::size_t count) {
    const auto end = std::chrono::steady_clock::now() + test::kPatience;
    while (written().size() < count && std::chrono::steady_clock::now() < end)
      std::this_thread::yield();
    std::vector<std::string> words;
    for (const auto& one : written()) words.push_back(one.words);
    return words;
  }

  test::BusJournal journal_;
};

TEST_F(FactWriterTest, WritesTheFirstStateOfEachChannelAtOnceAndNoOtherWithinTheInterval) {
  FactWriter facts(*journal_, 1h);
  facts.note(status("support", Level::up));
  EXPECT_THAT(when(1), ElementsAre("support up: "));
  for (int i = 0; i < 100; ++i) {
    facts.note(status("support", Level::degraded, "gone"));
    facts.note(status("support", Level::up));
  }
  facts.note(status("support", Level::down, "for good"));
  // What is due goes in the order of the names: had the first one been, it would stand before this.
  facts.note(status("tickets", Level::up));
  EXPECT_THAT(when(2), ElementsAre("support up: ", "tickets up: "));
}

TEST_F(FactWriterTest, WritesTheNewestStateOnceTheIntervalIsOver) {
  constexpr auto kInterval = 1500ms;
  FactWriter facts(*journal_, kInterval);
  facts.note(status("support", Level::up));
  when(1);
  for (const char* reason : {"one", "two", "three"})
    facts.note(status("support", Level::degraded, reason));
  EXPECT_THAT(when(2), ElementsAre("support up: ", "support degraded: three"));
  const auto both = written();
  ASSERT_EQ(both.size(), 2u);
  EXPECT_GE(both[1].recorded - both[0].recorded, kInterval / 2);
}

TEST_F(FactWriterTest, WritesNothingOfAChannelThatIsBackWhereItWasOrIsOnlyStarting) {
  FactWriter facts(*journal_, 1ms);
  facts.note(status("support", Level::up));
  when(1);
  facts.note(status("support", Level::starting));
  facts.note(status("support", Level::up));
  facts.note(status("tickets", Level::up));
  EXPECT_THAT(when(2), ElementsAre("support up: ", "tickets up: "));
}

}  // namespace
}  // namespace voxbus::host
