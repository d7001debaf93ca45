// SPDX-License-Identifier: Apache-2.0
// What a channel's process is born with and takes along when it ends. A script stands in for
// voxbus-host: unlike it, a script does not end by itself when its socket does.
#include "host/spawn.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "../testing.hpp"

namespace voxbus::host {
namespace {

namespace fs = std::filesystem;

constexpr int kPatience = static_cast<int>(std::chrono::milliseconds(test::kPatience).count());

FileDescriptor watch(pid_t pid) {
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool ends(const FileDescriptor& pidfd) {
  pollfd ended{pidfd.get(), POLLIN, 0};
  return ::poll(&ended, 1, kPatience) == 1;
}

class Spawn : public ::testing::Test {
 protected:
  void SetUp() override {
    int pipe[2];
    ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
    says_ = FileDescriptor(pipe[0]);
    mouth_ = FileDescriptor(pipe[1]);
    options_.socket = options_.plugin = options_.mark = mouth_.get();
  }

  // What it writes to its socket, descriptor 3, is what line() reads.
  void script(const std::string& text) {
    options_.program = folder_.path() / "host";
    std::ofstream(options_.program) << "#!/bin/sh\n" << text << '\n';
    ASSERT_EQ(::chmod(options_.program.c_str(), 0755), 0);
  }
  std::string line() const {
    std::string out;
    for (char c = 0;; out += c) {
      pollfd readable{says_.get(), POLLIN, 0};
      if (::poll(&readable, 1, kPatience) != 1 || ::read(says_.get(), &c, 1) != 1 || c == '\n')
        return out;
    }
  }

  test::Folder folder_;
  FileDescriptor says_, mouth_;
  SpawnOptions options_;
};

TEST_F(Spawn, KeepsAProcessWithinItsDescriptorsItsMemoryAndWithoutACore) {
  script("echo $(ulimit -n) $(ulimit -v) $(ulimit -c) >&3");
  options_.descriptors = 77;
  options_.memory = 300u << 20;
  auto process = spawn(options_);
  ASSERT_TRUE(process);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  EXPECT_EQ(line(), "77 unlimited 0");
#else
  EXPECT_EQ(line(), "77 " + std::to_string(300 << 10) + " 0");
#endif
  EXPECT_TRUE(ends(process->pidfd));
  EXPECT_EQ(process->reap().words, "exited with 0");
}

TEST_F(Spawn, AKillTakesAlongWhatTheProcessStarted) {
  script("sleep 600 &\necho $! >&3\nwait");
  auto process = spawn(options_);
  ASSERT_TRUE(process);
  const auto started = static_cast<pid_t>(std::stol(line()));
  const auto pidfd = watch(started);
  ASSERT_TRUE(pidfd);
  process->kill();
  const bool ended = ends(pidfd);
  EXPECT_TRUE(ended);
  if (!ended) ::kill(started, SIGKILL);
  EXPECT_TRUE(ends(process->pidfd));
  EXPECT_EQ(process->reap().words, "was killed by SIGKILL");
}

TEST_F(Spawn, WhatAProcessStartedDoesNotOutliveItsOwnEndEither) {
  script("sleep 600 &\necho $! >&3\nexit 3");
  auto process = spawn(options_);
  ASSERT_TRUE(process);
  const auto started = static_cast<pid_t>(std::stol(line()));
  const auto pidfd = watch(started);
  ASSERT_TRUE(pidfd);
  ASSERT_TRUE(ends(process->pidfd));
  EXPECT_EQ(process->reap().words, "exited with 3");
  const bool ended = ends(pidfd);
  EXPECT_TRUE(ended);
  if (!ended) ::kill(started, SIGKILL);
}

// An event loop that watches a pidfd makes it non-blocking, and waitid() with it.
TEST_F(Spawn, ReapingWaitsForWhatIsStillDying) {
  script("echo $$ >&3\nexec sleep 600");
  auto process = spawn(options_);
  ASSERT_TRUE(process);
  const pid_t pid = process->pid;
  ASSERT_EQ(std::stol(line()), pid);
  ASSERT_EQ(::fcntl(process->pidfd.get(), F_SETFL, O_NONBLOCK), 0);
  EXPECT_EQ(process->reap().words, "was killed by SIGKILL");
  EXPECT_EQ(::waitpid(pid, nullptr, 0), -1) << "it was left behind as a zombie";
}

// A plugin that hangs while it is loaded never looks at the socket: only the kernel can end it.
TEST_F(Spawn, AProcessThatLooksAtNothingDiesWithTheDaemon) {
  script("echo $$ >&3\nexec sleep 600");
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // the orphan becomes ours to wait for
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const FileDescriptor word(pipe[0]);
  FileDescriptor to_say(pipe[1]);
  const pid_t daemon = ::fork();
  ASSERT_GE(daemon, 0);
  if (daemon == 0) {
    const auto process = spawn(options_);
    char may_die = 0;
    (void)!::read(word.get(), &may_die, 1);
    ::_exit(process ? 0 : 1);
  }
  const auto orphan = static_cast<pid_t>(std::stol(line()));
  const auto pidfd = watch(orphan);
  ASSERT_TRUE(pidfd);
  ASSERT_EQ(::write(to_say.get(), "!", 1), 1);
  int how = 0;
  ASSERT_EQ(::waitpid(daemon, &how, 0), daemon);
  const bool ended = ends(pidfd);
  EXPECT_TRUE(ended);
  if (!ended) ::kill(orphan, SIGKILL);
  EXPECT_EQ(::waitpid(orphan, &how, 0), orphan);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

}  // namespace
}  // namespace voxbus::host
