// SPDX-License-Identifier: Apache-2.0
// How benchmarks compare: contenders take turns, so that what else the machine does meets them all,
// and medians are held against each other. Figures are printed, ratios are checked. One thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

namespace voxbus::bench {

inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// How long `work` takes, in seconds.
inline double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// One after the other, `rounds` times; the median of each, in their order. A contender returns its
// figure of one run.
inline std::vector<double> medians_of(int rounds,
                                      const std::vector<std::function<double()>>& contenders) {
  std::vector<std::vector<double>> figures(contenders.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) figures[i].push_back(contenders[i]());
  }
  std::vector<double> out;
  for (auto& of_one : figures) out.push_back(median(std::move(of_one)));
  return out;
}

// Collects what was promised and does not hold.
class Verdict {
 public:
  void at_least(const std::string& what, double ratio, double least) {
    const bool holds = ratio >= least;
    std::printf("  %-48s %6.2f  (at least %.2f)%s\n", what.c_str(), ratio, least,
                holds ? "" : "  DOES NOT HOLD");
    all_hold_ = all_hold_ && holds;
  }
  void missing(const std::string& what) {
    std::printf("  NOT COMPARED: %s\n", what.c_str());
    all_hold_ = false;
  }
  [[nodiscard]] int exit_code() const { return all_hold_ ? 0 : 1; }

 private:
  bool all_hold_ = true;
};

}  // namespace voxbus::bench
