// SPDX-License-Identifier: Apache-2.0
#include "serve/turn_away.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "serve/problem.hpp"

namespace voxbus::serve {
namespace {

// A client sends its request before it reads; closing with unread bytes would destroy the answer.
constexpr std::chrono::seconds kLinger{2};
constexpr std::size_t kMaxLinger = 64 << 10;

std::string whole_answer() {
  const auto answer =
      problem(Slug::unavailable, "all connections are in use: come back in a moment");
  std::string text = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: " + answer.content_type +
                     "\r\nContent-Length: " + std::to_string(answer.body.size()) +
                     "\r\nConnection: close\r\nCache-Control: no-store\r\nX-Content-Type-Options: "
                     "nosniff\r\nServer: Voxbus";
  for (const auto& [name, value] : answer.headers) text += "\r\n" + name + ": " + value;
  return text + "\r\n\r\n" + answer.body;
}

}  // namespace

TurnAway::TurnAway(asio::io_context& loop) : loop_(loop), answer_(whole_answer()) {}

void TurnAway::operator()(Session::Socket socket) {
  // It fits into what the kernel keeps for a new connection; a client that takes nothing gets
  // nothing.
  boost::system::error_code code;
  socket.non_blocking(true, code);
  if (!code) socket.write_some(asio::buffer(answer_), code);
  if (code || streams_.size() >= kTurnedAwayAtOnce) return;
  asio::co_spawn(loop_, close(std::move(socket)), asio::detached);
}

void TurnAway::stop() {
  for (auto* stream : streams_) stream->cancel();
}

asio::awaitable<void> TurnAway::close(Session::Socket socket) {
  Stream stream(std::move(socket));
  streams_.insert(&stream);
  boost::system::error_code code;
  stream.socket().shutdown(Session::Socket::shutdown_send, code);
  stream.expires_after(kLinger);
  std::array<char, 1024> bytes;
  std::size_t drained = 0;
  while (!code && drained < kMaxLinger) {
    drained += co_await stream.async_read_some(asio::buffer(bytes),
                                               asio::redirect_error(asio::use_awaitable, code));
  }
  streams_.erase(&stream);
}

}  // namespace voxbus::serve
