// SPDX-License-Identifier: Apache-2.0
#include "base/thread.hpp"

#include <pthread.h>
#include <unistd.h>

#include <exception>

#include "base/log.hpp"

namespace voxbus {
namespace {

[[noreturn]] void end_process(const std::string& name, const char* why) {
  log::critical("the thread '{}' failed: {}", name, why);
  log::default_logger()->flush();
  ::_exit(1);
}

}  // namespace

std::thread start_thread(const std::string& name, std::function<void()> body) {
  return std::thread([name, body = std::move(body)] {
    ::pthread_setname_np(::pthread_self(), name.substr(0, 15).c_str());
    try {
      body();
    } catch (const std::exception& error) {
      end_process(name, error.what());
    } catch (...) {
      end_process(name, "an exception of an unknown type");
    }
  });
}

}  // namespace voxbus
