// SPDX-License-Identifier: Apache-2.0
//
// What every channel owes its host, measured in the harness: prompt stop, nothing lost or doubled
// however often it is stopped, memory that does not grow with its input. An author's test calls
// these and says which figure is good enough. Without a test framework; one thread.
#ifndef VOXBUS_CONTRACT_HPP
#define VOXBUS_CONTRACT_HPP

#include <sys/resource.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "voxbus/testing.hpp"

namespace voxbus::testing {

// Polls until the channel waits for something to arrive, asks it to stop from another thread, and
// says how long it took to return. ContractViolation when the poll ended without waiting.
inline std::chrono::steady_clock::duration time_to_stop(Harness& harness) {
  std::thread stopper;
  std::chrono::steady_clock::time_point asked;
  harness.on_waiting([&](int) {
    if (stopper.joinable()) return;
    stopper = std::thread{[&] {
      asked = std::chrono::steady_clock::now();
      harness.stop();
    }};
  });
  const Outcome outcome = harness.poll();
  const auto returned = std::chrono::steady_clock::now();
  harness.on_waiting({});
  if (!stopper.joinable()) throw ContractViolation("the poll returned without having waited");
  stopper.join();
  if (outcome.status != VOXBUS_STOPPED) throw ContractViolation("stopped, but did not say so");
  return returned - asked;
}

// The ids that cursors covered while the channel is stopped again and again: first after `first`
// items, then each time after `step` more, until `wanted` came. In the order in which they came.
inline std::vector<std::string> ids_over_many_stops(Harness& harness, std::size_t wanted,
                                                    std::size_t first, std::size_t step) {
  std::vector<std::string> ids;
  for (std::size_t stop = first; ids.size() < wanted; stop += step) {
    if (stop > 100 * wanted) throw ContractViolation("it never gets to its end between two stops");
    harness.stop_after_items(stop);
    for (Seen& item : harness.drain().items) ids.push_back(std::move(item.native_id));
  }
  return ids;
}

// By how many bytes the process's peak of memory grew while `action` ran. 0 under ThreadSanitizer,
// whose own memory grows with every byte that is touched.
template<class Action>
std::size_t memory_growth(const Action& action) {
  rusage before{};
  ::getrusage(RUSAGE_SELF, &before);
  action();
  rusage after{};
  ::getrusage(RUSAGE_SELF, &after);
#if defined(__SANITIZE_THREAD__)
  return 0;
#else
  return static_cast<std::size_t>(after.ru_maxrss - before.ru_maxrss) * 1024;
#endif
}

}  // namespace voxbus::testing

#endif  // VOXBUS_CONTRACT_HPP
