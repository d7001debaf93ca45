// SPDX-License-Identifier: Apache-2.0
// voxbusd: every channel's interactions on one durable bus.
#include <pthread.h>
#include <CLI/CLI.hpp>

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>

#include "app/daemon.hpp"
#include "config/places.hpp"

namespace {

// Before any thread exists, so that all inherit it: signals are taken in one place, by main.
void block_signals() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&blocked, signal);
  ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

int main(int count, char** arguments) {
  CLI::App options{"voxbusd: every customer channel on one durable bus that any department reads"};
  voxbus::app::Overrides overrides;
  std::string state, listen, level;
  options
      .add_option("--config", overrides.configuration, "Folder with voxbus.yaml and channels.d/")
      ->capture_default_str();
  options.add_option("--state", state, "Folder for the journal and all else that is kept");
  options
      .add_option("--listen", listen,
                  "ADDRESS:PORT for the HTTP API; port 0 takes any that is free")
      ->check([](const std::string& text) {
        const auto parsed = voxbus::config::parse_listen(text);
        return parsed ? std::string{} : parsed.error().message;
      });
  options.add_option("--log-level", level, "trace, debug, info, warning or error")
      ->check(CLI::IsMember(std::vector<std::string>(voxbus::config::kLogLevels.begin(),
                                                     voxbus::config::kLogLevels.end())));
  options.set_version_flag("--version", "voxbusd " VOXBUS_BUILD);
  try {
    options.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    return options.exit(error) == 0 ? 0 : 2;
  }
  overrides.configuration_named = options.count("--config") > 0;
  if (!state.empty()) overrides.state = std::filesystem::absolute(state);
  if (!listen.empty()) overrides.listen = listen;
  if (!level.empty()) overrides.log_level = level;
  // Another process of our user, as a plugin's, must not read our memory: it holds keys and
  // secrets.
  ::prctl(PR_SET_DUMPABLE, 0);
  block_signals();
  try {
    return voxbus::app::Daemon(std::move(overrides)).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "voxbusd: %s\n", error.what());
    return voxbus::app::kFailure;
  }
}
