// SPDX-License-Identifier: Apache-2.0
// Files that are no good configuration: hostile, unreadable, doubled, large.
#include <gmock/gmock.h>

#include <chrono>
#include <ctime>

#include "config_fixture.hpp"

namespace voxbus::config {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST_F(ConfigurationTest, HostileYamlIsOneErrorInNoTime) {
  std::string laughs = "a: &a [x]\n";
  for (char c = 'b'; c <= 'j'; ++c) {
    laughs += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i)
      laughs += std::string(i ? "," : "") + '*' + static_cast<char>(c - 1);
    laughs += "]\n";
  }
  const std::string deep = "listen: " + std::string(100'000, '[');
  std::string merges = "x: &x {k: v}\n";
  for (int i = 0; i < 1000; ++i) merges += "m" + std::to_string(i) + ": {<<: *x}\n";
  for (const auto& text :
       {laughs, std::string("a: &a [*a]\n"), deep, merges, std::string("listen: \"\xFF\"\n"),
        std::string("listen: \0x\n", 11), std::string("listen: a\nlisten: b\n"),
        std::string("a: 1\n---\nb: 2\n"), std::string("? [x]\n: y\n"), std::string(": : :\n- ]"),
        std::string(2 << 20, '#')}) {
    write("voxbus.yaml", text);
    const auto begun = std::clock();
    loaded();
    const auto spent = std::clock() - begun;  // of this process: what else runs here does not count
    EXPECT_TRUE(problems.fatal()) << text.substr(0, 40);
    EXPECT_LT(spent, test::kSlowness * CLOCKS_PER_SEC / 10) << text.substr(0, 40);
  }
}

TEST_F(ConfigurationTest, AnUnreadableMainFileBlamesNoChannelForItsPlugin) {
  channel("  server: a\n");
  write("voxbus.yaml", "plugins: [\n");
  const auto text = report();
  EXPECT_THAT(text, HasSubstr("voxbus.yaml"));
  EXPECT_THAT(text, testing::Not(HasSubstr("no plugin")));
}

TEST_F(ConfigurationTest, ATabInTheIndentationIsCalledATab) {
  write("voxbus.yaml", "journal:\n\tqueue: 8MiB\n");
  const auto text = report();
  EXPECT_THAT(text, HasSubstr("voxbus.yaml:2:1: not valid YAML: the line is indented by a tab"));
  EXPECT_THAT(text, HasSubstr("indent it with spaces"));
  write("voxbus.yaml", "journal:\n  queue: [\n");
  EXPECT_THAT(report(), testing::Not(HasSubstr("tab")));
}

TEST_F(ConfigurationTest, WhatIsNoFileIsNotBlamedOnItsOwner) {
  const auto file = folder / "channels.d" / "odd.yaml";
  fs::create_directories(file);
  EXPECT_THAT(report(),
              AllOf(HasSubstr("put a file there"), testing::Not(HasSubstr("able to read"))));
  fs::remove(file);
  fs::create_symlink("nowhere.yaml", file);
  EXPECT_THAT(report(),
              AllOf(HasSubstr("the link leads nowhere"), testing::Not(HasSubstr("able to read"))));
}

// In its place nothing starts on defaults, and a reload stops no channel.
TEST_F(ConfigurationTest, ALinkThatLeadsNowhereIsNotTakenForNothing) {
  channel("  server: a\n  user: u\n");
  fs::rename(folder / "channels.d", folder / "elsewhere");
  fs::create_symlink("nowhere", folder / "channels.d");
  EXPECT_THAT(report(), HasSubstr("channels.d: the link leads nowhere"));
  EXPECT_TRUE(problems.fatal());
  EXPECT_EQ(problems.list().size(), 1u) << "once";
  fs::remove(folder / "channels.d");
  write("channels.d", "");
  EXPECT_THAT(report(), HasSubstr("channels.d: is no folder"));
  fs::remove(folder / "channels.d");
  fs::remove(folder / "voxbus.yaml");
  fs::create_symlink("nowhere", folder / "voxbus.yaml");
  EXPECT_THAT(report(), HasSubstr("the link leads nowhere: mend it"));
  EXPECT_TRUE(problems.fatal());
}

// The time that this thread computes for `text`, the least of three attempts: what else the machine
// does is left out.
std::chrono::nanoseconds cost_of(const std::string& text) {
  auto least = std::chrono::nanoseconds::max();
  for (int attempt = 0; attempt < 3; ++attempt) {
    const test::Folder folder;
    std::ofstream(folder.path() / "voxbus.yaml") << text;
    const auto now = [] {
      timespec time{};
      ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
      return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    Problems problems;
    const auto begun = now();
    (void)load(folder.path(), problems);
    least = std::min(least, now() - begun);
    EXPECT_TRUE(problems.fatal());
  }
  return least;
}

TEST(ConfigurationCost, GrowsWithTheFileAndNotWithItsSquare) {
  const auto keys = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "key" + std::to_string(100'000 + i) + ": 1\n";
    return text;
  };
  const auto words = [](int count) {
    std::string text = "plugins:\n";
    for (int i = 0; i < count; ++i) text += "- word" + std::to_string(100'000 + i) + "\n";
    return text;
  };
  EXPECT_LT(cost_of(keys(40'000)) / cost_of(keys(10'000)), 8) << "16 is the square";
  EXPECT_LT(cost_of(words(40'000)) / cost_of(words(10'000)), 8);
}

TEST_F(ConfigurationTest, AKeyThatStandsTwiceHidesNoOtherFault) {
  channel("  server: a\n  server: b\n  port: 0\n", "xyzzy: 1\nplugin: phone\n");
  const auto text = report();
  EXPECT_THAT(text, HasSubstr("support.yaml:4:1: key 'plugin' stands twice"));
  EXPECT_THAT(text, HasSubstr("the first is in line 2"));
  EXPECT_THAT(text, HasSubstr("key 'server' stands twice"));
  EXPECT_THAT(text, HasSubstr("'xyzzy'"));
  EXPECT_THAT(text, HasSubstr("port"));
  for (const auto& problem : problems.list()) EXPECT_EQ(problem.channel, "support");
  channel("  server: a\n  server: a\n");
  loaded();
  ASSERT_EQ(problems.list().size(), 1u);
  EXPECT_EQ(problems.list()[0].channel, "support") << "or the channel would run";
  std::string many = "plugins: []\n";
  for (int i = 0; i < 1000; ++i) many += "plugins: []\n";
  write("voxbus.yaml", many);
  loaded();
  EXPECT_LT(problems.list().size(), 30u);
  EXPECT_TRUE(problems.fatal());
}

}  // namespace
}  // namespace voxbus::config
