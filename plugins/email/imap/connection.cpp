// SPDX-License-Identifier: Apache-2.0
#include "imap/connection.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "tls_name.hpp"

namespace voxbus::email::imap {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kConnectWithin = 30s;
constexpr auto kAnswerWithin = 120s;
constexpr auto kTurn = 100ms;  // how long stop may wait for us

}  // namespace

struct Connection::Parts {
  explicit Parts(Server where) : server{std::move(where)}, socket{io} {}

  Server server;
  asio::io_context io;
  Tcp::socket socket;
  std::optional<asio::ssl::context> tls;
  std::optional<asio::ssl::stream<Tcp::socket&>> secure;
  std::array<char, 64 * 1024> buffer;
  bool reading = false;
  std::optional<std::pair<boost::system::error_code, std::size_t>> read;

  Error failed(const char* act, const std::string& why) const {
    return Error::retry(std::string{"cannot "} + act + " " + server.shown() + ": " + why);
  }

  // Starts an operation and turns the loop until it is done. The operation's handler must set
  // `done`, which outlives it: after a stop or a time-out the loop is never turned again.
  Result<void> until(const bool& done, Clock::time_point limit, const char* act, Context& context) {
    while (!done) {
      if (context.stopping()) throw Stopped{};
      if (Clock::now() > limit) return failed(act, "no answer in time");
      io.restart();
      io.run_one_for(kTurn);
    }
    return {};
  }

  void start_reading() {
    if (reading || read) return;
    reading = true;
    const auto take = [this](const boost::system::error_code& code, std::size_t size) {
      reading = false;
      read = {code, size};
    };
    secure ? secure->async_read_some(asio::buffer(buffer), take)
           : socket.async_read_some(asio::buffer(buffer), take);
  }
  Result<std::string_view> take_read() {
    const auto [code, size] = *std::exchange(read, std::nullopt);
    if (code) {
      return failed("read from",
                    code == asio::error::eof || code == asio::ssl::error::stream_truncated
                        ? "it closed the connection"
                        : code.message());
    }
    return std::string_view{buffer.data(), size};
  }
};

Connection::Connection(Server server) : parts_{std::make_unique<Parts>(std::move(server))} {}
Connection::~Connection() = default;

bool Connection::is_encrypted() const { return parts_->secure.has_value(); }

Result<void> Connection::open(Context& context) {
  auto& p = *parts_;
  const auto limit = Clock::now() + kConnectWithin;
  // Held by the handlers: a resolver's thread may come back after we have gone.
  struct Progress {
    bool done = false;
    boost::system::error_code code;
    Tcp::resolver::results_type found;
  };
  const auto resolved = std::make_shared<Progress>();
  Tcp::resolver resolver{p.io};
  resolver.async_resolve(p.server.host, std::to_string(p.server.port),
                         [resolved](const boost::system::error_code& code, const auto& found) {
                           *resolved = {true, code, found};
                         });
  if (auto in_time = p.until(resolved->done, limit, "look up", context); !in_time) return in_time;
  if (resolved->code) return p.failed("look up", resolved->code.message());

  const auto connected = std::make_shared<Progress>();
  asio::async_connect(p.socket, resolved->found,
                      [connected](const boost::system::error_code& code, const Tcp::endpoint&) {
                        connected->done = true;
                        connected->code = code;
                      });
  if (auto in_time = p.until(connected->done, limit, "connect to", context); !in_time)
    return in_time;
  if (connected->code) return p.failed("connect to", connected->code.message());
  boost::system::error_code ignored;
  p.socket.set_option(Tcp::no_delay{true}, ignored);
  return p.server.tls == Tls::kImplicit ? start_tls(context) : Result<void>{};
}

Result<void> Connection::start_tls(Context& context) {
  auto& p = *parts_;
  boost::system::error_code code;
  p.tls.emplace(asio::ssl::context::tls_client);
  ::SSL_CTX_set_min_proto_version(p.tls->native_handle(), TLS1_2_VERSION);
  if (p.server.authorities.empty()) {
    p.tls->set_default_verify_paths(code);
  } else {
    p.tls->load_verify_file(p.server.authorities.string(), code);
  }
  if (code) {
    return Error::permanent("cannot read the certificates of " +
                            (p.server.authorities.empty() ? std::string{"this system"}
                                                          : p.server.authorities.string()) +
                            ": " + code.message());
  }
  p.secure.emplace(p.socket, *p.tls);
  p.secure->set_verify_mode(asio::ssl::verify_peer);
  SSL* const secure = p.secure->native_handle();
  // A literal address is no name that a server could choose by.
  if (!expect_name(::SSL_get0_param(secure), p.server.host))
    ::SSL_set_tlsext_host_name(secure, p.server.host.c_str());
  const auto done = std::make_shared<std::pair<bool, boost::system::error_code>>();
  p.secure->async_handshake(asio::ssl::stream_base::client,
                            [done](const boost::system::error_code& result) {
                              *done = {true, result};
                            });
  if (auto in_time = p.until(done->first, Clock::now() + kConnectWithin, "secure", context);
      !in_time)
    return in_time;
  if (!done->second) return {};
  const long verdict = ::SSL_get_verify_result(p.secure->native_handle());
  if (verdict == X509_V_OK) return p.failed("secure", done->second.message());
  const bool other_name =
      verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH;
  const std::string why =
      other_name ? "it is not for that name" : ::X509_verify_cert_error_string(verdict);
  return Error::permanent("the certificate of " + p.server.shown() + " is not trusted: " + why);
}

Result<void> Connection::write(std::string_view bytes, Context& context) {
  auto& p = *parts_;
  const auto done = std::make_shared<std::pair<bool, boost::system::error_code>>();
  const auto held = std::make_shared<std::string>(bytes);
  const auto finish = [done, held](const boost::system::error_code& code, std::size_t) {
    *done = {true, code};
  };
  p.secure ? asio::async_write(*p.secure, asio::buffer(*held), finish)
           : asio::async_write(p.socket, asio::buffer(*held), finish);
  if (auto in_time = p.until(done->first, Clock::now() + kAnswerWithin, "write to", context);
      !in_time)
    return in_time;
  return done->second ? p.failed("write to", done->second.message()) : Result<void>{};
}

Result<std::string_view> Connection::read(Context& context) {
  auto& p = *parts_;
  const auto limit = Clock::now() + kAnswerWithin;
  p.start_reading();
  while (!p.read) {
    if (context.stopping()) throw Stopped{};
    if (Clock::now() > limit) return p.failed("read from", "no answer in time");
    p.io.restart();
    p.io.run_one_for(kTurn);
  }
  return p.take_read();
}

Result<std::string_view> Connection::wait(Context& context, std::chrono::milliseconds time) {
  auto& p = *parts_;
  const auto limit = Clock::now() + time;
  p.start_reading();
  for (;;) {
    p.io.restart();
    p.io.poll();
    if (p.read) return p.take_read();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(limit - Clock::now());
    const Wake wake = context.wait_readable(p.socket.native_handle(), std::max(left, 0ms));
    if (wake == Wake::kStopped) throw Stopped{};
    if (wake == Wake::kElapsed && Clock::now() >= limit) return std::string_view{};
  }
}

}  // namespace voxbus::email::imap
