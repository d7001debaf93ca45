// SPDX-License-Identifier: Apache-2.0
#include "kit/follow_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <memory>

#include "fake_call.hpp"
#include "voxbus/contract.hpp"

namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using voxbus::Wake;
using voxbus::kit::FollowFile;
using voxbus::kit::FollowOptions;
using Step = FollowFile::Step;

// What files' permissions mean to a service that is not root.
class Unprivileged {
 public:
  Unprivileged() { EXPECT_TRUE(user_ != 0 || ::seteuid(65534) == 0); }
  ~Unprivileged() { EXPECT_EQ(::seteuid(user_), 0); }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  const uid_t user_ = ::geteuid();
};

// Write, rotate, read: the language of these tests. Time of the last write goes on by a second with
// each write, so that files have an order without waiting.
class Following : public ::testing::Test {
 protected:
  Following() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    restart();
  }
  ~Following() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& text, const std::string& name = "calls.csv") {
    std::ofstream{folder_ / name, std::ios::app | std::ios::binary} << text;
    touch(name);
  }
  void touch(const std::string& name) {
    const timespec time{++clock_, 0};
    const timespec times[] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, (folder_ / name).c_str(), times, 0), 0);
  }
  void rename(const std::string& from, const std::string& to) {
    std::filesystem::rename(folder_ / from, folder_ / to);
  }
  void copy_and_truncate(const std::string& to) {
    std::filesystem::copy_file(folder_ / "calls.csv", folder_ / to);
    touch(to);
    std::filesystem::resize_file(folder_ / "calls.csv", 0);
    touch("calls.csv");
  }
  // As after the end of the process: only the cursor is left.
  void restart(FollowOptions options = {.settle = 0ms}) {
    const std::string cursor = follow_ ? follow_->cursor() : std::string{};
    follow_ = std::make_unique<FollowFile>(folder_ / "calls.csv", options);
    ASSERT_TRUE(follow_->resume(cursor));
  }
  std::vector<std::string> read() {
    std::vector<std::string> lines;
    for (;;) {
      const auto step = follow_->next();
      if (!step) {
        lines.push_back("error: " + step.error().message);
        return lines;
      }
      if (*step == Step::kIdle) return lines;
      if (*step == Step::kBusy) continue;
      std::string line{follow_->line().text};
      if (follow_->line().unfinished) line += " (unfinished)";
      if (follow_->line().oversized) line += " (of " + std::to_string(follow_->line().size) + ")";
      lines.push_back(std::move(line));
    }
  }

  std::filesystem::path folder_ = ::testing::TempDir() + "follow-" + std::to_string(::getpid());
  std::int64_t clock_ = 1'700'000'000;
  std::unique_ptr<FollowFile> follow_;
};

TEST_F(Following, DeliversCompleteLinesOnly) {
  EXPECT_THAT(read(), IsEmpty());
  write("one\ntw");
  EXPECT_THAT(read(), ElementsAre("one"));
  EXPECT_THAT(read(), IsEmpty());
  write("o\nthree\n");
  EXPECT_THAT(read(), ElementsAre("two", "three"));
}

TEST_F(Following, GoesOnAtItsCursorAfterARestart) {
  write("one\ntwo\n");
  ASSERT_EQ(follow_->next().value(), Step::kLine);
  restart();
  EXPECT_THAT(read(), ElementsAre("two"));
}

TEST_F(Following, FinishesTheRenamedFileBeforeTheNewOne) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  write("two\n");
  rename("calls.csv", "calls.csv.1");
  write("three\n");
  EXPECT_THAT(read(), ElementsAre("two", "three"));
}

TEST_F(Following, WaitsForTheNewFileAfterARename) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  EXPECT_THAT(read(), IsEmpty());
  write("two\n", "calls.csv.1");
  EXPECT_THAT(read(), ElementsAre("two"));
  write("three\n");
  EXPECT_THAT(read(), ElementsAre("three"));
}

TEST_F(Following, ReadsEverySiblingOfManyRotationsInOrder) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  write("two\n");
  rename("calls.csv", "calls.csv.3");
  write("three\n");
  rename("calls.csv", "calls.csv.2");
  write("four\n");
  rename("calls.csv", "calls.csv.1");
  write("five\n");
  restart();
  EXPECT_THAT(read(), ElementsAre("two", "three", "four", "five"));
  restart();
  EXPECT_THAT(read(), IsEmpty());
}

// Whoever has a log open goes on writing to it under its new name until it is told.
TEST_F(Following, ReadsWhatTheWriterAddsToTheFileThatWasLeftAndThenGoesOn) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  write("two\n");
  EXPECT_THAT(read(), ElementsAre("two"));
  write("late\n", "calls.csv.1");
  EXPECT_THAT(read(), ElementsAre("late"));
  write("three\n");
  write("later\n", "calls.csv.1");
  EXPECT_THAT(read(), ElementsAre("three", "later"));
  EXPECT_THAT(read(), IsEmpty());
}

TEST_F(Following, ReadsWhatWasAddedToTheFileThatWasLeftWhileNobodyRead) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  write("two\n");
  EXPECT_THAT(read(), ElementsAre("two"));
  write("late\n", "calls.csv.1");
  write("three\n");
  restart();
  EXPECT_THAT(read(), ElementsAre("three", "late"));
  restart();
  EXPECT_THAT(read(), IsEmpty());
}

TEST_F(Following, LooksAtTheFileThatWasLeftForAWhileOnly) {
  restart({.settle = 0ms, .linger = 0ms});
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  write("two\n");
  EXPECT_THAT(read(), ElementsAre("two"));
  write("three\n");
  EXPECT_THAT(read(), ElementsAre("three"));
  const auto spaces = follow_->cursor();
  EXPECT_EQ(std::count(spaces.begin(), spaces.end(), ' '), 6) << "one place";
}

TEST_F(Following, KeepsItsPlaceWhenTheSuccessorCannotBeOpened) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  std::filesystem::create_symlink("calls.csv.1", folder_ / "calls.csv.2");  // is one already read
  ASSERT_EQ(::mkfifo((folder_ / "calls.csv").c_str(), 0600), 0);
  EXPECT_THAT(read(), IsEmpty());
  EXPECT_FALSE(follow_->cursor().empty());
  std::filesystem::remove(folder_ / "calls.csv");
  write("two\n");
  EXPECT_THAT(read(), ElementsAre("two"));
}

TEST_F(Following, TrustsNumbersAndDatesMoreThanAClockThatWasSetBack) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  write("two\n");
  rename("calls.csv", "calls.csv.2");
  clock_ -= 3600;
  write("three\n", "calls.csv.1");
  write("four\n");
  restart();
  EXPECT_THAT(read(), ElementsAre("two", "three", "four"));
}

TEST_F(Following, ReadsDatesHoweverTheyAreWrittenInTheOrderOfTheirLastWrite) {
  for (const auto& [older, newer] : {std::pair("calls.csv-2026-12-31", "calls.csv-2027-01-01"),
                                     std::pair("calls.csv-31102026", "calls.csv-01112026")}) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    follow_.reset();
    restart();
    write("one\n");
    EXPECT_THAT(read(), ElementsAre("one"));
    write("two\n");
    rename("calls.csv", older);
    write("three\n");
    rename("calls.csv", newer);
    write("four\n");
    restart();
    EXPECT_THAT(read(), ElementsAre("two", "three", "four")) << older;
  }
}

TEST_F(Following, ReadsTheCopyOfAFileOfWhichItHadReadNothing) {
  for (const bool restarts : {false, true}) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    follow_.reset();
    restart();
    write("one\n");
    EXPECT_THAT(read(), ElementsAre("one"));
    copy_and_truncate("calls.csv.1");
    EXPECT_THAT(read(), IsEmpty());
    if (restarts) restart();
    write("two\n");
    rename("calls.csv.1", "calls.csv.2");
    copy_and_truncate("calls.csv.1");
    write("three\n");
    if (restarts) restart();
    EXPECT_THAT(read(), ElementsAre("two", "three")) << restarts;
  }
}

TEST_F(Following, ReadsTheCopyOfAFileOfWhichItHadReadHalfALine) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  copy_and_truncate("calls.csv.1");
  write("tw");
  EXPECT_THAT(read(), IsEmpty());
  write("o\n");
  rename("calls.csv.1", "calls.csv.2");
  copy_and_truncate("calls.csv.1");
  EXPECT_THAT(read(), ElementsAre("two"));
  write("three\n");
  EXPECT_THAT(read(), ElementsAre("three"));
}

TEST_F(Following, ReadsLateLinesAlsoWhenTheNextFileIsRotatedBeforeItLooks) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  write("two\n");
  EXPECT_THAT(read(), ElementsAre("two"));
  write("late\n", "calls.csv.1");
  rename("calls.csv.1", "calls.csv.2");
  rename("calls.csv", "calls.csv.1");
  write("three\n");
  EXPECT_THAT(read(), ElementsAre("late", "three"));
  restart();
  EXPECT_THAT(read(), IsEmpty());
}

TEST_F(Following, OrdersSiblingsOfOneMomentByTheirNames) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls-20260101.csv");
  write("b\n", "calls-20260103.csv");
  --clock_;
  write("a\n", "calls-20260102.csv");
  write("c\n");
  restart();
  EXPECT_THAT(read(), ElementsAre("a", "b", "c"));
}

TEST_F(Following, FinishesTheCopyWhenTheFileIsTruncated) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  write("two\n");
  copy_and_truncate("calls.csv.1");
  write("three\n");
  EXPECT_THAT(read(), ElementsAre("two", "three"));
  EXPECT_THAT(follow_->notices(), IsEmpty());
}

// Root's logrotate copies to a file of root's; the service has a user of its own.
TEST_F(Following, WaitsForACopyThatItMayNotRead) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  write("two\n");
  copy_and_truncate("calls.csv.1");
  write("three\n");
  std::filesystem::permissions(folder_ / "calls.csv.1", std::filesystem::perms::none);
  {
    const Unprivileged service;
    for (int i = 0; i < 2; ++i)
      EXPECT_THAT(read(),
                  ElementsAre(HasSubstr("calls.csv.1: Permission denied: let the service's")));
    EXPECT_THAT(follow_->notices(), IsEmpty());
    FollowFile restarted{folder_ / "calls.csv", {.settle = 0ms}};
    EXPECT_FALSE(restarted.resume(follow_->cursor()));
  }
  std::filesystem::permissions(folder_ / "calls.csv.1", std::filesystem::perms{0644});
  EXPECT_THAT(read(), ElementsAre("two", "three"));
}

TEST_F(Following, SaysWhatToDoAboutAFolderThatItMayNotLookInto) {
  write("one\n");
  std::filesystem::permissions(folder_, std::filesystem::perms{0700});
  {
    const Unprivileged service;
    const auto refused = follow_->next();
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("setfacl"));
  }
  EXPECT_THAT(read(), ElementsAre("one"));
  EXPECT_EQ(follow_->missing(), "");
}

TEST_F(Following, NoticesATruncatedFileThatGrewPastItsPlace) {
  write("first line\n");
  EXPECT_THAT(read(), ElementsAre("first line"));
  copy_and_truncate("calls.csv.1");
  write("another and longer line\nmore\n");
  restart();
  EXPECT_THAT(read(), ElementsAre("another and longer line", "more"));
}

TEST_F(Following, StartsAgainWhenAFileWasCutAndNoCopyIsLeft) {
  write("one\ntwo\n");
  EXPECT_THAT(read(), ElementsAre("one", "two"));
  std::filesystem::resize_file(folder_ / "calls.csv", 0);
  write("new\n");
  EXPECT_THAT(read(), ElementsAre("new"));
  EXPECT_THAT(follow_->notices(), ElementsAre(HasSubstr("was cut")));
}

TEST_F(Following, TellsAReusedInodeApart) {
  write("one\ntwo\n");
  EXPECT_THAT(read(), ElementsAre("one", "two"));
  // The same inode with other content, as after delete and create.
  std::ofstream{folder_ / "calls.csv", std::ios::binary} << "uno\ndos\ntres\n";
  touch("calls.csv");
  restart();
  EXPECT_THAT(read(), ElementsAre("uno", "dos", "tres"));
  EXPECT_THAT(follow_->notices(), ElementsAre(HasSubstr("not found again")));
}

TEST_F(Following, LosesNothingWhenTheFileOfItsPlaceWasDeleted) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.2");
  write("two\n");
  rename("calls.csv", "calls.csv.1");
  write("three\n");
  std::filesystem::remove(folder_ / "calls.csv.2");
  restart();
  EXPECT_THAT(read(), ElementsAre("two", "three"));
}

TEST_F(Following, SaysWhatIsMissing) {
  EXPECT_THAT(read(), IsEmpty());
  EXPECT_THAT(follow_->missing(), HasSubstr("there is no file"));
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  EXPECT_EQ(follow_->missing(), "");
  rename("calls.csv", "calls.csv.1");
  EXPECT_THAT(read(), IsEmpty());
  EXPECT_EQ(follow_->missing(), "") << "rotated; the next is made with the next line";
  std::filesystem::remove(folder_ / "calls.csv.1");
  EXPECT_THAT(follow_->missing(), HasSubstr("was deleted"));
  std::filesystem::create_directory(folder_ / "calls.csv");
  EXPECT_THAT(follow_->missing(), HasSubstr("is not a regular file"));
}

TEST_F(Following, DeliversTheUnfinishedLastLineOfARotatedFile) {
  write("one\nha");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  write("two\n");
  EXPECT_THAT(read(), ElementsAre("ha (unfinished)", "two"));
}

TEST_F(Following, GivesTheWriterOfARenamedFileTimeToFinish) {
  restart({.settle = 1h});
  write("one\nha");
  // Written just now, as far as the system's clock knows.
  std::filesystem::last_write_time(folder_ / "calls.csv",
                                   std::filesystem::file_time_type::clock::now());
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  std::ofstream{folder_ / "calls.csv"} << "two\n";
  EXPECT_THAT(read(), IsEmpty());
  std::ofstream{folder_ / "calls.csv.1", std::ios::app} << "lf\n";
  EXPECT_THAT(read(), ElementsAre("half"));
}

TEST_F(Following, IgnoresPackedAndForeignFiles) {
  write("one\n");
  EXPECT_THAT(read(), ElementsAre("one"));
  rename("calls.csv", "calls.csv.1");
  write("packed\n", "calls.csv.2.gz");
  write("foreign\n", "calls.csv.bak");
  write("other\n", "callsheet.csv");
  write("two\n");
  restart();
  EXPECT_THAT(read(), ElementsAre("two"));
}

TEST_F(Following, PassesOverALineAboveTheLimitAndGoesOnBehindIt) {
  restart({.max_line = 1000, .first_bytes = 5, .settle = 0ms});
  write("one\n" + std::string(600'000, 'x') + "\ntwo\n" + std::string(1001, 'y') + "\n" +
        std::string(1000, 'z') + "\n");
  EXPECT_THAT(read(), ElementsAre("one", "xxxxx (of 600000)", "two", "yyyyy (of 1001)",
                                  std::string(1000, 'z')));
}

TEST_F(Following, KeepsMemoryFlatOverALineOfTwoGigabytes) {
  write("one\n");
  for (int i = 0; i < 64; ++i) write(std::string(1 << 20, 'x'));
  std::filesystem::resize_file(folder_ / "calls.csv", (std::uintmax_t{2} << 30) + 4);
  write("\ntwo\n");
  std::vector<std::string> lines;
  EXPECT_LT(voxbus::testing::memory_growth([&] { lines = read(); }), 16u << 20);
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[1], HasSubstr("(of 2147483648)"));
  EXPECT_EQ(lines[2], "two");
}

TEST_F(Following, LooksForStopWithinAVeryLongLine) {
  write(std::string(20 << 20, 'x'));
  EXPECT_EQ(follow_->next().value(), Step::kBusy);
}

TEST_F(Following, RefusesACursorFromAnotherSource) {
  for (const char* foreign :
       {"17", "f1 1 2 3", "f1 1 2 3 4 5 6 7", "f1 1 2 x 4 5 6", "f1 1 2 3 4 5000 6"}) {
    const auto result = follow_->resume(foreign);
    ASSERT_FALSE(result) << foreign;
    EXPECT_TRUE(result.error().is_permanent());
  }
}

TEST_F(Following, SaysWhatItCannotOpen) {
  std::filesystem::create_directory(folder_ / "calls.csv");
  EXPECT_THAT(read(), ElementsAre(HasSubstr("is not a regular file")));
  FollowFile elsewhere{folder_ / "none" / "calls.csv"};
  EXPECT_THAT(elsewhere.next().error().message, HasSubstr("cannot look into"));
}

TEST_F(Following, WakesWhenALineArrivesAndWhenStopComes) {
  voxbus::kit::tests::FakeCall call;
  auto context = call.context();
  EXPECT_THAT(read(), IsEmpty());
  write("one\n");
  EXPECT_EQ(follow_->wait(context), Wake::kReadable);
  EXPECT_THAT(read(), ElementsAre("one"));
  write("", "unrelated");
  call.stop();
  EXPECT_EQ(follow_->wait(context), Wake::kStopped);
}

}  // namespace
