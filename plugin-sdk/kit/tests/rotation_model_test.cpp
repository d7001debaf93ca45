// SPDX-License-Identifier: Apache-2.0
//
// FollowFile against a writer, a rotator and kill -9 that take turns at random: every line that was
// written is read, none is torn, none comes twice unless the reader died before it could save its
// place. What chance may do is what logrotate and Asterisk do: rename, or copy and truncate;
// numbers or dates; a writer that keeps the renamed file open for one rotation.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include "kit/follow_file.hpp"

namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;
using voxbus::kit::FollowFile;
using Step = FollowFile::Step;

enum class Rotation { kRename, kCopyAndTruncate, kEither };
enum class Naming { kNumbers, kDates };
enum class Reader { kPrompt, kKilled, kSlow };  // the slow one is killed as well

struct Weather {
  std::string name;
  Rotation rotation;
  Naming naming;
  Reader reader;
  bool writer_holds_on;  // goes on writing to the renamed file for a while
};

void PrintTo(const Weather& weather, std::ostream* out) { *out << weather.name; }

class RotatedLog {
 public:
  RotatedLog(const Weather& weather, unsigned seed) : weather_{weather}, random_{seed} {
    std::filesystem::create_directories(folder_);
    open_writer();
    write_line();
    start_reader();
    read_all();
  }
  ~RotatedLog() {
    reader_.reset();
    ::close(writer_);
    std::filesystem::remove_all(folder_);
  }
  RotatedLog(const RotatedLog&) = delete;
  RotatedLog& operator=(const RotatedLog&) = delete;

  void step() {
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
      case 3:
        write_line();
        break;
      case 4:
      case 5:
      case 6:
        write_line();
        if (weather_.reader != Reader::kPrompt && reader_) kill_reader_before_it_saves();
        break;
      case 7:
        if (chance(2)) rotate();
        break;
      case 8:
        if (holds_on_ && chance(2)) open_writer();
        break;
      default:
        if (weather_.reader == Reader::kPrompt) break;
        if (reader_) {
          kill_reader();
        } else {
          start_reader();
        }
    }
    if (reader_ && (weather_.reader != Reader::kSlow || chance(4))) read_all();
  }

  void settle() {
    if (holds_on_) open_writer();
    if (!reader_) start_reader();
    for (int i = 0; i < 4; ++i) read_all();
  }

  std::vector<int> lost() const {
    std::vector<int> lost;
    for (int i = 0; i < written_; ++i) {
      if (!saved_lines_.contains(i)) lost.push_back(i);
    }
    return lost;
  }
  const std::vector<std::string>& torn() const { return torn_; }
  int doubled() const { return doubled_; }
  std::string story() const { return story_; }

 private:
  int below(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  bool chance(int of) { return below(of) == 0; }
  void tell(const std::string& what) { story_ += "  " + what + "\n"; }

  void open_writer() {
    if (writer_ >= 0) ::close(writer_);
    writer_ = ::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    ASSERT_GE(writer_, 0);
    holds_on_ = false;
    tell("the writer opens the log");
  }

  void put(std::string_view bytes) {
    ASSERT_EQ(::write(writer_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }

  // Sometimes in two pieces, between which the reader may look. Not into a renamed file: its last
  // line counts as finished once the file has been quiet.
  void write_line() {
    const std::string line =
        "L" + std::to_string(written_) + "," + std::string(below(chance(3) ? 80 : 8), 'x') + "\n";
    tell((holds_on_ ? "late L" : "L") + std::to_string(written_++));
    const std::size_t first = !holds_on_ && chance(6) ? 1 + below(int(line.size()) - 1) : 0;
    put(std::string_view{line}.substr(0, first));
    if (first > 0 && reader_ && chance(2)) {
      tell("the reader looks between the two halves of it");
      read_all();
    }
    put(std::string_view{line}.substr(first));
  }

  std::filesystem::path rotated_name() {
    const std::string base = file_.string();
    if (weather_.naming == Naming::kDates) {
      const int day = rotations_++;
      return base + "-" + std::to_string(20260101 + day / 28 * 100 + day % 28);
    }
    int last = 1;
    while (std::filesystem::exists(base + "." + std::to_string(last))) ++last;
    for (; last > 1; --last) {
      std::filesystem::rename(base + "." + std::to_string(last - 1),
                              base + "." + std::to_string(last));
    }
    return base + ".1";
  }

  void rotate() {
    if (!std::filesystem::exists(file_)) return;
    if (holds_on_) open_writer();  // it is told before the next rotation
    const std::filesystem::path to = rotated_name();
    const bool renames = weather_.rotation == Rotation::kRename ||
                         (weather_.rotation == Rotation::kEither && chance(2));
    tell((renames ? "renamed to " : "copied and cut to ") + to.filename().string());
    if (!renames) {
      std::filesystem::copy_file(file_, to);
      std::filesystem::resize_file(file_, 0);
      return;
    }
    std::filesystem::rename(file_, to);
    holds_on_ = weather_.writer_holds_on && !chance(3);
    if (!holds_on_) return open_writer();
    if (chance(2)) ::close(::open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  }

  void start_reader() {
    tell("the reader starts");
    reader_ = std::make_unique<FollowFile>(file_, voxbus::kit::FollowOptions{.settle = 0ms});
    const auto resumed = reader_->resume(saved_);
    ASSERT_TRUE(resumed) << resumed.error().message;
  }
  void kill_reader() {
    reader_.reset();
    tell("the reader is killed");
  }
  void kill_reader_before_it_saves() {
    read_lines(1 + below(3));
    unsaved_.clear();
    kill_reader();
  }

  void read_all() {
    read_lines(std::numeric_limits<int>::max());
    saved_ = reader_->cursor();
    for (const int line : unsaved_) doubled_ += saved_lines_.insert(line).second ? 0 : 1;
    unsaved_.clear();
  }

  void read_lines(int most) {
    for (int count = 0; count < most;) {
      const auto step = reader_->next();
      ASSERT_TRUE(step) << step.error().message;
      for (const std::string& notice : reader_->notices()) tell("the reader says: " + notice);
      if (*step == Step::kIdle) return;
      if (*step == Step::kBusy) continue;
      ++count;
      const std::string text{reader_->line().text};
      const auto comma = text.find(',');
      if (reader_->line().unfinished || !text.starts_with('L') || comma == std::string::npos) {
        torn_.push_back(text);
        continue;
      }
      unsaved_.push_back(std::stoi(text.substr(1, comma - 1)));
      tell("    read L" + std::to_string(unsaved_.back()));
    }
  }

  const Weather& weather_;
  std::mt19937 random_;
  const std::filesystem::path folder_ =
      ::testing::TempDir() + "rotation-" + std::to_string(::getpid());
  const std::filesystem::path file_ = folder_ / "calls.csv";
  int writer_ = -1;
  bool holds_on_ = false;
  int written_ = 0;    // lines
  int rotations_ = 0;  // with a date
  std::unique_ptr<FollowFile> reader_;
  std::string saved_;          // the cursor that survives the reader
  std::set<int> saved_lines_;  // what the bus would hold
  std::vector<int> unsaved_;
  std::vector<std::string> torn_;
  int doubled_ = 0;
  std::string story_;
};

class Rotated : public ::testing::TestWithParam<Weather> {};

TEST_P(Rotated, LosesNoLineAndTearsNone) {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    RotatedLog log{GetParam(), seed};
    for (int i = 0; i < 60; ++i) log.step();
    log.settle();
    ASSERT_FALSE(HasFatalFailure()) << "seed " << seed << "\n" << log.story();
    ASSERT_THAT(log.lost(), IsEmpty()) << "seed " << seed << "\n" << log.story();
    ASSERT_THAT(log.torn(), IsEmpty()) << "seed " << seed << "\n" << log.story();
  }
}

INSTANTIATE_TEST_SUITE_P(
    Log, Rotated,
    ::testing::Values(
        Weather{"ByRename", Rotation::kRename, Naming::kNumbers, Reader::kPrompt, false},
        Weather{"ByRenameWithLateLines", Rotation::kRename, Naming::kNumbers, Reader::kPrompt,
                true},
        Weather{"ByRenameWithLateLinesAndKills", Rotation::kRename, Naming::kNumbers,
                Reader::kKilled, true},
        Weather{"ByRenameToDatesWithKills", Rotation::kRename, Naming::kDates, Reader::kKilled,
                true},
        Weather{"ByCopy", Rotation::kCopyAndTruncate, Naming::kNumbers, Reader::kPrompt, false},
        Weather{"ByCopyWithKills", Rotation::kCopyAndTruncate, Naming::kNumbers, Reader::kKilled,
                false},
        Weather{"ByCopyToDatesWithKills", Rotation::kCopyAndTruncate, Naming::kDates,
                Reader::kKilled, false},
        Weather{"ByRenameUnderASlowReader", Rotation::kRename, Naming::kNumbers, Reader::kSlow,
                true},
        Weather{"ByCopyUnderASlowReader", Rotation::kCopyAndTruncate, Naming::kNumbers,
                Reader::kSlow, false},
        Weather{"ByBothWithKills", Rotation::kEither, Naming::kNumbers, Reader::kKilled, true}),
    [](const auto& weather) { return weather.param.name; });

// A rotation renames every file, while the reader lists them and opens what it found.
TEST(RotatedUnderTheReadersHands, LosesNoLine) {
  constexpr int kRotations = 1500, kKept = 12, kLines = 3;
  const std::filesystem::path folder =
      ::testing::TempDir() + "rotated-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  const std::filesystem::path file = folder / "calls.csv";
  const auto numbered = [&](int number) { return file.string() + "." + std::to_string(number); };
  std::ofstream{file} << "0\n";
  std::atomic<int> last_read = -1, last_written = 0;
  std::atomic<bool> given_up = false;

  std::thread exchange([&] {
    // Whoever begins behind a rotation begins with the present file.
    while (last_read < 0 && !given_up) std::this_thread::yield();
    for (int rotation = 0; rotation < kRotations && !given_up; ++rotation) {
      // What would be deleted must have been read: that is the person's duty who rotates.
      while (last_read < last_written - kLines * (kKept - 2) && !given_up)
        std::this_thread::yield();
      for (int number = kKept; number > 0; --number) {
        if (std::filesystem::exists(numbered(number)))
          std::filesystem::rename(numbered(number), numbered(number + 1));
      }
      std::filesystem::remove(numbered(kKept + 1));
      std::filesystem::rename(file, numbered(1));
      std::ofstream out{file};
      for (int line = 0; line < kLines; ++line) out << ++last_written << "\n" << std::flush;
    }
  });

  std::set<int> lines;
  std::string cursor;
  auto reader = std::make_unique<FollowFile>(file, voxbus::kit::FollowOptions{.settle = 0ms});
  // A disk that others keep busy takes its time over so many renames: what counts is that it goes
  // on.
  auto moved = std::chrono::steady_clock::now();
  std::size_t had = 0;
  for (int turn = 0; lines.size() <= std::size_t{kRotations} * kLines; ++turn) {
    const auto now = std::chrono::steady_clock::now();
    if (lines.size() != std::exchange(had, lines.size())) moved = now;
    if (now - moved > 30s) break;
    if (turn % 7 == 6) {
      reader = std::make_unique<FollowFile>(file, voxbus::kit::FollowOptions{.settle = 0ms});
      ASSERT_TRUE(reader->resume(cursor));
    }
    for (;;) {
      const auto step = reader->next();
      if (!step || *step == Step::kIdle) break;
      if (*step == Step::kLine) lines.insert(std::stoi(std::string{reader->line().text}));
    }
    cursor = reader->cursor();
    // Only what was read without a gap may be deleted.
    while (lines.contains(last_read + 1)) ++last_read;
    if (!lines.empty() && last_read < *lines.rbegin() - kLines * kKept) break;  // a gap that stays
  }
  given_up = true;
  exchange.join();
  EXPECT_EQ(last_read, last_written)
      << "line " << last_read + 1 << " is missing, the newest read is " << *lines.rbegin()
      << ", the place is " << cursor;
  EXPECT_EQ(last_written, kRotations * kLines);
  std::filesystem::remove_all(folder);
}

}  // namespace
