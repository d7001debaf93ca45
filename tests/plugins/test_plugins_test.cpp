// SPDX-License-Identifier: Apache-2.0
//
// The plugins of this folder are as broken as they say, and no more; and what every real plugin's
// file must be.

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>

#include "voxbus/testing.hpp"

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using voxbus::testing::Harness;
using voxbus::testing::Outcome;

std::unique_ptr<Harness> load(const std::string& name) {
  return Harness::load(std::string{TEST_PLUGINS} + "/" + name + ".so");
}

std::string output_of(const std::string& command) {
  std::string out;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe{::popen((command + " 2>&1").c_str(), "r"),
                                                       &::pclose};
  std::array<char, 4096> buffer;
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get())) out += buffer.data();
  return out;
}

std::vector<std::string> ids(const Outcome& outcome) {
  std::vector<std::string> out;
  for (const auto& item : outcome.items) out.push_back(item.native_id);
  return out;
}

class RealPlugin : public ::testing::TestWithParam<const char*> {
 protected:
  std::string file() const { return std::string{PLUGINS} + "/" + GetParam(); }
};

TEST_P(RealPlugin, ExportsExactlyItsEntry) {
  const std::string symbols = output_of("nm -D --defined-only " + file() + ".so");
  EXPECT_THAT(symbols, ::testing::MatchesRegex("[0-9a-f]+ [DR] voxbus_plugin_entry\n"));
}

TEST_P(RealPlugin, HasItsManifestBesideIt) {
  const auto harness = Harness::load(file() + ".so");
  EXPECT_EQ(harness->describe().text("name"), GetParam());
  EXPECT_EQ(output_of(std::string{DESCRIBE} + " " + file() + ".so"),
            output_of("cat " + file() + ".plugin.yaml"));
  EXPECT_TRUE(
      voxbus::Json::parse(output_of(std::string{DESCRIBE} + " --schema " + file() + ".so")));
}

TEST_P(RealPlugin, RefusesSettingsThatItDoesNotKnow) {
  const auto harness = Harness::load(file() + ".so");
  const Outcome outcome = harness->create(R"({"no_such_setting":1})");
  EXPECT_EQ(outcome.status, VOXBUS_PERMANENT);
  EXPECT_THAT(outcome.message, HasSubstr("unknown setting 'no_such_setting'"));
}

INSTANTIATE_TEST_SUITE_P(Plugins, RealPlugin, ::testing::Values("guestbook", "phone", "email"));

TEST(Generator, MakesTheSameItemsEachTimeAndGoesOnAtItsCursor) {
  const auto one = load("generator");
  ASSERT_EQ(one->create(R"({"count":1000,"batch":300})").status, VOXBUS_OK);
  const Outcome all = one->drain();
  ASSERT_EQ(all.items.size(), 1000u);
  EXPECT_EQ(all.items[7].native_id, "g-7");
  EXPECT_EQ(all.commits, 4u);
  const auto two = load("generator");
  ASSERT_EQ(two->create(R"({"count":1000,"batch":300})").status, VOXBUS_OK);
  two->set_cursor("600");
  const Outcome rest = two->drain();
  ASSERT_EQ(rest.items.size(), 400u);
  for (std::size_t i = 0; i < 400; ++i) {
    EXPECT_EQ(rest.items[i].record, all.items[600 + i].record);
    EXPECT_EQ(rest.items[i].occurred_at, all.items[600 + i].occurred_at);
  }
}

TEST(Generator, RepeatsTheShareOfItemsThatItIsToldTo) {
  const auto harness = load("generator");
  ASSERT_EQ(harness->create(R"({"count":2000,"duplicates":30})").status, VOXBUS_OK);
  const auto all = ids(harness->drain());
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 2000u);
  EXPECT_NEAR(static_cast<double>(all.size()), 2600.0, 120.0);
}

TEST(Generator, IsFastEnoughForBenchmarks) {
  // Straight into functions that do nothing, as the cost of a host is not the generator's.
  void* library = ::dlopen(TEST_PLUGINS "/generator.so", RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr);
  const auto* entry = static_cast<const voxbus_plugin*>(::dlsym(library, VOXBUS_ENTRY_SYMBOL));
  static std::uint64_t bytes = 0;
  voxbus_call call{};
  call.size = sizeof call;
  call.emit = [](const voxbus_call*, const voxbus_item* item) -> voxbus_status {
    bytes += item->record.size;
    return VOXBUS_OK;
  };
  call.commit = [](const voxbus_call*, voxbus_view) -> voxbus_status { return VOXBUS_OK; };
  call.stopping = [](const voxbus_call*) -> std::int32_t { return 0; };
  call.wake_fd = [](const voxbus_call*) -> std::int32_t { return -1; };
  voxbus_channel* channel = nullptr;
  ASSERT_EQ(entry->create(nullptr, &call, voxbus::detail::view(R"({"count":100000})"), &channel),
            VOXBUS_OK);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(entry->poll(channel, &call, {nullptr, 0}), VOXBUS_OK);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  entry->destroy(channel);
  EXPECT_GT(bytes, 100'000u * 100);
  // A tenth of what it does on an ordinary machine: builds with sanitizers pass as well.
  EXPECT_GT(100'000 / took.count(), 50'000);
}

TEST(BrokenPlugins, ThrowIntoAStatus) {
  const auto harness = load("throws");
  ASSERT_EQ(harness->create().status, VOXBUS_OK);
  const Outcome outcome = harness->poll();
  EXPECT_EQ(outcome.status, VOXBUS_FAULT);
  EXPECT_EQ(outcome.message, "the tape ran out");
}

TEST(BrokenPlugins, GoOnBehindTheRecordThatKillsThem) {
  const auto harness = load("crashes");
  ASSERT_EQ(harness->create(R"({"count":4,"at":2})").status, VOXBUS_OK);
  harness->quarantine("c-2");
  EXPECT_THAT(ids(harness->drain()), ElementsAre("c-0", "c-1", "c-3"));
}

TEST(BrokenPlugins, DieAsTheySay) {
  const auto dies = [](const char* name, const char* settings) {
    const auto harness = load(name);
    (void)harness->create(settings);
    (void)harness->poll();
    std::_Exit(77);
  };
  EXPECT_EXIT(dies("crashes", R"({"at":0})"), ::testing::KilledBySignal(SIGSEGV), "");
  EXPECT_EXIT(dies("crashes", R"({"at":0,"how":"abort"})"), ::testing::KilledBySignal(SIGABRT), "");
  EXPECT_EXIT(dies("crashes", R"({"at":0,"how":"exit"})"), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(dies("exits", "{}"), ::testing::ExitedWithCode(0), "");
}

class Hostile : public ::testing::TestWithParam<const char*> {};

TEST_P(Hostile, BreaksARuleThatTheHarnessNotices) {
  const auto harness = load("hostile_items");
  harness->tolerate();
  ASSERT_EQ(harness->create(std::string{R"({"size":"1MiB","what":")"} + GetParam() + "\"}").status,
            VOXBUS_OK);
  const Outcome outcome = harness->poll();
  EXPECT_THAT(harness->violations(), ::testing::Not(::testing::IsEmpty()));
  EXPECT_THAT(ids(outcome), ElementsAre("before", "after"));
}

INSTANTIATE_TEST_SUITE_P(Items, Hostile,
                         ::testing::Values("not_utf8", "not_json", "no_kind", "unknown_kind",
                                           "unknown_member", "empty_id", "long_id", "deep_json",
                                           "small_struct", "no_reason"));

TEST(BrokenPlugins, AreNoPluginsForTheHarness) {
  EXPECT_THROW((void)load("wrong_abi"), voxbus::testing::ContractViolation);
  EXPECT_THROW((void)load("no_entry"), std::runtime_error);
  EXPECT_THROW((void)load("not_a_library"), std::runtime_error);
}

TEST(BrokenPlugins, AreRefusedByDescribe) {
  for (const char* name : {"wrong_abi", "no_entry", "not_a_library", "second_symbol"}) {
    EXPECT_THAT(output_of(std::string{DESCRIBE} + " " TEST_PLUGINS "/" + name + ".so"),
                ::testing::StartsWith("voxbus-describe: "))
        << name;
  }
  EXPECT_THAT(output_of("nm -D --defined-only " TEST_PLUGINS "/second_symbol.so"),
              HasSubstr("second_symbol_is_one_too_many"));
}

}  // namespace
