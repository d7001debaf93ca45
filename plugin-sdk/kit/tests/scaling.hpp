// SPDX-License-Identifier: Apache-2.0
//
// How work grows with its input: CPU time of this thread, so that a busy machine does not count,
// and the most memory that a process of its own needs.
#pragma once

#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>

namespace voxbus::kit::tests {

inline double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

// The least of five runs: what disturbs a run only makes it longer.
inline double cpu_seconds_of(const std::function<void()>& work) {
  std::array<double, 5> took{};
  for (double& one : took) {
    const double begin = cpu_seconds();
    work();
    one = cpu_seconds() - begin;
  }
  return *std::min_element(took.begin(), took.end());
}

// What a limit of memory is multiplied by: AddressSanitizer holds back what was given back,
// ThreadSanitizer notes several bytes of each.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr std::size_t kMemoryScale = 4;
#elif defined(__SANITIZE_THREAD__)
inline constexpr std::size_t kMemoryScale = 12;
#else
inline constexpr std::size_t kMemoryScale = 1;
#endif

// For twice the input; a sanitizer's own memory costs more the larger the pieces are, and quadratic
// would be four.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double kMostGrowth = 3.2;
inline constexpr double kNothing = 0.02;  // seconds that say nothing
#else
inline constexpr double kMostGrowth = 2.2;
inline constexpr double kNothing = 0.004;
#endif

// How much longer twice the input takes, measured over two doublings, because a cache or a page
// that is just too small makes one of them look longer. What takes a few milliseconds says nothing,
// and of several measurements the least counts.
inline double growth(const std::function<void()>& half, const std::function<void()>& twice) {
  // Memory that was given back is asked for again: without this, page faults are what is measured.
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, 1 << 30);
  double least = 100;
  for (int i = 0; i < 5 && least > kMostGrowth; ++i) {
    const double small = cpu_seconds_of(half);
    const double large = cpu_seconds_of(twice);
    least =
        std::min(least, large < kNothing ? 1.0 : std::sqrt(large / std::max(small, kNothing / 4)));
  }
  return least;
}

// Bytes that the work needs beyond those that the process has already.
inline std::size_t memory_of(const std::function<void()>& work) {
  const auto peak = [](const std::function<void()>& run) {
    const pid_t child = ::fork();
    if (child == 0) {
      run();
      ::_exit(0);
    }
    int status = 0;
    rusage usage{};
    if (child < 0 || ::wait4(child, &status, 0, &usage) != child || status != 0) std::abort();
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
  };
  const std::size_t base = peak([] {});
  return std::max(peak(work), base) - base;
}

}  // namespace voxbus::kit::tests
