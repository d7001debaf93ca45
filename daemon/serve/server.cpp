// SPDX-License-Identifier: Apache-2.0
#include "serve/server.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <thread>

#include "base/log.hpp"
#include "base/posix.hpp"
#include "config/places.hpp"
#include "serve/core.hpp"
#include "serve/session.hpp"
#include "serve/turn_away.hpp"

namespace voxbus::serve {
namespace {

using asio::ip::tcp;
using Local = asio::local::stream_protocol;

constexpr std::uint32_t kUnixConnections = 256;
constexpr std::chrono::seconds kBeat{1};
constexpr std::chrono::milliseconds kAcceptPause{100};

Error cannot(const std::string& act, const boost::system::error_code& code) {
  return system_error(act, code.value());
}

// Whether a program listens on this Unix socket; a dead one's leaves only the name.
bool is_answered(const std::filesystem::path& socket) {
  asio::io_context unused;
  Local::socket probe(unused);
  boost::system::error_code code;
  probe.open(Local(), code);
  probe.non_blocking(true, code);
  probe.connect(Local::endpoint(socket.string()), code);
  return code != asio::error::connection_refused && code != asio::error::not_found;
}

// Which file a path names at present.
std::optional<std::pair<dev_t, ino_t>> file_at(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return std::pair(status.st_dev, status.st_ino);
}

// Each connection is a descriptor; the usual soft limit of 1,024 would end before ours.
void raise_descriptor_limit(std::uint32_t connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = connections + 1024;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct Server::Parts {
  Parts(Options options, journal::Journal& journal, bus::Feed& feed, bus::Consumers& consumers)
      : core(std::move(options), journal, feed, consumers),
        turn_away(core.loop),
        beat_timer(core.loop) {}

  Core core;
  TurnAway turn_away;
  std::optional<tcp::acceptor> tcp_acceptor;
  std::optional<Local::acceptor> local_acceptor;
  std::optional<std::pair<dev_t, ino_t>> local_file;  // the socket that we made
  asio::steady_timer beat_timer;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard;
  std::thread thread;
  std::string address;
  std::uint16_t port = 0;
  std::atomic<std::chrono::steady_clock::time_point> last_turn{std::chrono::steady_clock::now()};
  bool stopped = false;

  Status open_tcp();
  Status open_local();
  Status write_endpoint();
  void run_loop();
  void keep_running(asio::awaitable<void> (Parts::*body)());
  void begin_session(Session::Socket socket, Peer peer);
  bool make_room();
  void end_what_lost_its_token();

  asio::awaitable<void> accept_tcp();
  asio::awaitable<void> accept_local();
  asio::awaitable<void> beat();
};

Status Server::Parts::open_tcp() {
  VOXBUS_TRY(listen, config::parse_listen(core.options.listen));
  boost::system::error_code code;
  const tcp::endpoint endpoint(asio::ip::make_address(listen.address, code), listen.port);
  if (code) return cannot("listen on " + core.options.listen, code);
  tcp::acceptor acceptor(core.loop);
  const auto act = "listen on " + core.options.listen;
  if (acceptor.open(endpoint.protocol(), code); code) return cannot(act, code);
  if (acceptor.set_option(asio::socket_base::reuse_address(true), code); code)
    return cannot(act, code);
  if (acceptor.bind(endpoint, code); code) return cannot(act, code);
  if (acceptor.listen(asio::socket_base::max_listen_connections, code); code)
    return cannot(act, code);
  port = acceptor.local_endpoint().port();
  address = listen.host + ":" + std::to_string(port);
  tcp_acceptor = std::move(acceptor);
  return {};
}

Status Server::Parts::open_local() {
  const auto& path = core.options.socket;
  if (path.empty()) return {};
  const auto act = "listen on " + path.string();
  if (path.string().size() > config::kMaxSocketPath)
    return permanent("cannot " + act + ": a socket's path may have " +
                     std::to_string(config::kMaxSocketPath) +
                     " bytes; set 'socket:' to a shorter one");
  VOXBUS_CHECK(make_directory(path.parent_path()));
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) return permanent("cannot " + act + ": something else is there");
    if (is_answered(path)) {
      return permanent("cannot " + act +
                       ": another program answers there; is it a voxbusd with another state? Give "
                       "each its own 'socket:'");
    }
    ::unlink(path.c_str());
  }
  boost::system::error_code code;
  Local::acceptor acceptor(core.loop);
  if (acceptor.open(Local(), code); code) return cannot(act, code);
  if (acceptor.bind(Local::endpoint(path.string()), code); code) return cannot(act, code);
  if (::chmod(path.c_str(), 0660) != 0)
    return system_error("set the mode of " + path.string(), errno);
  if (acceptor.listen(asio::socket_base::max_listen_connections, code); code)
    return cannot(act, code);
  if (::stat(path.c_str(), &there) == 0) core.access.set_socket_group(there.st_gid);
  local_acceptor = std::move(acceptor);
  local_file = file_at(path);
  return {};
}

Status Server::Parts::write_endpoint() {
  if (core.options.endpoint.empty()) return {};
  json::object endpoint{{"pid", ::getpid()},
                        {"listen", address},
                        {"socket", core.options.socket.string()},
                        {"installation", core.journal.installation()},
                        {"started", format_rfc3339(core.started)}};
  return replace_file(core.options.endpoint, json::serialize(endpoint) + "\n", 0640);
}

Result<std::unique_ptr<Server>> Server::start(Options options, journal::Journal& journal,
                                              bus::Feed& feed, bus::Consumers& consumers) {
  auto parts = std::make_unique<Parts>(std::move(options), journal, feed, consumers);
  VOXBUS_CHECK(parts->open_tcp());
  VOXBUS_CHECK(parts->open_local());
  raise_descriptor_limit(parts->core.options.max_connections);
  auto& p = *parts;
  consumers.on_change([&p](const std::string& name) {
    asio::post(p.core.loop, [&p, name] { p.core.ring_consumer(name); });
  });
  p.guard.emplace(asio::make_work_guard(p.core.loop));
  p.keep_running(&Parts::accept_tcp);
  if (p.local_acceptor) p.keep_running(&Parts::accept_local);
  p.keep_running(&Parts::beat);
  p.thread = std::thread([&p] { p.run_loop(); });
  std::unique_ptr<Server> server(new Server(std::move(parts)));
  VOXBUS_CHECK(p.write_endpoint());
  log::info("listening on {}{}", p.address,
            p.core.options.socket.empty() ? "" : " and " + p.core.options.socket.string());
  return server;
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Server::~Server() { stop(); }

// What is thrown in one of the server's own loops, most likely for want of memory, must not end it
// in silence.
void Server::Parts::keep_running(asio::awaitable<void> (Parts::*body)()) {
  asio::co_spawn(core.loop, (this->*body)(), [this, body](const std::exception_ptr& thrown) {
    if (!thrown || core.stopping) return;
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      log::error("the server goes on after: {}", error.what());
    }
    keep_running(body);
  });
}

// A thread's entry: what a session throws ends that session, never the loop.
void Server::Parts::run_loop() {
  for (;;) {
    try {
      core.loop.run();
      return;
    } catch (const std::exception& error) {
      log::error("the server's loop goes on after: {}", error.what());
    }
  }
}

void Server::stop() {
  auto& parts = *parts_;
  if (std::exchange(parts.stopped, true)) return;
  asio::post(parts.core.loop, [&parts] {
    parts.core.stopping = true;
    boost::system::error_code ignored;
    if (parts.tcp_acceptor) parts.tcp_acceptor->close(ignored);
    if (parts.local_acceptor) parts.local_acceptor->close(ignored);
    parts.beat_timer.cancel();
    const auto sessions = parts.core.sessions;
    for (const auto& [key, weak] : sessions) {
      if (const auto session = weak.lock()) session->close();
    }
    parts.turn_away.stop();
    parts.core.news.ring();
    parts.guard.reset();
  });
  parts.thread.join();
  parts.core.workers.join();
  parts.core.consumers.on_change({});
  std::error_code ignored;
  if (!parts.core.options.endpoint.empty())
    std::filesystem::remove(parts.core.options.endpoint, ignored);
  // Only our own: somebody may have put another in its place.
  if (parts.local_file && parts.local_file == file_at(parts.core.options.socket))
    std::filesystem::remove(parts.core.options.socket, ignored);
}

std::uint16_t Server::port() const { return parts_->port; }
std::string Server::address() const { return parts_->address; }
std::chrono::steady_clock::time_point Server::last_turn() const { return parts_->last_turn.load(); }

asio::awaitable<void> Server::Parts::beat() {
  while (!core.stopping) {
    last_turn.store(std::chrono::steady_clock::now());
    core.rest_if_quiet();
    end_what_lost_its_token();
    beat_timer.expires_after(kBeat);
    boost::system::error_code code;
    co_await beat_timer.async_wait(asio::redirect_error(asio::use_awaitable, code));
  }
}

void Server::Parts::begin_session(Session::Socket socket, Peer peer) {
  auto session = std::make_shared<Session>(core, std::move(socket), std::move(peer));
  core.sessions.emplace(session.get(), session);
  asio::co_spawn(core.loop, Session::run(session), asio::detached);
}

// A token that is taken back ends what it opened: streams, waits, kept connections.
void Server::Parts::end_what_lost_its_token() {
  if (!core.access.tokens_changed()) return;
  std::size_t ended = 0;
  const auto sessions = core.sessions;
  for (const auto& [key, weak] : sessions) {
    const auto session = weak.lock();
    if (!session || session->token().empty() || core.access.still_opens(session->token())) continue;
    session->close();
    ++ended;
  }
  if (ended == 0) return;
  log::info("{} connections ended: their token was removed", ended);
  core.news.ring();  // whoever waits for news looks whether it is still there
}

// For a new connection the one that has been silent longest makes room, so that thousands of silent
// ones cannot shut others out.
bool Server::Parts::make_room() {
  if (core.tcp_connections < core.options.max_connections) return true;
  for (auto* session : core.idle) {
    if (session->is_local() || session->closed()) continue;
    session->close();
    return true;
  }
  return false;
}

asio::awaitable<void> Server::Parts::accept_tcp() {
  asio::steady_timer pause(core.loop);
  while (!core.stopping) {
    boost::system::error_code code;
    auto socket =
        co_await tcp_acceptor->async_accept(asio::redirect_error(asio::use_awaitable, code));
    if (core.stopping) co_return;
    if (code) {
      // Out of descriptors: whoever is idle gives one back, and the next attempt comes a little
      // later.
      log::warn("cannot accept a connection: {}", code.message());
      if (!core.idle.empty()) core.idle.front()->close();
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, code));
      continue;
    }
    if (!make_room()) {
      turn_away(Session::Socket(std::move(socket)));
      continue;
    }
    Peer peer;
    const auto remote = socket.remote_endpoint(code);
    if (code) continue;
    const auto local = socket.local_endpoint(code);
    if (code) continue;
    peer.remote = remote.address().to_string();
    peer.local_address = local.address().to_string();
    socket.set_option(tcp::no_delay(true), code);
    begin_session(Session::Socket(std::move(socket)), std::move(peer));
  }
}

asio::awaitable<void> Server::Parts::accept_local() {
  asio::steady_timer pause(core.loop);
  while (!core.stopping) {
    boost::system::error_code code;
    auto socket =
        co_await local_acceptor->async_accept(asio::redirect_error(asio::use_awaitable, code));
    if (core.stopping) co_return;
    if (code) {
      log::warn("cannot accept a connection: {}", code.message());
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, code));
      continue;
    }
    if (core.unix_connections >= kUnixConnections) {
      turn_away(Session::Socket(std::move(socket)));
      continue;
    }
    auto peer = unix_peer(socket.native_handle());
    if (!peer) continue;
    begin_session(Session::Socket(std::move(socket)), std::move(*peer));
  }
}

}  // namespace voxbus::serve
