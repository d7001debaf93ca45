// SPDX-License-Identifier: Apache-2.0
// A named thread of the journal whose exceptions end at its entry: they are fatal, never lost.
#pragma once

#include <pthread.h>

#include <exception>
#include <string>
#include <thread>
#include <utility>

#include "journal/pipeline.hpp"

namespace voxbus::journal {

template<class Body>
[[nodiscard]] std::jthread start_thread(const char* name, Shared& shared, Body body) {
  return std::jthread([name, &shared, body = std::move(body)] {
    ::pthread_setname_np(::pthread_self(), name);  // at most 15 characters
    try {
      body();
    } catch (const std::exception& failure) {
      shared.fail(permanent("the thread " + std::string(name) + " ended: " + failure.what()), {});
    }
  });
}

}  // namespace voxbus::journal
