// SPDX-License-Identifier: Apache-2.0
// A connection for which there is no room is told so, 503 with Retry-After, before it is closed. A
// bounded number is closed with care, so that the answer arrives; further ones get it as well as
// one write can. Owned by the server, used on its loop's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <set>
#include <string>

#include "serve/session.hpp"

namespace voxbus::serve {

inline constexpr std::size_t kTurnedAwayAtOnce = 64;

class TurnAway {
 public:
  // `loop` outlives it and runs until at_once() is 0.
  explicit TurnAway(asio::io_context& loop);

  void operator()(Session::Socket socket);
  // Ends the careful closing of all at hand.
  void stop();
  [[nodiscard]] std::size_t at_once() const { return streams_.size(); }

 private:
  using Stream = beast::basic_stream<asio::generic::stream_protocol>;
  [[nodiscard]] asio::awaitable<void> close(Session::Socket socket);

  asio::io_context& loop_;
  const std::string answer_;
  std::set<Stream*> streams_;
};

}  // namespace voxbus::serve
