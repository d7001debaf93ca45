// SPDX-License-Identifier: Apache-2.0
// How long to wait before something that failed is tried again: twice as long each time, up to a
// limit, with jitter over the upper half, so that what failed together does not come back together.
// One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

namespace voxbus::host {

class Backoff {
 public:
  using Duration = std::chrono::milliseconds;
  Backoff(Duration first, Duration longest) : first_(first), longest_(longest) {}

  // After one more failure.
  [[nodiscard]] Duration next() {
    const auto full = std::min<Duration>(longest_, first_ * (1ll << failures_));
    failures_ = std::min(failures_ + 1, kMostDoublings);
    const auto half = full / 2;
    return full - half +
           Duration(std::uniform_int_distribution<Duration::rep>(0, half.count())(random_));
  }
  void reset() { failures_ = 0; }

 private:
  static constexpr int kMostDoublings = 24;  // beyond every limit, and no overflow
  const Duration first_, longest_;
  int failures_ = 0;
  std::minstd_rand random_{std::random_device{}()};
};

}  // namespace voxbus::host
