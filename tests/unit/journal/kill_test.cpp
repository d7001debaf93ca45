// SPDX-License-Identifier: Apache-2.0
// kill -9 of a process that writes, again and again: what it was told to be durable is there, and
// everything is there once.
//   VOXBUS_KILL_ROUNDS=200 kills more often than the test run does.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <random>
#include <unordered_map>

#include "base/json.hpp"
#include "base/posix.hpp"
#include "unit/journal/store.hpp"

namespace voxbus::journal {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class WriterProcess {
 public:
  WriterProcess(const std::filesystem::path& directory, unsigned seed) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
    output_ = FileDescriptor(ends[0]);
    const FileDescriptor input(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
    std::string program = JOURNAL_WRITER, folder = directory.string(),
                number = std::to_string(seed);
    char* arguments[] = {program.data(), folder.data(), number.data(), nullptr};
    if (::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ) != 0) {
      throw std::runtime_error("cannot start " + program);
    }
    posix_spawn_file_actions_destroy(&actions);
  }
  // Lets it write until `lines` acknowledgements came or the time is over, and kills it. Returns
  // the newest acknowledgement, those it wrote in its last moment included.
  std::uint64_t kill_after(int lines, milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    std::string text;
    for (;;) {
      const auto left =
          std::chrono::duration_cast<milliseconds>(end - std::chrono::steady_clock::now());
      pollfd waiting{output_.get(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) break;
      if (!read_some(text)) break;  // it ended by itself
      if (std::count(text.begin(), text.end(), '\n') >= lines) break;
    }
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "it ended by itself with " << WEXITSTATUS(status);
    while (read_some(text)) {
    }
    const auto last = text.rfind('\n');
    if (last == text.npos) return 0;
    const auto before = last == 0 ? text.npos : text.rfind('\n', last - 1);
    return std::stoull(text.substr(before == text.npos ? 0 : before + 1));
  }

 private:
  bool read_some(std::string& text) {
    char buffer[4096];
    const auto got = ::read(output_.get(), buffer, sizeof buffer);
    if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }
  FileDescriptor output_;
  pid_t pid_ = -1;
};

struct Kills : testing::Test {
  Store store{Store::Place::disk};
  std::mt19937 random{20261122};
  std::unordered_map<std::string, int> seen;
  std::uint64_t acknowledged = 0;
  model::Position read_to = 0;
  int durable_untold = 0;

  void check_what_is_there() {
    store.options.installation = "killed";
    store.open();
    for (;;) {
      const auto events = store.reader().read(read_to, 10'000, 64u << 20);
      ASSERT_TRUE(events) << events.error().message;
      if (events->empty()) break;
      for (const auto& event : *events) {
        const auto body = json::parse(event.body);
        ASSERT_TRUE(body);
        const auto& data = body->as_object().at("data").as_object();
        ++seen[std::string(*json::text_at(data, "native_id"))];
        EXPECT_EQ(json::integer_at(data, "revision"), 1);
        read_to = event.sequence.position;
      }
    }
    CountingSink sink;
    const auto opening = store.journal().open_channel({"counter", "count", "o"}, {}, &sink);
    ASSERT_TRUE(opening);
    const auto cursor = opening->cursor.empty() ? 0 : std::stoull(opening->cursor);
    EXPECT_GE(cursor, acknowledged);
    durable_untold += cursor > acknowledged;
    EXPECT_EQ(seen.size(), read_to);  // each id once
    for (std::uint64_t number = 1; number <= cursor; ++number) {
      ASSERT_TRUE(seen.contains("item-" + std::to_string(number))) << number << " is lost";
    }
    EXPECT_THAT(store.journal().epochs(), SizeIs(1));
    store.close();
  }
};

TEST_F(Kills, LoseNothingAcknowledgedAndDoubleNothing) {
  const char* given = std::getenv("VOXBUS_KILL_ROUNDS");
  const int rounds = given ? std::atoi(given) : 20;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    WriterProcess writer(store.folder(), random());
    // Some right behind an acknowledgement, most at any instant, some before it has opened.
    const bool behind = round % 5 == 0;
    const int lines = behind ? 1 + static_cast<int>(random() % 40) : 1'000'000;
    const auto limit = milliseconds(behind           ? 2000
                                    : round % 5 == 4 ? random() % 40
                                                     : random() % 500);
    acknowledged = std::max(acknowledged, writer.kill_after(lines, limit));
    // Mostly the next process meets what the kill left; sometimes we look in between.
    if (round % 4 == 3 || round + 1 == rounds) check_what_is_there();
    if (HasFailure()) break;
  }
  EXPECT_GT(acknowledged, 0u);
  EXPECT_THAT(store.report().problems, IsEmpty());
  std::printf(
      "%d rounds: %zu acknowledged, %zu in the journal, 0 lost, 0 doubled (durable, not yet told: "
      "%d "
      "times)\n",
      rounds, static_cast<std::size_t>(acknowledged), seen.size(), durable_untold);
}

}  // namespace
}  // namespace voxbus::journal
