// SPDX-License-Identifier: Apache-2.0
#include "host/spawn.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace voxbus::host {
namespace {

constexpr int kFirstFree = 6;

void limit(int resource, rlim_t value) {
  const rlimit both{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

// Between fork and exec: only async-signal-safe calls. Exit codes 120 to 122 say what failed.
[[noreturn]] void become_host(const SpawnOptions& options, pid_t daemon, char* const* arguments,
                              char* const* environment) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != daemon) ::_exit(120);  // it died before we asked
  ::setsid();
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // First above all targets, so that no target overwrites a source.
  int sources[3] = {options.socket, options.plugin, options.mark};
  for (auto& source : sources) {
    source = ::fcntl(source, F_DUPFD, kFirstFree + 64);
    if (source < 0) ::_exit(121);
  }
  for (int i = 0; i < 3; ++i) {
    if (::dup2(sources[i], 3 + i) < 0) ::_exit(121);
  }
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, STDIN_FILENO);
  ::dup2(STDERR_FILENO,
         STDOUT_FILENO);  // what a plugin prints goes to the log, never to our output
  ::syscall(SYS_close_range, kFirstFree, ~0u, 0);
  limit(RLIMIT_CORE, 0);  // a core would hold secrets and customers' words
  limit(RLIMIT_NOFILE, options.descriptors);
#if !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)  // they reserve terabytes of addresses
  if (options.memory > 0) limit(RLIMIT_AS, options.memory);
#endif
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2, SIGCHLD})
    ::signal(signal, SIG_DFL);
  ::execve(options.program.c_str(), arguments, environment);
  ::_exit(122);
}

// What a plugin may know of our environment: never a secret.
std::vector<std::string> bare_environment() {
  std::vector<std::string> out;
  for (const char* name :
       {"PATH", "LANG", "LC_ALL", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + '=' + value);
  }
  return out;
}

}  // namespace

std::filesystem::path host_program() {
  std::error_code code;
  const auto folder = std::filesystem::read_symlink("/proc/self/exe", code).parent_path();
  auto beside = folder / "voxbus-host";
  if (std::filesystem::exists(beside, code)) return beside;
  return folder.parent_path() / "lib" / "voxbus" / "voxbus-host";
}

Result<Process> spawn(const SpawnOptions& options) {
  const std::string program = options.program;
  std::array<char*, 2> arguments = {const_cast<char*>(program.c_str()), nullptr};
  auto variables = bare_environment();
  std::vector<char*> environment;
  for (auto& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);

  const pid_t daemon = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return system_error("start " + program, errno);
  if (pid == 0) become_host(options, daemon, arguments.data(), environment.data());
  FileDescriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    const int code = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return system_error("watch the process of " + program, code);
  }
  return Process{pid, std::move(pidfd)};
}

bool Process::has_ended() const {
  pollfd ended{pidfd.get(), POLLIN, 0};
  return ::poll(&ended, 1, 0) > 0;
}

void Process::kill() const {
  if (pid <= 0) return;
  ::kill(-pid, SIGKILL);  // its session's group; not yet reaped, so the number is still its own
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

Process::End Process::reap() {
  siginfo_t how{};
  kill();  // what it started does not outlive it
  // A non-blocking pidfd makes waitid() non-blocking too, and a killed process takes its time.
  pollfd ended{pidfd.get(), POLLIN, 0};
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &how, WEXITED) != 0)
    return {"vanished", false};
  pid = -1;
  if (how.si_code == CLD_EXITED) {
    if (how.si_status == 122) return {"could not be executed", false};
    return {"exited with " + std::to_string(how.si_status), true};
  }
  const int signal = how.si_status;
  const char* name = ::sigabbrev_np(signal);
  const bool by_fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGABRT ||
                        signal == SIGILL || signal == SIGFPE || signal == SIGSYS ||
                        signal == SIGTRAP;
  return {std::string("was killed by SIG") + (name ? name : std::to_string(signal).c_str()),
          by_fault};
}

}  // namespace voxbus::host
