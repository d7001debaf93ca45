// SPDX-License-Identifier: Apache-2.0
#include "app/notify.hpp"

#include <systemd/sd-daemon.h>
#include <time.h>

#include <cstdint>
#include <string>

namespace voxbus::app {

ServiceManager::ServiceManager() {
  std::uint64_t interval = 0;
  if (::sd_watchdog_enabled(0, &interval) > 0) watchdog_ = std::chrono::microseconds(interval);
}
void ServiceManager::ready() { ::sd_notify(0, "READY=1"); }
void ServiceManager::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  ::sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
               static_cast<unsigned long long>(now.tv_sec) * 1'000'000 +
                   static_cast<unsigned long long>(now.tv_nsec) / 1000);
}
void ServiceManager::stopping() { ::sd_notify(0, "STOPPING=1"); }
void ServiceManager::status(std::string_view line) {
  ::sd_notify(0, ("STATUS=" + std::string(line)).c_str());
}
void ServiceManager::alive() { ::sd_notify(0, "WATCHDOG=1"); }

}  // namespace voxbus::app
