// SPDX-License-Identifier: Apache-2.0
#include "serve/bell.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace voxbus::serve {

BellWait::BellWait(const asio::any_io_executor& executor, Bell& first, Bell* second)
    : first_(first), second_(second), timer_(executor) {
  first_.waiting_.insert(&timer_);
  if (second_) second_->waiting_.insert(&timer_);
  note();
}

BellWait::~BellWait() {
  first_.waiting_.erase(&timer_);
  if (second_) second_->waiting_.erase(&timer_);
}

std::uint64_t BellWait::rung() const { return first_.count() + (second_ ? second_->count() : 0); }

void BellWait::note() { seen_ = rung(); }

asio::awaitable<bool> BellWait::wait(std::chrono::steady_clock::time_point until) {
  while (rung() == seen_ && !given_up_ && std::chrono::steady_clock::now() < until) {
    timer_.expires_at(until);
    boost::system::error_code code;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, code));
  }
  co_return rung() != seen_;
}

void BellWait::give_up() {
  given_up_ = true;
  timer_.cancel();
}

}  // namespace voxbus::serve
