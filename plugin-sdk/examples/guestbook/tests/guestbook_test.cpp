// SPDX-License-Identifier: Apache-2.0

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "voxbus/testing.hpp"

extern "C" const voxbus_plugin voxbus_plugin_entry;

namespace {

using voxbus::testing::Harness;
using voxbus::testing::Outcome;

class Guestbook : public ::testing::Test {
 protected:
  Guestbook() { std::filesystem::create_directories(folder_); }
  ~Guestbook() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& text) { std::ofstream{file_, std::ios::app} << text; }
  std::string settings() const { return R"({"file":")" + file_ + R"("})"; }

  std::string folder_ = ::testing::TempDir() + "guestbook-" + std::to_string(::getpid());
  std::string file_ = folder_ + "/book.txt";
  Harness harness_{voxbus_plugin_entry};
};

TEST_F(Guestbook, BringsEachCompleteLineOnce) {
  write("Lovely place!\nWe will come again.\nhalf a li");
  ASSERT_EQ(harness_.create(settings()).status, VOXBUS_OK);
  const Outcome first = harness_.drain();
  ASSERT_EQ(first.items.size(), 2u);
  EXPECT_EQ(first.items[0].json().text("text"), "Lovely place!");
  EXPECT_EQ(first.items[0].json().text("conversation"), "lobby");
  EXPECT_EQ(first.items[1].native_id, "14");
  EXPECT_TRUE(harness_.drain().items.empty());
  write("ne\n");
  const Outcome second = harness_.drain();
  ASSERT_EQ(second.items.size(), 1u);
  EXPECT_EQ(second.items[0].json().text("text"), "half a line");
}

TEST_F(Guestbook, ReadsALongBookInSeveralBatches) {
  for (int i = 0; i < 250; ++i) write("entry " + std::to_string(i) + "\n");
  ASSERT_EQ(harness_.create(settings()).status, VOXBUS_OK);
  const Outcome all = harness_.drain();
  EXPECT_EQ(all.items.size(), 250u);
  EXPECT_EQ(all.commits, 3u);
}

TEST_F(Guestbook, FetchesAgainWhatStopLeftUncommitted) {
  write("one\ntwo\nthree\n");
  ASSERT_EQ(harness_.create(settings()).status, VOXBUS_OK);
  harness_.stop_after_items(2);
  const Outcome stopped = harness_.poll();
  EXPECT_EQ(stopped.status, VOXBUS_STOPPED);
  EXPECT_EQ(stopped.uncovered.size(), 2u);
  harness_.stop_after_items(100);
  EXPECT_EQ(harness_.drain().items.size(), 3u);
}

TEST_F(Guestbook, RefusesACursorFromAnotherSource) {
  write("one\n");
  ASSERT_EQ(harness_.create(settings()).status, VOXBUS_OK);
  for (const char* foreign : {"banana", "12abc", "99999999999999999999999"}) {
    harness_.set_cursor(foreign);
    const Outcome outcome = harness_.poll();
    EXPECT_EQ(outcome.status, VOXBUS_PERMANENT) << foreign;
    EXPECT_NE(outcome.message.find("is not a guestbook's"), std::string::npos);
  }
}

TEST_F(Guestbook, NamesTheFileThatItCannotOpen) {
  ASSERT_EQ(harness_.create(settings()).status, VOXBUS_OK);
  const Outcome outcome = harness_.poll();
  EXPECT_EQ(outcome.status, VOXBUS_RETRY);
  EXPECT_EQ(outcome.message, "cannot open " + file_);
}

TEST_F(Guestbook, ListsEveryProblemOfItsSettings) {
  const Outcome outcome = harness_.create(R"({"fiel":"x","room":7})");
  EXPECT_EQ(outcome.status, VOXBUS_PERMANENT);
  EXPECT_NE(outcome.message.find("unknown setting 'fiel', did you mean 'file'?"),
            std::string::npos);
  EXPECT_NE(outcome.message.find("setting 'room': expected a text"), std::string::npos);
  EXPECT_NE(outcome.message.find("setting 'file' is missing"), std::string::npos);
}

TEST_F(Guestbook, DoesTheSameFromItsFile) {
  write("from the library\n");
  const auto loaded = Harness::load(GUESTBOOK_SO);
  EXPECT_EQ(loaded->describe().text("name"), "guestbook");
  ASSERT_EQ(loaded->create(settings()).status, VOXBUS_OK);
  EXPECT_EQ(loaded->drain().items.size(), 1u);
}

}  // namespace
