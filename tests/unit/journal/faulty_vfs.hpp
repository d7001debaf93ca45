// SPDX-License-Identifier: Apache-2.0
// A disk that fails when it is told to, below SQLite: full, broken at a sync, or gone at the Nth
// operation with what was not synced dropped or torn. Registered once under kFaulty; it keeps one
// state, so one test at a time uses it. Any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

namespace voxbus::journal {

inline constexpr const char* kFaulty = "voxbus-faulty";

class FaultyDisk {
 public:
  // What a crash does to writes that no sync covered.
  enum class Crash { keeps_all, drops_all, drops_newest, tears_newest };

  FaultyDisk();   // registers the VFS and heals it
  ~FaultyDisk();  // heals it

  // While it says true, writes fail with SQLITE_FULL. Called under the disk's lock.
  void full_while(std::function<bool()> condition);
  void fail_next_sync();
  // From the Nth write, sync or truncation on, counted from here, nothing works any more.
  void crash_at(std::uint64_t operation);
  [[nodiscard]] bool crashed() const;
  [[nodiscard]] std::uint64_t operations() const;  // since the last crash_at()
  // After everything is closed: makes the files what the disk would hold.
  void settle(Crash how);
};

}  // namespace voxbus::journal
