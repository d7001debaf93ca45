// SPDX-License-Identifier: Apache-2.0
// voxbusd put together: the whole pipeline on one screen, from the channels' processes to the
// consumers, and the order in which it starts and stops. Lives in main, on its thread.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "app/notify.hpp"
#include "base/time.hpp"
#include "bus/consumers.hpp"
#include "bus/feed.hpp"
#include "config/configuration.hpp"
#include "host/supervisor.hpp"
#include "journal/journal.hpp"
#include "serve/server.hpp"

namespace voxbus::app {

// What the command line says over the files.
struct Overrides {
  std::filesystem::path configuration = "/etc/voxbus";
  bool configuration_named = false;  // then it must be there; the default may lack
  std::optional<std::string> state, listen, log_level;
};

// Exit codes, after sysexits.h: 78 is the one that systemd does not answer with a restart.
inline constexpr int kConfigurationFault = 78;
inline constexpr int kFailure = 1;

class Daemon {
 public:
  explicit Daemon(Overrides overrides) : overrides_(std::move(overrides)) {}
  ~Daemon();

  // Runs until SIGTERM or SIGINT; the exit code. The caller has blocked these signals and SIGHUP.
  int run();

 private:
  // The steps of starting, in order; each returns an exit code when it fails.
  std::optional<int> configure();
  std::optional<int> open_journal();
  std::optional<int> open_bus();
  std::optional<int> listen();
  void supervise();
  void start_channels();

  [[nodiscard]] config::Configuration read_configuration(config::Problems& problems) const;
  void turn();
  void reload();
  void stop();
  [[nodiscard]] bool is_alive() const;
  [[nodiscard]] std::string status_line() const;
  [[nodiscard]] json::object status_json() const;

  const Overrides overrides_;
  const SystemClock clock_;
  ServiceManager manager_;
  Guarded<config::Configuration> configuration_;
  Guarded<config::Problems> problems_;
  std::filesystem::path state_;
  TimePoint started_{};

  // Downwards as an interaction goes: channels, journal, bus, server. Destroyed upwards.
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<bus::Feed> feed_;
  std::unique_ptr<bus::Consumers> consumers_;
  std::unique_ptr<host::Supervisor> supervisor_;
  std::unique_ptr<serve::Server> server_;
};

}  // namespace voxbus::app
