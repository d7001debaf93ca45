// SPDX-License-Identifier: Apache-2.0
// Asking somebody whose answer comes once, on any thread, and waiting for it without holding one.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "serve/bell.hpp"
#include "serve/core.hpp"

namespace voxbus::serve {

inline constexpr std::chrono::seconds kAnsweredWithin{25};  // below the limit of a request

// Gets the function to answer by, which may outlive whoever waits.
template<class Answered>
using Ask = std::function<void(std::function<void(Answered)>)>;

// For a coroutine on the loop. Nothing when no answer came in time.
template<class Answered>
asio::awaitable<std::optional<Answered>> answer_of(Core& core, Ask<Answered> ask) {
  struct Waiting {
    Bell bell;
    std::optional<Answered> answered;
  };
  const auto waiting = std::make_shared<Waiting>();
  BellWait answer(co_await asio::this_coro::executor, waiting->bell);
  answer.note();
  ask([&core, waiting](Answered answered) {
    asio::post(core.loop, [waiting, answered = std::move(answered)]() mutable {
      waiting->answered = std::move(answered);
      waiting->bell.ring();
    });
  });
  const auto until = std::chrono::steady_clock::now() + kAnsweredWithin;
  while (!waiting->answered && co_await answer.wait(until)) answer.note();
  co_return std::move(waiting->answered);
}

}  // namespace voxbus::serve
