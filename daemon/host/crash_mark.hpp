// SPDX-License-Identifier: Apache-2.0
// A page of memory that the daemon and a channel's process share: which record the process is
// looking at right now. It outlives the process, so that after a crash the daemon knows the record,
// and after the second crash on it the record is quarantined and the channel goes on behind it.
// The process writes, the daemon reads once the process is dead, or to see how long one record
// takes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/posix.hpp"
#include "base/result.hpp"

namespace voxbus::host {

class CrashMark {
 public:
  // A new, idle page; pass descriptor() to the process.
  [[nodiscard]] static Result<CrashMark> make();
  // The page behind an inherited descriptor.
  [[nodiscard]] static Result<CrashMark> attach(FileDescriptor fd);
  ~CrashMark();
  CrashMark(CrashMark&& other) noexcept;
  CrashMark& operator=(CrashMark&&) = delete;

  // Remembers the first 1,024 bytes.
  void examining(std::string_view native_id);
  void idle();

  struct Examined {
    std::string native_id;
    std::chrono::nanoseconds since;  // of the steady clock, which both processes share
  };
  // Nothing when no record was being looked at. What the page says is foreign: it is bounded.
  [[nodiscard]] std::optional<Examined> examined() const;
  [[nodiscard]] int descriptor() const { return fd_.get(); }

 private:
  struct Page;
  CrashMark(FileDescriptor fd, Page* page) : fd_(std::move(fd)), page_(page) {}
  FileDescriptor fd_;
  Page* page_;
};

}  // namespace voxbus::host
