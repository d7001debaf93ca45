// SPDX-License-Identifier: Apache-2.0
// What we tell systemd: ready, reloading, stopping, alive, and one line of status. Without systemd
// every call does nothing. One thread.
#pragma once

#include <chrono>
#include <string_view>

namespace voxbus::app {

class ServiceManager {
 public:
  ServiceManager();
  void ready();
  void reloading();
  void stopping();
  void status(std::string_view line);
  // The watchdog's sign of life; call only when it is true.
  void alive();
  // How often alive() is due, zero when nobody watches.
  [[nodiscard]] std::chrono::microseconds watchdog() const { return watchdog_; }

 private:
  std::chrono::microseconds watchdog_{0};
};

}  // namespace voxbus::app
