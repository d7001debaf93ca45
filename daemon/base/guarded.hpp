// SPDX-License-Identifier: Apache-2.0
// A value and the mutex that guards it, inseparable: the value is reached only under the lock.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace voxbus {

template<class T>
class Guarded {
 public:
  template<class... Args>
  explicit Guarded(Args&&... args) : value_(std::forward<Args>(args)...) {}

  // Runs `action(value)` under the lock and returns what it returns. Never call back into the same
  // Guarded from inside.
  template<class Action>
  decltype(auto) with(Action&& action) {
    const std::scoped_lock lock(mutex_);
    return std::forward<Action>(action)(value_);
  }
  template<class Action>
  decltype(auto) with(Action&& action) const {
    const std::scoped_lock lock(mutex_);
    return std::forward<Action>(action)(value_);
  }

  // Waits until `ready(value)` holds, then runs `action(value)`, all under the lock. Whoever makes
  // it hold calls notify_all() afterwards.
  template<class Ready, class Action>
  decltype(auto) when(Ready&& ready, Action&& action) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready(value_); });
    return std::forward<Action>(action)(value_);
  }
  // The same with a limit; `action(value, ready_holds)` runs either way.
  template<class Duration, class Ready, class Action>
  decltype(auto) when_for(Duration limit, Ready&& ready, Action&& action) {
    std::unique_lock lock(mutex_);
    const bool holds = changed_.wait_for(lock, limit, [&] { return ready(value_); });
    return std::forward<Action>(action)(value_, holds);
  }
  void notify_all() { changed_.notify_all(); }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  T value_;
};

}  // namespace voxbus
