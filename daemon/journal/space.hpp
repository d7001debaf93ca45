// SPDX-License-Identifier: Apache-2.0
// The reserve: a file of nothing, given back to the disk when that is full, so that what was
// decided, facts and checkpoints still get through while channels wait. And the lock that keeps a
// second daemon out. Owned by the journal; the reserve is for the writer's thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "base/posix.hpp"
#include "base/result.hpp"

namespace voxbus::journal {

class Reserve {
 public:
  Reserve(std::filesystem::path file, std::uint64_t size,
          std::function<std::uint64_t()> free_space);
  // True when the reserve stands afterwards. It is made only where twice its size is free.
  [[nodiscard]] bool restore();
  // False when there was none.
  bool release();

 private:
  std::filesystem::path file_;
  std::uint64_t size_;
  std::function<std::uint64_t()> free_space_;
};

// Holds the directory until the descriptor closes; the error names the holder. The lock's file
// belongs to whom the directory belongs, so that a command of root's leaves none that the daemon
// cannot open.
[[nodiscard]] Result<FileDescriptor> lock_directory(const std::filesystem::path& directory);

}  // namespace voxbus::journal
