// SPDX-License-Identifier: Apache-2.0
//
// Memory that runs out at the Nth allocation of a plugin's poll, and not in the host's own
// functions that the poll calls. failing_memory.cpp, linked into the test, replaces operator new
// for the whole program. One thread.
#pragma once

#include <new>

#include "voxbus/testing.hpp"

namespace voxbus::kit::tests {

class FailingMemory {
 public:
  // The entry of a plugin, with a poll that counts.
  explicit FailingMemory(const voxbus_plugin& plugin) : entry_{plugin} {
    real_poll_ = plugin.poll;
    entry_.poll = &poll;
  }
  [[nodiscard]] const voxbus_plugin& entry() const { return entry_; }

  // The next poll succeeds in so many allocations and fails in the one behind them, once.
  static void let_succeed(long allocations) {
    left_ = allocations;
    failed_ = false;
  }
  // Whether it came to that.
  [[nodiscard]] static bool failed() { return failed_; }

  static void note_allocation() {
    if (!counting_ || left_ < 0 || left_-- > 0) return;
    failed_ = true;
    throw std::bad_alloc{};
  }

  // Counts, or does not, as long as it lives: Counting{false} in what a test does in between.
  struct Counting {
    explicit Counting(bool yes) : before{counting_} { counting_ = yes; }
    ~Counting() { counting_ = before; }
    bool before;
  };

 private:
  struct Call {
    voxbus_call base;  // first: the plugin's pointer to it is the pointer to this
    const voxbus_call* real;
  };
  static const voxbus_call* real(const voxbus_call* call) {
    return reinterpret_cast<const Call*>(call)->real;
  }

  static voxbus_status poll(voxbus_channel* channel, const voxbus_call* call, voxbus_view cursor) {
    Call ours{*call, call};
    ours.base.emit = [](const voxbus_call* c, const voxbus_item* item) {
      const Counting no{false};
      return real(c)->emit(real(c), item);
    };
    ours.base.commit = [](const voxbus_call* c, voxbus_view view) {
      const Counting no{false};
      return real(c)->commit(real(c), view);
    };
    ours.base.examine = [](const voxbus_call* c, voxbus_view id, voxbus_view raw) {
      const Counting no{false};
      return real(c)->examine(real(c), id, raw);
    };
    ours.base.fail = [](const voxbus_call* c, const voxbus_failure* why) {
      const Counting no{false};
      return real(c)->fail(real(c), why);
    };
    ours.base.stopping = [](const voxbus_call* c) { return real(c)->stopping(real(c)); };
    ours.base.wake_fd = [](const voxbus_call* c) { return real(c)->wake_fd(real(c)); };
    const Counting yes{true};
    return real_poll_(channel, &ours.base, cursor);
  }

  voxbus_plugin entry_;
  static inline decltype(voxbus_plugin::poll) real_poll_ = nullptr;
  static inline long left_ = -1;
  static inline bool counting_ = false, failed_ = false;
};

}  // namespace voxbus::kit::tests
