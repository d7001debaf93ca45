// SPDX-License-Identifier: Apache-2.0
// The supervisor with the real voxbus-host, real libraries and a real journal, under limits that
// are short enough to be reached.
#include "host/supervisor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "../bus/bus_fixture.hpp"
#include "app/intake_wiring.hpp"
#include "base/json.hpp"
#include "base/posix.hpp"
#include "intake/normalise.hpp"

namespace voxbus::host {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr auto kPatience = 30s;

class SupervisorTest : public ::testing::Test {
 protected:
  explicit SupervisorTest(std::size_t queue_bytes = journal::Options().queue_bytes)
      : journal_(nullptr, queue_bytes) {}
  ~SupervisorTest() override { supervisor_.reset(); }

  void start(const std::function<void(Surroundings&)>& adapt = {}) {
    Surroundings around;
    around.journal = &*journal_;
    around.clock = &clock_;
    around.admit = intake::admit;
    around.make_intake = app::make_intake;
    around.host_program = HOST_PROGRAM;
    around.build = VOXBUS_BUILD;
    around.set_aside = set_aside();
    around.trust_plugins = true;
    around.start_within = 1500ms;
    around.quiet_limit = 1000ms;
    around.record_limit = 700ms;
    around.silence_limit = 3000ms;
    around.first_backoff = 10ms;
    around.longest_backoff = 100ms;
    if (adapt) adapt(around);
    supervisor_ = std::make_unique<Supervisor>(std::move(around));
  }
  void restart() {
    supervisor_.reset();
    start();
  }

  config::Channel channel(const std::string& name, const std::string& plugin, const std::string& id,
                          json::object settings = {}) {
    config::Channel made;
    made.name = name;
    made.plugin = plugin;
    made.plugin_id = id;
    made.library = std::filesystem::path(TEST_PLUGINS) / (plugin + ".so");
    made.settings.values = std::move(settings);
    made.settings.origin = "test";
    made.stop_within = 300ms;
    return made;
  }
  config::Channel moods(const std::string& name, json::object settings = {}) {
    return channel(name, "moods", "org.voxbus.test.moods", std::move(settings));
  }

  ChannelStatus status(const std::string& name) {
    for (auto& one : supervisor_->status()) {
      if (one.name == name) return one;
    }
    throw std::runtime_error("no channel " + name);
  }
  // The status once it is as wanted; after kPatience whatever it is.
  ChannelStatus when(const std::string& name, const std::function<bool(const ChannelStatus&)>& ok) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    for (;;) {
      auto now = status(name);
      if (ok(now) || std::chrono::steady_clock::now() > end) return now;
      std::this_thread::yield();
    }
  }
  ChannelStatus when_reason(const std::string& name, const std::string& part) {
    return when(name, [&](const auto& s) { return s.reason.find(part) != s.reason.npos; });
  }
  // "c-3 quarantined", sorted.
  std::multiset<std::string> stored() {
    std::multiset<std::string> lines;
    const auto events = journal_->reader()->read(0, 1000, 1 << 20);
    if (!events) throw std::runtime_error(events.error().message);
    for (const auto& event : *events) {
      const auto body = json::parse(event.body);
      const auto* data = body ? json::object_at(body->get_object(), "data") : nullptr;
      const auto id = data ? json::text_at(*data, "native_id") : std::nullopt;
      if (!id) continue;  // a channel's state
      const auto verb = event.type.substr(std::string_view("org.voxbus.interaction.").size());
      lines.insert(std::string(*id) + ' ' + verb.substr(0, verb.find('.')));
    }
    return lines;
  }
  // "support degraded", in the order of the journal.
  std::vector<std::string> journalled_states() {
    std::vector<std::string> lines;
    const auto events = journal_->reader()->read(0, 1000, 1 << 20);
    if (!events) throw std::runtime_error(events.error().message);
    for (const auto& event : *events) {
      const auto body = json::parse(event.body);
      const auto* data = body ? json::object_at(body->get_object(), "data") : nullptr;
      const auto state = data ? json::text_at(*data, "state") : std::nullopt;
      if (state)
        lines.push_back(std::string(json::text_at(*data, "channel").value_or("")) + ' ' +
                        std::string(*state));
    }
    return lines;
  }
  std::filesystem::path set_aside() const { return folder_.path() / "set-aside.json"; }

  test::Folder folder_;
  SystemClock clock_;
  test::BusJournal journal_;
  std::unique_ptr<Supervisor> supervisor_;
};

// What the processes of a test leave behind becomes ours, and is waited for when the test is over.
class Orphanage {
 public:
  explicit Orphanage(std::unique_ptr<Supervisor>& supervisor) : supervisor_(supervisor) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  ~Orphanage() {
    supervisor_.reset();
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }

 private:
  std::unique_ptr<Supervisor>& supervisor_;
};

constexpr auto is_up = [](const ChannelStatus& status) { return status.level == Level::up; };

TEST_F(SupervisorTest, ALibraryThatDiesWhileItIsLoadedIsSetAsideAndTheOthersGoOn) {
  start();
  supervisor_->add(moods("well"));
  supervisor_->add(channel("bad", "crashes_on_load", "org.example.crashes_on_load"));
  const auto bad = when_reason("bad", "was set aside");
  EXPECT_THAT(bad.reason, HasSubstr("killed by SIGSEGV"));
  EXPECT_THAT(bad.reason, HasSubstr(set_aside().string()));
  EXPECT_EQ(bad.level, Level::degraded);
  EXPECT_EQ(bad.crashes, 0u) << "no channel's process died of it";
  EXPECT_EQ(when("well", is_up).level, Level::up);
}

TEST_F(SupervisorTest, InlineTheSameLibraryDoesNotEndTheDaemon) {
  start();
  auto bad = channel("bad", "crashes_on_load", "org.example.crashes_on_load");
  bad.isolated = false;
  supervisor_->add(bad);
  EXPECT_THAT(when_reason("bad", "was set aside").reason, HasSubstr("killed by SIGSEGV"));
}

TEST_F(SupervisorTest, WhatWasSetAsideStaysSoAfterARestartUntilAPersonTakesItOut) {
  start();
  supervisor_->add(channel("bad", "crashes_on_load", "org.example.crashes_on_load"));
  when_reason("bad", "was set aside");
  restart();
  supervisor_->add(channel("bad", "crashes_on_load", "org.example.crashes_on_load"));
  // At once, without another trial.
  EXPECT_THAT(when("bad", [](const auto& s) { return !s.reason.empty(); }).reason,
              HasSubstr("was set aside"));
  ASSERT_TRUE(replace_file(set_aside(), "{}\n"));
  EXPECT_THAT(when_reason("bad", "loading").reason, Not(HasSubstr("set aside")));
}

TEST_F(SupervisorTest, AnotherFileInItsPlaceIsAnotherLibrary) {
  start();
  const auto library = folder_.path() / "moods.so";
  std::filesystem::copy_file(std::filesystem::path(TEST_PLUGINS) / "crashes_on_load.so", library);
  auto changing = moods("changing");
  changing.library = library;
  supervisor_->add(changing);
  when_reason("changing", "was set aside");
  std::filesystem::remove(library);
  std::filesystem::copy_file(std::filesystem::path(TEST_PLUGINS) / "moods.so", library);
  EXPECT_EQ(when("changing", is_up).level, Level::up);
}

TEST_F(SupervisorTest, ALibraryThatNeverComesBackFromLoadingIsEndedInTimeAndHoldsUpNobody) {
  start();
  supervisor_->add(channel("endless", "endless_load", "org.example.endless_load"));
  supervisor_->add(moods("well"));
  EXPECT_EQ(when("well", is_up).level, Level::up);
  EXPECT_EQ(status("endless").level, Level::starting) << "its time was not yet over";
  EXPECT_THAT(when_reason("endless", "was set aside").reason, HasSubstr("took longer than"));
}

TEST_F(SupervisorTest, ALibraryThatOnlyDoesNotFitIsRefusedButNotSetAside) {
  start();
  supervisor_->add(channel("old", "wrong_abi", "org.example.wrong_abi"));
  const auto old = when("old", [](const auto& s) { return s.restarts >= 3 && !s.reason.empty(); });
  EXPECT_THAT(old.reason, HasSubstr("ABI"));
  EXPECT_FALSE(std::filesystem::exists(set_aside()));
}

// What it left behind holds the other end of the socket for as long as it likes.
TEST_F(SupervisorTest, ALibraryThatLeavesAProcessBehindWhileItIsLoadedHoldsUpNobody) {
  start();
  supervisor_->add(channel("bad", "forks_on_load", "org.example.forks_on_load"));
  EXPECT_THAT(when_reason("bad", "was set aside").reason, HasSubstr("exited with 3"));
  supervisor_->add(moods("well"));
  EXPECT_EQ(when("well", is_up).level, Level::up);
}

TEST_F(SupervisorTest, WhatDiedUnderOneLimitOfMemoryIsStillTriedUnderALargerOne) {
  start();
  auto small = channel("small", "crashes_on_load", "org.example.crashes_on_load");
  small.memory = 300 << 20;
  supervisor_->add(small);
  when_reason("small", "was set aside");
  const auto tried_with = [&] {
    const auto text = read_file(set_aside(), 4096);
    return text ? *text : std::string();
  };
  EXPECT_THAT(tried_with(), HasSubstr(std::to_string(300 << 20)));
  restart();
  auto large = small;
  large.name = "large";
  large.memory = 600 << 20;
  supervisor_->add(large);
  when_reason("large", "was set aside");
  EXPECT_THAT(tried_with(), HasSubstr(std::to_string(600 << 20)));
  supervisor_->add(small);
  const auto first = [](const auto& s) { return !s.reason.empty(); };
  EXPECT_THAT(when("small", first).reason, HasSubstr("set aside"));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have no such limits
TEST_F(SupervisorTest, AProcessThatDiesBeforeItReachedTheLibraryBlamesTheLibraryNot) {
  start();
  auto narrow = moods("narrow");
  narrow.memory = 20 << 20;  // less than the program's own libraries take
  supervisor_->add(narrow);
  const auto tried =
      when("narrow", [](const auto& s) { return s.restarts >= 4 && !s.reason.empty(); });
  EXPECT_THAT(tried.reason, HasSubstr("is its memory of 20.0 MiB enough?"));
  EXPECT_FALSE(std::filesystem::exists(set_aside()));
  supervisor_->add(moods("wide"));
  EXPECT_EQ(when("wide", is_up).level, Level::up);
}
#endif

TEST_F(SupervisorTest, StopEndsATrialThatIsStillGoingOn) {
  start();
  supervisor_->add(channel("endless", "endless_load", "org.example.endless_load"));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(supervisor_->stop());
  supervisor_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1s);
}

// What they leave behind holds their sockets for a moment, in which others' are opened.
TEST_F(SupervisorTest, ProcessesThatDieAllTheTimeEndNoneThatIsBegunMeanwhile) {
  const Orphanage orphanage(supervisor_);
  start([](Surroundings& around) { around.host_program = FALSE_HOST; });
  std::set<std::string> names, reasons;
  for (int i = 0; i < 16; ++i) {
    names.insert("dies-" + std::to_string(i));
    supervisor_->add(moods("dies-" + std::to_string(i), {{"dies", true}}));
  }
  for (const auto& name : names) {
    when(name, [&](const auto&) {
      for (const auto& one : supervisor_->status()) {
        if (!one.reason.empty()) reasons.insert(one.reason);
      }
      return status(name).restarts >= 40;
    });
  }
  EXPECT_THAT(reasons, ElementsAre("the plugin's process exited with 3"));
}

TEST_F(SupervisorTest, AChannelThatComesAndGoesAllTheTimeIsJournalledOnceAMinute) {
  start([](Surroundings& around) { around.host_program = FALSE_HOST; });
  const Orphanage orphanage(supervisor_);
  supervisor_->add(moods("dies", {{"dies", true}}));
  when("dies", [&](const auto& s) { return s.restarts >= 10; });
  // Once this is there, whatever was due before it is as well.
  supervisor_->add(moods("lives"));
  const std::string lives = "lives up";
  std::vector<std::string> states;
  when("lives", [&](const auto&) {
    states = journalled_states();
    return std::count(states.begin(), states.end(), lives) > 0;
  });
  EXPECT_THAT(states, ElementsAre(::testing::StartsWith("dies "), lives));
}

TEST_F(SupervisorTest, AChannelThatIsTakenOutOfTheConfigurationIsDown) {
  start([](Surroundings& around) { around.facts_every = 10ms; });
  const auto stays = moods("stays");
  supervisor_->add(moods("leaves"));
  supervisor_->add(stays);
  const auto is_journalled = [&](const std::string& state) {
    const auto states = journalled_states();
    return std::count(states.begin(), states.end(), state) > 0;
  };
  when("stays",
       [&](const auto&) { return is_journalled("leaves up") && is_journalled("stays up"); });
  supervisor_->apply({stays});
  when("stays", [&](const auto&) { return is_journalled("leaves down"); });
  EXPECT_TRUE(is_journalled("leaves down"));
  EXPECT_FALSE(is_journalled("stays down"));
}

// ---- the act lane
// --------------------------------------------------------------------------------

TEST_F(SupervisorTest, AProbeIsAnsweredWhileThePollWaits) {
  start();
  supervisor_->add(moods("well"));
  supervisor_->add(moods("ill", {{"trouble", "the server does not know us"}}));
  const auto probed = [](const ChannelStatus& s) { return !s.probe.empty(); };
  EXPECT_EQ(when("well", probed).probe, "ok");
  EXPECT_EQ(when("ill", probed).probe, "the server does not know us");
}

TEST_F(SupervisorTest, AProbeThatFailsWithoutAWordIsShown) {
  start();
  supervisor_->add(moods("silent", {{"probe_fails", true}}));
  EXPECT_THAT(when("silent", [](const auto& s) { return !s.probe.empty(); }).probe,
              HasSubstr("failed with status"));
}

TEST_F(SupervisorTest, APartThatDoesNotWorkIsShownWhileTheRestGoesOn) {
  start();
  for (const bool isolated : {true, false}) {
    auto channel = moods(isolated ? "apart" : "inlined", {{"part", "one folder is missing"}});
    channel.isolated = isolated;
    supervisor_->add(channel);
    const auto shown = when_reason(channel.name, "one folder is missing");
    EXPECT_EQ(shown.level, Level::degraded);
    EXPECT_THAT(shown.remedy, HasSubstr("the rest of it works"));
    EXPECT_EQ(shown.restarts, 0u);
  }
}

TEST_F(SupervisorTest, InlineTheLanesRunTogetherToo) {
  start();
  auto inlined = moods("well");
  inlined.isolated = false;
  supervisor_->add(inlined);
  EXPECT_EQ(when("well", [](const auto& s) { return !s.probe.empty(); }).probe, "ok");
}

// ---- a poll that hangs
// ---------------------------------------------------------------------------

TEST_F(SupervisorTest, APollWithoutASignOfLifeIsEndedAndStartedAgain) {
  start();
  supervisor_->add(moods("hangs", {{"hangs", true}}));
  supervisor_->add(moods("waits"));
  const auto hangs = when_reason("hangs", "no sign of life");
  EXPECT_EQ(hangs.level, Level::degraded);
  EXPECT_GE(when("hangs", [](const auto& s) { return s.restarts >= 2; }).restarts, 2u);
  EXPECT_EQ(status("waits").restarts, 0u) << "waiting is no silence";
  EXPECT_EQ(status("waits").level, Level::up);
}

TEST_F(SupervisorTest, AProbeThatHangsIsNoticedToo) {
  start();
  supervisor_->add(moods("hangs", {{"probe_hangs", true}}));
  EXPECT_THAT(when_reason("hangs", "no sign of life").remedy, HasSubstr("author"));
}

TEST_F(SupervisorTest, InlineAHangingPollIsShownAndAPersonDecides) {
  start();
  auto inlined = moods("hangs", {{"hangs", true}});
  inlined.isolated = false;
  supervisor_->add(inlined);
  const auto hangs = when_reason("hangs", "no sign of life");
  EXPECT_THAT(hangs.remedy, HasSubstr("isolation: process"));
  EXPECT_EQ(hangs.restarts, 0u);
}

// ---- one record that is too much
// -----------------------------------------------------------------

class Poison : public SupervisorTest, public ::testing::WithParamInterface<const char*> {};

// However the plugin fails over it: the others come once each, this one with its bytes.
TEST_P(Poison, GoesToQuarantineAndTheChannelGoesOnBehindIt) {
  start();
  supervisor_->add(channel("crashes", "crashes", "org.voxbus.test.crashes",
                           {{"count", 6}, {"at", 3}, {"how", GetParam()}}));
  when("crashes", [&](const auto&) { return stored().size() >= 6; });
  EXPECT_THAT(stored(), ElementsAre("c-0 received", "c-1 received", "c-2 received",
                                    "c-3 quarantined", "c-4 received", "c-5 received"));
  EXPECT_EQ(when("crashes", is_up).level, Level::up);
  const bool dies = std::string_view(GetParam()) != "throw";
  EXPECT_EQ(status("crashes").restarts, dies ? 2u : 0u);
}
INSTANTIATE_TEST_SUITE_P(Ways, Poison, ::testing::Values("segv", "abort", "exit", "hang", "throw"));

TEST_F(SupervisorTest, ARecordOverWhichTheKernelKillsAgainAndAgainGoesToQuarantineToo) {
  start();
  supervisor_->add(channel("crashes", "crashes", "org.voxbus.test.crashes",
                           {{"count", 6}, {"at", 3}, {"how", "kill"}}));
  when("crashes", [&](const auto&) { return stored().size() >= 6; });
  EXPECT_THAT(stored(), ::testing::Contains("c-3 quarantined"));
  EXPECT_EQ(status("crashes").restarts, 5u) << "once may be anybody's kill -9";
}

// ---- a batch that was refused
// ----------------------------------------------------------------------------

// A queue so small that the channel's first batch does not fit, and the second, with the cursor
// over both, would.
class RefusedBatch : public SupervisorTest, public ::testing::WithParamInterface<bool> {
 protected:
  RefusedBatch() : SupervisorTest(600 << 10) {}
};

TEST_P(RefusedBatch, IsFollowedByNoneOfItsRun) {
  start();
  auto brings = channel("brings", "generator", "org.voxbus.test.generator",
                        {{"count", 3}, {"batch", 3}, {"first_raw_size", 2 << 20}});
  brings.isolated = GetParam();
  brings.keep_raw_of_all = true;
  supervisor_->add(brings);
  const auto tried = when("brings", [](const auto& s) { return s.restarts >= 20; });
  EXPECT_GE(tried.restarts, 20u) << tried.reason;
  EXPECT_TRUE(supervisor_->stop());
  EXPECT_THAT(stored(), ::testing::IsEmpty());
  const auto opened = (*journal_).open_channel({"brings", "org.voxbus.test.generator", "test"},
                                               journal::Begin{}, nullptr);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->cursor, "");
}
INSTANTIATE_TEST_SUITE_P(Isolation, RefusedBatch, ::testing::Values(true, false),
                         [](const auto& isolated) {
                           return isolated.param ? "process" : "inline";
                         });

// ---- the daemon trusts no host
// ---------------------------------------------------------------------------

// What a host process that lies hands over as normalised is looked at once more.
TEST_F(SupervisorTest, WhatAHostSendsAgainstTheRulesGoesToQuarantine) {
  start([](Surroundings& around) { around.host_program = FALSE_HOST; });
  supervisor_->add(moods("lies"));
  when("lies", [&](const auto&) { return stored().size() >= 2; });
  EXPECT_THAT(stored(), ElementsAre("bad quarantined", "good received"));
  EXPECT_EQ(when("lies", is_up).restarts, 0u);
}

TEST_F(SupervisorTest, InlineTheSecondCheckIsMadeToo) {
  start([](Surroundings& around) {
    around.make_intake = [](const Start& frame) {
      auto intake = app::make_intake(frame);
      intake.normalise = [normalise = intake.normalise](const model::Offer& offer) {
        auto item = normalise(offer);
        if (offer.native_id == "g-1") item.record = R"({"kind":"letter"})";
        return item;
      };
      return intake;
    };
  });
  auto lies = channel("lies", "generator", "org.voxbus.test.generator", {{"count", 2}});
  lies.isolated = false;
  supervisor_->add(lies);
  when("lies", [&](const auto&) { return stored().size() >= 2; });
  EXPECT_THAT(stored(), ElementsAre("g-0 received", "g-1 quarantined"));
}

// ---- stop
// ----------------------------------------------------------------------------------------

TEST_F(SupervisorTest, AProcessThatDoesNotStopIsKilledAtItsDeadline) {
  start();
  supervisor_->add(channel("deaf", "ignores_stop", "org.voxbus.test.ignores_stop"));
  when("deaf", [&](const auto&) { return !stored().empty(); });
  EXPECT_TRUE(supervisor_->stop());
}

// In a process of its own: a daemon that ends while a thread runs on cannot go on after it.
TEST_F(SupervisorTest, SaysWhenAnInlinePluginDoesNotEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto in_child = [&] {
    start();
    auto deaf = channel("deaf", "ignores_stop", "org.voxbus.test.ignores_stop");
    deaf.isolated = false;
    supervisor_->add(deaf);
    when("deaf", [&](const auto&) { return !stored().empty(); });  // now it hangs in its poll
    ::_exit(!supervisor_->stop() ? 0 : 1);
  };
  EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "");
}

// systemd ends a service that takes longer than its TimeoutStopSec.
TEST_F(SupervisorTest, SeveralThatDoNotEndAreWaitedForTogether) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto in_child = [&] {
    start();
    for (const char* name : {"deaf", "deaf too", "deaf as well"}) {
      auto deaf = channel(name, "ignores_stop", "org.voxbus.test.ignores_stop");
      deaf.isolated = false;
      supervisor_->add(deaf);
    }
    when("deaf", [&](const auto&) { return stored().size() >= 3; });
    const auto asked = std::chrono::steady_clock::now();
    const bool all = supervisor_->stop();
    // One takes five seconds and a bit.
    ::_exit(!all && std::chrono::steady_clock::now() - asked < 10s ? 0 : 1);
  };
  EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "");
}

TEST_F(SupervisorTest, AProcessThatSaysNothingAnyMoreIsReplaced) {
  start();
  supervisor_->add(moods("well"));
  const auto pid = when("well", is_up).pid;
  ASSERT_EQ(::kill(pid, SIGSTOP), 0);
  const auto said = when_reason("well", "said nothing for");
  EXPECT_THAT(said.reason, HasSubstr("said nothing for"));
  const auto back =
      when("well", [&](const auto& s) { return s.level == Level::up && s.pid != pid; });
  EXPECT_NE(back.pid, pid);
}

}  // namespace
}  // namespace voxbus::host
