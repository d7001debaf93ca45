// SPDX-License-Identifier: Apache-2.0
// A place and a time of a test's own: a folder that goes with it, a clock that only the test moves,
// and how long a test waits for what must come. The folder belongs to one thread; the clock may be
// read and moved by any.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include "base/guarded.hpp"
#include "base/time.hpp"

namespace voxbus::test {

// Far longer than anything takes, also on a busy machine; shorter than whoever runs the tests
// waits.
inline constexpr std::chrono::seconds kPatience{10};

// What a limit of processor time is multiplied by: sanitizers cost.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSlowness = 5;
#else
inline constexpr int kSlowness = 1;
#endif

// Where a folder is as fast as memory, for tests that write and sync very often.
inline std::filesystem::path in_memory() {
  const std::filesystem::path memory = "/dev/shm";
  return ::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

class Folder {
 public:
  explicit Folder(const std::filesystem::path& parent = std::filesystem::temp_directory_path()) {
    std::string name = (parent / "voxbus-test-XXXXXX").string();
    if (!::mkdtemp(name.data()))
      throw std::runtime_error("no folder can be made in " + parent.string());
    path_ = name;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Stands still until it is told to move.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override {
    return TimePoint(std::chrono::sys_days(std::chrono::year{2026} / 11 / 22)) + passed();
  }
  [[nodiscard]] std::chrono::steady_clock::time_point steady() const override {
    return std::chrono::steady_clock::time_point(std::chrono::hours(1)) + passed();
  }
  void pass(std::chrono::milliseconds time) {
    passed_.with([&](auto& passed) { passed += time; });
  }

 private:
  [[nodiscard]] std::chrono::milliseconds passed() const {
    return passed_.with([](const auto& passed) { return passed; });
  }
  Guarded<std::chrono::milliseconds> passed_{std::chrono::milliseconds(0)};
};

}  // namespace voxbus::test
