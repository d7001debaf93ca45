// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "tests/failing_memory.hpp"
#include "voxbus/contract.hpp"
#include "voxbus/golden.hpp"
#include "voxbus/testing.hpp"

extern "C" const voxbus_plugin voxbus_plugin_entry;

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using voxbus::kit::tests::FailingMemory;
using voxbus::testing::golden_difference;
using voxbus::testing::golden_lines;
using voxbus::testing::Harness;
using voxbus::testing::Outcome;

std::string line(int number) {
  return R"("","12025550147","201","from-trunk","""Nora"" <12025550147>","PJSIP/a","PJSIP/b","Dial",)"
         R"("x","2026-01-05 10:00:00",,"2026-01-05 10:00:25",25,0,"NO ANSWER","DOCUMENTATION",)"
         R"("1767607200.)" +
         std::to_string(number) + R"(","","","1767607200.1",)" + std::to_string(number) + "\n";
}

class Phone : public ::testing::Test {
 protected:
  Phone() { std::filesystem::create_directories(folder_); }
  ~Phone() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& text) {
    std::ofstream{file_, std::ios::app | std::ios::binary} << text;
  }
  void create(Harness& harness, const std::string& more = R"(,"time_zone":"UTC")") {
    const Outcome made = harness.create(R"({"file":")" + file_.string() + "\"" + more + "}");
    ASSERT_EQ(made.status, VOXBUS_OK) << made.message;
  }
  static std::vector<std::string> ids(const Outcome& outcome) {
    std::vector<std::string> out;
    for (const auto& item : outcome.items) out.push_back(item.native_id);
    return out;
  }

  std::filesystem::path folder_ = ::testing::TempDir() + "phone-" + std::to_string(::getpid());
  std::filesystem::path file_ = folder_ / "Master.csv";
  Harness harness_{voxbus_plugin_entry};
};

class PhoneGolden : public Phone, public ::testing::WithParamInterface<const char*> {};

TEST_P(PhoneGolden, GivesTheRecordedResult) {
  const std::string base = std::string{GOLDEN} + "/" + GetParam();
  std::filesystem::copy_file(base + ".csv", file_);
  create(harness_, R"(,"time_zone":"America/New_York")");
  EXPECT_EQ(golden_difference(base + ".jsonl", golden_lines(harness_.drain().items)), "");
}

INSTANTIATE_TEST_SUITE_P(Files, PhoneGolden,
                         ::testing::Values("columns16", "columns18", "columns21", "damaged"));

TEST_F(Phone, FollowsTheFileAsItGrowsWithinASecond) {
  create(harness_);
  std::chrono::steady_clock::time_point written;
  std::chrono::steady_clock::time_point seen;
  harness_.on_emit([&](const auto&) { seen = std::chrono::steady_clock::now(); });
  harness_.on_waiting([&](int turn) {
    if (turn == 1) {
      written = std::chrono::steady_clock::now();
      write(line(1));
    }
  });
  const Outcome outcome = harness_.poll();
  EXPECT_THAT(ids(outcome), ElementsAre("1767607200.1/1"));
  EXPECT_EQ(outcome.status, VOXBUS_MORE);
  EXPECT_LT(seen - written, 1s);
}

TEST_F(Phone, SaysThatThereIsNoFileYetAndReadsItAsSoonAsThereIs) {
  create(harness_);
  const Outcome none = harness_.drain();
  EXPECT_THAT(none.message, HasSubstr("there is no file " + file_.string()));
  write(line(1));
  const Outcome some = harness_.drain();
  EXPECT_THAT(ids(some), ElementsAre("1767607200.1/1"));
  EXPECT_EQ(some.message, "");
}

TEST_F(Phone, GivesTheSameIdsForTheSameCursor) {
  for (int i = 0; i < 20; ++i) write(line(i));
  create(harness_);
  const auto first = ids(harness_.drain());
  harness_.set_cursor("");
  EXPECT_EQ(ids(harness_.drain()), first);
  EXPECT_EQ(first.size(), 20u);
}

TEST_F(Phone, LosesAndDoublesNothingWhenStoppedAtEveryItem) {
  for (int i = 0; i < 600; ++i) write(line(i));
  create(harness_);
  const auto ids = voxbus::testing::ids_over_many_stops(harness_, 600, 1, 37);
  EXPECT_EQ(ids.size(), 600u);
  EXPECT_EQ(std::set<std::string>(ids.begin(), ids.end()).size(), 600u);
}

TEST_F(Phone, WaitsForTheRestOfALineAndFinishesARotatedFile) {
  create(harness_);
  const std::string second = line(2);
  write(line(1) + second.substr(0, 80));
  EXPECT_THAT(ids(harness_.drain()), ElementsAre("1767607200.1/1"));
  write(second.substr(80) + line(3));
  std::filesystem::rename(file_, folder_ / "Master.csv.1");
  write(line(4));
  // The rotated file was written this moment: it is given its time before the next one is read.
  std::filesystem::last_write_time(folder_ / "Master.csv.1",
                                   std::filesystem::file_time_type::clock::now() - 1h);
  EXPECT_THAT(ids(harness_.drain()),
              ElementsAre("1767607200.2/2", "1767607200.3/3", "1767607200.4/4"));
}

TEST_F(Phone, QuarantinesWhatItCannotReadAndGoesOnBehindIt) {
  write(line(1) + "rubbish\n" + std::string("\0\0\n", 3) + "\xFF\xFE\n\n\r\n" + line(2));
  create(harness_);
  const Outcome outcome = harness_.drain();
  ASSERT_EQ(outcome.items.size(), 5u);
  EXPECT_FALSE(outcome.items[0].unreadable());
  EXPECT_TRUE(outcome.items[1].unreadable());
  EXPECT_EQ(outcome.items[1].raw, "rubbish");
  EXPECT_TRUE(outcome.items[2].unreadable());
  EXPECT_EQ(outcome.items[2].raw, std::string("\0\0", 2));
  EXPECT_TRUE(outcome.items[3].unreadable());
  EXPECT_FALSE(outcome.items[4].unreadable());
}

TEST_F(Phone, PassesOverALineThatTheHostHasQuarantined) {
  write("crash me\n" + line(1));
  create(harness_);
  harness_.stop_after_items(0);
  (void)harness_.poll();
  ASSERT_EQ(harness_.examined().size(), 2u);
  harness_.quarantine(harness_.examined().front());
  harness_.stop_after_items(100);
  EXPECT_THAT(ids(harness_.drain()), ElementsAre("1767607200.1/1"));
}

TEST_F(Phone, StaysSmallOverALineOfTwoGigabytes) {
  write(line(1));
  std::filesystem::resize_file(file_, std::uintmax_t{2} << 30);
  write("\n" + line(2));
  create(harness_);
  Outcome outcome;
  EXPECT_LT(voxbus::testing::memory_growth([&] { outcome = harness_.drain(); }), 16u << 20);
  ASSERT_EQ(outcome.items.size(), 3u);
  EXPECT_THAT(outcome.items[1].record, HasSubstr("bytes, of which the first are kept"));
  EXPECT_EQ(outcome.items[1].raw.size(), 4096u);
  EXPECT_EQ(outcome.items[2].native_id, "1767607200.2/2");
}

// The hole above is passed over in one step; these bytes are read.
TEST_F(Phone, StaysSmallOverAHundredMegabytesOfRealBytes) {
  write(line(1));
  const std::string piece(1 << 20, 'x');
  for (int i = 0; i < 100; ++i) write(piece);
  write("\n" + line(2));
  create(harness_);
  Outcome outcome;
  EXPECT_LT(voxbus::testing::memory_growth([&] { outcome = harness_.drain(); }), 16u << 20);
  ASSERT_EQ(outcome.items.size(), 3u);
  EXPECT_THAT(outcome.items[1].record, HasSubstr("a line of 104857600 bytes"));
}

TEST_F(Phone, EndsItsWaitWithin200MillisecondsOfStop) {
  write(line(1));
  create(harness_);
  (void)harness_.drain();
  EXPECT_LT(voxbus::testing::time_to_stop(harness_), 200ms);
}

TEST_F(Phone, RefusesACursorFromAnotherSource) {
  create(harness_);
  harness_.set_cursor("from elsewhere");
  const Outcome outcome = harness_.poll();
  EXPECT_EQ(outcome.status, VOXBUS_PERMANENT);
  EXPECT_EQ(outcome.message, "the cursor was not made by this channel");
}

TEST_F(Phone, SaysWhatIsWrongWithItsSettings) {
  const auto message = [&](const std::string& settings) {
    return harness_.create(settings).message;
  };
  EXPECT_THAT(message(R"({"file":"/x","time_zone":"Europe/Atlantis"})"), HasSubstr("no time zone"));
  EXPECT_THAT(message(R"({"file":"calls.csv"})"), HasSubstr("an absolute path"));
  EXPECT_THAT(message(R"({"file":"/x","usegmtime":true,"time_zone":"Europe/Berlin"})"),
              HasSubstr("leave out one"));
}

TEST_F(Phone, DoesTheSameFromItsFile) {
  write(line(1));
  const auto loaded = Harness::load(PHONE_SO);
  EXPECT_EQ(loaded->describe().text("id"), "org.voxbus.phone");
  create(*loaded);
  EXPECT_THAT(ids(loaded->drain()), ElementsAre("1767607200.1/1"));
  EXPECT_THAT(ids(loaded->drain()), IsEmpty());
}

// Wherever memory runs out in a poll: what it had read and not brought is read again.
TEST_F(Phone, APollThatRunsOutOfMemoryLosesNoCall) {
  int failures = 0;
  for (long allocations = 0;; allocations += 7) {
    std::filesystem::remove(file_);
    FailingMemory memory{voxbus_plugin_entry};
    Harness harness{memory.entry()};
    for (int i = 0; i < 5; ++i) write(line(i));
    create(harness);
    ASSERT_EQ(harness.drain().items.size(), 5u);
    for (int i = 5; i < 20; ++i) write(line(i));
    FailingMemory::let_succeed(allocations);
    const Outcome interrupted = harness.drain();
    if (!FailingMemory::failed()) break;
    ++failures;
    std::set<std::string> brought;
    for (const auto& id : ids(interrupted)) brought.insert(id);
    for (const auto& id : ids(harness.drain())) brought.insert(id);
    EXPECT_EQ(brought.size(), 15u) << "after " << allocations << " allocations";
  }
  EXPECT_GT(failures, 50);
}

}  // namespace
