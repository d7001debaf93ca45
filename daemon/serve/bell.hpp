// SPDX-License-Identifier: Apache-2.0
// Wakes coroutines that wait for news. Rung and waited for on the server's loop alone. Who waits
// first notes count(), then looks whether there is anything, and then waits for a higher count: so
// nothing that happens in between is missed.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <set>

namespace voxbus::serve {

namespace asio = boost::asio;

class Bell {
 public:
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] bool has_waiters() const { return !waiting_.empty(); }
  void ring() {
    ++count_;
    for (auto* timer : waiting_) timer->cancel();
  }

 private:
  friend class BellWait;
  std::uint64_t count_ = 0;
  std::set<asio::steady_timer*> waiting_;
};

// One wait for either of two bells, with a limit. Lives in the coroutine that waits; make it before
// looking for news.
class BellWait {
 public:
  // `second` may be null. Both bells outlive this.
  BellWait(const asio::any_io_executor& executor, Bell& first, Bell* second = nullptr);
  ~BellWait();
  BellWait(const BellWait&) = delete;
  BellWait& operator=(const BellWait&) = delete;

  // What was rung so far has been seen; to be called before looking.
  void note();
  // Until a bell was rung since note(), or `until`. Gives true when one was.
  [[nodiscard]] asio::awaitable<bool> wait(std::chrono::steady_clock::time_point until);
  // From now on every wait() returns at once: the session is to end.
  void give_up();

 private:
  [[nodiscard]] std::uint64_t rung() const;

  Bell& first_;
  Bell* second_;
  asio::steady_timer timer_;
  std::uint64_t seen_ = 0;
  bool given_up_ = false;
};

}  // namespace voxbus::serve
