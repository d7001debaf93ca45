// SPDX-License-Identifier: Apache-2.0
// One connection, TCP or Unix alike, and the requests that come over it one after the other. Kept
// alive by its own coroutine; every wait has a limit. On the server's loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serve/access.hpp"
#include "serve/core.hpp"
#include "serve/http.hpp"

namespace voxbus::serve {

namespace beast = boost::beast;

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Socket = asio::generic::stream_protocol::socket;

  Session(Core& core, Socket socket, Peer peer);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Serves until either side ends it. Spawned once.
  [[nodiscard]] static asio::awaitable<void> run(std::shared_ptr<Session> session);
  // Ends it at its next step.
  void close();

  // --- for handlers that stream ---
  [[nodiscard]] Core& core() { return core_; }
  [[nodiscard]] asio::any_io_executor executor() { return stream_.get_executor(); }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] bool is_local() const { return peer_.by_unix_socket; }
  // The SHA-256 of the token of the request at hand, or of the last one; empty: none.
  [[nodiscard]] const std::string& token() const { return token_; }
  // The other side has closed its end.
  [[nodiscard]] bool peer_closed();
  // In pieces of 64 KiB, each within write_within. False: the connection is gone. The bytes must
  // live until it returns.
  [[nodiscard]] asio::awaitable<bool> send(std::string_view bytes);
  [[nodiscard]] asio::awaitable<bool> send(Answer answer, bool keep_alive, bool without_body);
  // The start of an answer of unknown length, which ends with the connection.
  [[nodiscard]] asio::awaitable<bool> send_stream_header(std::string_view content_type);
  // What wakes the session when it waits for news; close() ends that wait.
  void set_wait(BellWait* wait) { wait_ = wait; }

 private:
  struct Head;

  [[nodiscard]] asio::awaitable<bool> wait_for_request(bool first);
  [[nodiscard]] asio::awaitable<bool> serve_one();
  [[nodiscard]] asio::awaitable<bool> refuse(Answer answer, const Head& head, bool body_unread);
  [[nodiscard]] asio::awaitable<Answer> handle(const Route& route, Request request);
  [[nodiscard]] asio::awaitable<void> linger();
  void leave_idle();
  // The request that has begun must be whole by then; else its reading ends and late_ is true.
  void begin_deadline();
  void end_deadline();
  [[nodiscard]] asio::awaitable<bool> refuse_late(const Head& head);
  [[nodiscard]] std::string head_of(const Answer& answer, bool keep_alive,
                                    std::optional<std::size_t> length) const;

  Core& core_;
  beast::basic_stream<asio::generic::stream_protocol> stream_;
  // Apart from the stream's own limits: when those are over the stream is closed without a word.
  asio::steady_timer deadline_;
  bool late_ = false;
  Peer peer_;
  beast::flat_buffer buffer_;
  std::string token_;
  std::string origin_;  // of this request, when a page asks that may
  std::optional<std::list<Session*>::iterator> idle_;
  BellWait* wait_ = nullptr;
  bool closed_ = false;
};

}  // namespace voxbus::serve
