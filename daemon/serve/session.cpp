// SPDX-License-Identifier: Apache-2.0
#include "serve/session.hpp"

#include <sys/socket.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/log.hpp"
#include "base/units.hpp"
#include "serve/framing.hpp"
#include "serve/problem.hpp"
#include "serve/worker.hpp"

namespace voxbus::serve {

namespace http = beast::http;

namespace {

constexpr std::size_t kPiece = 64 << 10;
constexpr std::size_t kFirstRead = 1 << 10;  // thousands of silent connections hold no more
constexpr std::size_t kMaxBuffer = 128 << 10;
constexpr std::size_t kMaxLinger = 256 << 10;
constexpr std::chrono::seconds kLinger{2};

std::string_view view(const auto& text) { return {text.data(), text.size()}; }

template<class Fields>
std::optional<std::string> field(const Fields& fields, http::field name) {
  const auto found = fields.find(name);
  if (found == fields.end()) return std::nullopt;
  return std::string(view(found->value()));
}

// All fields of that name as one list, as RFC 9110 5.3 joins them.
template<class Fields>
std::optional<std::string> fields(const Fields& all, http::field name) {
  std::optional<std::string> joined;
  for (auto [at, end] = all.equal_range(name); at != end; ++at) {
    joined = joined ? *joined + ',' : std::string();
    *joined += view(at->value());
  }
  return joined;
}

}  // namespace

// What is known of a request before its body.
struct Session::Head {
  bool keep_alive = false;
  bool without_body = false;  // of the answer: HEAD
};

Session::Session(Core& core, Socket socket, Peer peer)
    : core_(core),
      stream_(std::move(socket)),
      deadline_(stream_.get_executor()),
      peer_(std::move(peer)),
      buffer_(kMaxBuffer) {
  (peer_.by_unix_socket ? core_.unix_connections : core_.tcp_connections) += 1;
  core_.connections = core_.tcp_connections + core_.unix_connections;
}

Session::~Session() {
  leave_idle();
  core_.sessions.erase(this);
  (peer_.by_unix_socket ? core_.unix_connections : core_.tcp_connections) -= 1;
  core_.connections = core_.tcp_connections + core_.unix_connections;
}

void Session::leave_idle() {
  if (idle_) core_.idle.erase(*idle_);
  idle_.reset();
}

void Session::close() {
  closed_ = true;
  if (wait_) wait_->give_up();
  stream_.cancel();
  boost::system::error_code ignored;
  stream_.socket().shutdown(Socket::shutdown_both, ignored);
}

bool Session::peer_closed() {
  char byte = 0;
  const auto got = ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

asio::awaitable<void> Session::run(std::shared_ptr<Session> session) {
  try {
    for (bool first = true; !session->closed_; first = false) {
      if (!co_await session->wait_for_request(first)) break;
      if (!co_await session->serve_one()) break;
    }
  } catch (const std::exception& error) {
    log::error("a connection of {} ended: {}", session->peer_.remote, error.what());
  }
  boost::system::error_code ignored;
  session->stream_.socket().shutdown(Socket::shutdown_both, ignored);
}

asio::awaitable<bool> Session::wait_for_request(bool first) {
  if (buffer_.size() > 0) co_return true;  // pipelined
  idle_ = core_.idle.insert(core_.idle.end(), this);
  stream_.expires_after(first ? core_.options.request_within : core_.options.idle_within);
  boost::system::error_code code;
  const auto got = co_await stream_.async_read_some(
      buffer_.prepare(kFirstRead), asio::redirect_error(asio::use_awaitable, code));
  leave_idle();
  if (code) co_return false;
  buffer_.commit(got);
  co_return true;
}

void Session::begin_deadline() {
  late_ = false;
  stream_.expires_never();
  deadline_.expires_after(core_.options.request_within);
  deadline_.async_wait([weak = weak_from_this()](const boost::system::error_code& code) {
    const auto self = weak.lock();
    // Queued already when it was begun anew or ended: it is not over then.
    if (code || !self || self->deadline_.expiry() > asio::steady_timer::clock_type::now()) return;
    self->late_ = true;
    self->stream_.cancel();
  });
}

void Session::end_deadline() { deadline_.expires_at(asio::steady_timer::time_point::max()); }

asio::awaitable<bool> Session::refuse_late(const Head& head) {
  co_return co_await refuse(
      problem(Slug::timeout,
              "the request was not whole within " + format_duration(core_.options.request_within)),
      head, true);
}

asio::awaitable<bool> Session::serve_one() {
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(core_.options.header_bytes));
  parser.body_limit(core_.options.body_bytes);
  // One limit for head and body together, however slowly they trickle in.
  begin_deadline();
  boost::system::error_code code;
  Head head;
  origin_.clear();
  co_await http::async_read_header(stream_, buffer_, parser,
                                   asio::redirect_error(asio::use_awaitable, code));
  if (code == http::error::header_limit || code == http::error::buffer_overflow) {
    co_return co_await refuse(
        problem(Slug::header_too_large, "the header is larger than " +
                                            std::to_string(core_.options.header_bytes) + " bytes"),
        head, true);
  }
  if (code == http::error::body_limit) {
    co_return co_await refuse(
        problem(Slug::too_large,
                "the body is larger than " + std::to_string(core_.options.body_bytes) + " bytes"),
        head, true);
  }
  if (code.category() == http::make_error_code(http::error::bad_method).category() &&
      code != http::error::end_of_stream && code != http::error::partial_message) {
    co_return co_await refuse(problem(Slug::bad_request, "this is not HTTP: " + code.message()),
                              head, true);
  }
  if (late_) co_return co_await refuse_late(head);
  if (code) co_return false;

  const auto& message = parser.get();
  const bool has_body = parser.chunked() || parser.content_length().value_or(0) > 0;
  head.keep_alive = message.keep_alive();
  head.without_body = message.method() == http::verb::head;
  Framing framing;
  framing.hosts = message.count(http::field::host);
  framing.has_length = message.count(http::field::content_length) > 0;
  framing.transfer_coding = fields(message, http::field::transfer_encoding);
  framing.http_1_1 = message.version() >= 11;
  if (auto refusal = refuse_framing(framing))
    co_return co_await refuse(std::move(*refusal), head, true);
  Access::Headers headers;
  headers.host = field(message, http::field::host);
  headers.origin = field(message, http::field::origin);
  headers.authorization = field(message, http::field::authorization);
  headers.http_1_1 = message.version() >= 11;
  auto target = parse_target(view(message.target()));
  // An authority in the target counts, and Host no longer does (RFC 9112 3.2.2); but it is there.
  if (target && !target->authority.empty() && (headers.host || !headers.http_1_1))
    headers.host = target->authority;
  if (auto refusal = core_.access.refuse_place(peer_, headers))
    co_return co_await refuse(std::move(*refusal), head, has_body);
  origin_ = headers.origin.value_or("");
  if (!target)
    co_return co_await refuse(problem(Slug::bad_request, target.error().message), head, has_body);
  Request request;
  request.method = std::string(view(message.method_string()));
  if (request.method == "OPTIONS" && !origin_.empty()) {
    // A permitted page's browser asks before it sends a token.
    Answer answer;
    answer.status = 204;
    answer.headers = {
        {"Access-Control-Allow-Methods", "GET, HEAD, PUT, POST, DELETE"},
        {"Access-Control-Allow-Headers", "Authorization, Content-Type, Last-Event-ID"},
        {"Access-Control-Max-Age", "600"}};
    co_return co_await refuse(std::move(answer), head, has_body);
  }
  const auto found = core_.router.find(request.method, *target);
  if (!found.route || !found.route->open) {
    auto verdict = core_.access.identify(peer_, headers);
    if (verdict.refusal) co_return co_await refuse(std::move(*verdict.refusal), head, has_body);
    request.actor = std::move(verdict.actor);
    token_ = std::move(verdict.token);
  }
  if (!found.route) {
    auto answer = found.allowed.empty()
                      ? problem(Slug::not_found, "there is no such path")
                      : problem(Slug::method_not_allowed, "this path knows " + found.allowed);
    if (!found.allowed.empty()) answer.headers.emplace_back("Allow", found.allowed);
    co_return co_await refuse(std::move(answer), head, has_body);
  }
  request.target = std::move(*target);
  request.accept = fields(message, http::field::accept).value_or("");
  request.content_type = field(message, http::field::content_type).value_or("");
  const auto last_event = message.find("Last-Event-ID");
  if (last_event != message.end()) request.last_event_id = std::string(view(last_event->value()));

  if (has_body) {
    if (beast::iequals(field(message, http::field::expect).value_or(""), "100-continue")) {
      if (!co_await send("HTTP/1.1 100 Continue\r\n\r\n")) co_return false;
      begin_deadline();
    }
    co_await http::async_read(stream_, buffer_, parser,
                              asio::redirect_error(asio::use_awaitable, code));
    if (code == http::error::body_limit) {
      co_return co_await refuse(
          problem(Slug::too_large,
                  "the body is larger than " + std::to_string(core_.options.body_bytes) + " bytes"),
          head, true);
    }
    if (code && code.category() == http::make_error_code(http::error::bad_method).category()) {
      co_return co_await refuse(
          problem(Slug::bad_request, "the body is not as HTTP wants it: " + code.message()), head,
          true);
    }
    if (late_) co_return co_await refuse_late(head);
    if (code) co_return false;
    request.body = std::move(parser.get().body());
  }
  // From here on the limits are those of what the request asks for.
  end_deadline();
  log::debug("{} {} {}", request.actor.empty() ? peer_.remote : request.actor, request.method,
             view(message.target()));
  request.peer_closed = [this] { return closed_ || peer_closed(); };
  if (const auto* stream = std::get_if<StreamHandler>(&found.route->handler)) {
    co_await (*stream)(shared_from_this(), std::move(request));
    co_return false;
  }
  auto answer = co_await handle(*found.route, std::move(request));
  co_return co_await send(std::move(answer), head.keep_alive, head.without_body) && head.keep_alive;
}

asio::awaitable<Answer> Session::handle(const Route& route, Request request) {
  try {
    if (const auto* waiting = std::get_if<WaitingHandler>(&route.handler)) {
      co_return co_await (*waiting)(core_, std::move(request));
    }
    const auto quick = std::get<QuickHandler>(route.handler);
    const auto work = [this, quick, &request] { return quick(core_, request); };
    co_return co_await on_worker(core_.workers, work);
  } catch (const std::exception& error) {
    log::error("a request failed: {}", error.what());
  }
  co_return problem(Slug::internal, "the request failed; the daemon's log says more");
}

// Answers a request that is not served. A body that was not read makes the connection useless.
asio::awaitable<bool> Session::refuse(Answer answer, const Head& head, bool body_unread) {
  end_deadline();
  const bool keep = head.keep_alive && !body_unread;
  const bool sent = co_await send(std::move(answer), keep, head.without_body);
  if (sent && !keep) co_await linger();
  co_return sent&& keep;
}

// Closing with unread bytes would destroy the answer on its way: read them for a moment.
asio::awaitable<void> Session::linger() {
  boost::system::error_code code;
  stream_.socket().shutdown(Socket::shutdown_send, code);
  stream_.expires_after(kLinger);
  std::size_t drained = 0;
  buffer_.clear();
  while (!code && drained < kMaxLinger) {
    drained += co_await stream_.async_read_some(buffer_.prepare(kFirstRead),
                                                asio::redirect_error(asio::use_awaitable, code));
  }
}

std::string Session::head_of(const Answer& answer, bool keep_alive,
                             std::optional<std::size_t> length) const {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
  const auto reason = http::obsolete_reason(static_cast<http::status>(answer.status));
  head.append(reason.data(), reason.size());
  if (answer.status != 204) head += "\r\nContent-Type: " + answer.content_type;
  if (length && answer.status != 204) head += "\r\nContent-Length: " + std::to_string(*length);
  head += keep_alive ? "\r\nConnection: keep-alive" : "\r\nConnection: close";
  head += "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nServer: Voxbus";
  for (const auto& [name, value] : answer.headers) head += "\r\n" + name + ": " + value;
  if (!origin_.empty()) {
    head += "\r\nAccess-Control-Allow-Origin: " + origin_ +
            "\r\nVary: Origin\r\nAccess-Control-Expose-Headers: Voxbus-Next, Voxbus-End";
  }
  head += "\r\n\r\n";
  return head;
}

asio::awaitable<bool> Session::send(Answer answer, bool keep_alive, bool without_body) {
  auto bytes = head_of(answer, keep_alive, answer.body.size());
  // Small answers go out in one write, large ones are not copied.
  const bool together = !without_body && answer.body.size() < kPiece;
  if (together) bytes += answer.body;
  bool sent = co_await send(bytes);
  if (sent && !together && !without_body) sent = co_await send(answer.body);
  if (!sent && answer.undelivered) {
    const auto give_back = [&answer] {
      answer.undelivered();
      return true;
    };
    co_await on_worker(core_.workers, give_back);
  }
  co_return sent;
}

asio::awaitable<bool> Session::send_stream_header(std::string_view content_type) {
  Answer answer;
  answer.content_type = content_type;
  answer.headers.emplace_back("X-Accel-Buffering", "no");
  const auto head = head_of(answer, false, std::nullopt);
  co_return co_await send(head);
}

asio::awaitable<bool> Session::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (closed_) co_return false;
    stream_.expires_after(core_.options.write_within);
    boost::system::error_code code;
    const auto piece = bytes.substr(0, kPiece);
    const auto written = co_await stream_.async_write_some(
        asio::buffer(piece.data(), piece.size()), asio::redirect_error(asio::use_awaitable, code));
    if (code) co_return false;
    bytes.remove_prefix(written);
  }
  stream_.expires_never();
  co_return true;
}

}  // namespace voxbus::serve
