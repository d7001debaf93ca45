// SPDX-License-Identifier: Apache-2.0
// A real server over a real journal, and a client of bare sockets that can say anything, also what
// no HTTP library would. One thread. Every wait ends after kPatience with a sentence that says what
// did not come: an exception, which fails the test, or for a stop that never ends the end of the
// program.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../bus/bus_fixture.hpp"
#include "base/posix.hpp"
#include "serve/server.hpp"
#include "serve/tokens.hpp"

namespace voxbus::test {

// The end of a wait, however many steps it has.
class Deadline {
 public:
  [[nodiscard]] bool passed() const { return left() == 0; }
  // As poll() takes it.
  [[nodiscard]] int left() const {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(at_ - std::chrono::steady_clock::now());
    return static_cast<int>(std::max(left, std::chrono::milliseconds(0)).count());
  }

 private:
  const std::chrono::steady_clock::time_point at_ = std::chrono::steady_clock::now() + kPatience;
};

[[nodiscard]] inline std::runtime_error did_not_come(const std::string& what) {
  return std::runtime_error("within " + std::to_string(kPatience.count()) + " s " + what);
}

// Lives while something is done that may never return. Then nothing of this process could be taken
// down any more, so it says what did not happen and ends.
class EndsInTime {
 public:
  explicit EndsInTime(std::string what) {
    watch_ = std::thread([what = std::move(what), ended = ended_.get_future()] {
      if (ended.wait_for(kPatience) == std::future_status::ready) return;
      ADD_FAILURE() << did_not_come(what).what();
      std::fflush(nullptr);
      std::_Exit(EXIT_FAILURE);
    });
  }
  ~EndsInTime() {
    ended_.set_value();
    watch_.join();
  }
  EndsInTime(const EndsInTime&) = delete;
  EndsInTime& operator=(const EndsInTime&) = delete;

 private:
  std::promise<void> ended_;
  std::thread watch_;
};

struct Reply {
  unsigned status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  // Lives as long as the reply.
  [[nodiscard]] const json::value& json() const {
    if (!parsed_) {
      auto parsed = json::parse(body);
      if (!parsed) throw std::runtime_error("no JSON: " + body);
      parsed_ = std::move(*parsed);
    }
    return *parsed_;
  }
  [[nodiscard]] std::string text(std::string_view member) const {
    return std::string(json::text_at(json().as_object(), member).value_or(""));
  }

 private:
  mutable std::optional<json::value> parsed_;
};

class Connection {
 public:
  static Connection tcp(std::uint16_t port, int receive_buffer = 0) {
    Connection made(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receive_buffer > 0)
      ::setsockopt(made.fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(made.fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot connect");
    return made;
  }
  static Connection local(const std::string& path) {
    Connection made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(made.fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error("cannot connect");
    return made;
  }

  // False when the other side has closed.
  bool say(std::string_view bytes) {
    asked_ = bytes.substr(0, std::min(bytes.find("\r\n"), std::size_t{80}));
    const Deadline deadline;
    while (!bytes.empty()) {
      pollfd writable{fd_.get(), POLLOUT, 0};
      if (::poll(&writable, 1, deadline.left()) == 0)
        throw did_not_come("the server did not read all of '" + asked_ + "'");
      const auto sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void end_sending() { ::shutdown(fd_.get(), SHUT_WR); }

  // Reads until `text` was seen and gives everything up to its end. Nothing at the end.
  std::optional<std::string> until(std::string_view text, const Deadline& deadline = {},
                                   std::string_view called = "") {
    for (;;) {
      if (const auto found = held_.find(text); found != held_.npos) {
        auto out = held_.substr(0, found + text.size());
        held_.erase(0, out.size());
        return out;
      }
      if (!more(deadline, called.empty() ? "'" + std::string(text) + "'" : std::string(called)))
        return std::nullopt;
    }
  }
  std::optional<std::string> exactly(std::size_t size) {
    const Deadline deadline;
    while (held_.size() < size) {
      if (!more(deadline, "a body of " + std::to_string(size) + " bytes")) return std::nullopt;
    }
    auto out = held_.substr(0, size);
    held_.erase(0, size);
    return out;
  }
  // The next reply; nothing when the connection ended before.
  std::optional<Reply> reply(bool without_body = false) {
    const auto head = until("\r\n\r\n", {}, "the head of a reply");
    if (!head) return std::nullopt;
    Reply reply;
    reply.status = static_cast<unsigned>(std::stoul(head->substr(9, 3)));
    for (std::size_t at = head->find("\r\n") + 2; at + 2 < head->size();) {
      const auto end = head->find("\r\n", at);
      const auto colon = head->find(':', at);
      auto name = head->substr(at, colon - at);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      reply.headers[name] = head->substr(colon + 2, end - colon - 2);
      at = end + 2;
    }
    if (without_body || reply.status == 204 || reply.status == 100) return reply;
    if (const auto length = reply.headers.find("content-length"); length != reply.headers.end()) {
      auto body = exactly(std::stoul(length->second));
      if (!body) return std::nullopt;
      reply.body = std::move(*body);
    }
    return reply;
  }
  // Whether the other side closes within `time`.
  bool closes_within(std::chrono::milliseconds time) {
    pollfd ended{fd_.get(), POLLIN | POLLRDHUP, 0};
    char byte;
    return ::poll(&ended, 1, static_cast<int>(time.count())) > 0 &&
           ::recv(fd_.get(), &byte, 1, MSG_PEEK) <= 0;
  }
  // Whether the other side closes in time, whatever it says before. Several share one deadline.
  ::testing::AssertionResult closes(const Deadline& deadline = {}) {
    try {
      while (more(deadline, "the end")) {
      }
    } catch (const std::exception& late) {
      return ::testing::AssertionFailure() << late.what();
    }
    return ::testing::AssertionSuccess();
  }

 private:
  explicit Connection(int fd) : fd_(fd) {}
  // False at the end of what the other side says; throws when neither that nor more of it comes.
  bool more(const Deadline& deadline, std::string_view awaited) {
    pollfd readable{fd_.get(), POLLIN, 0};
    int ready = 0;
    do ready = ::poll(&readable, 1, deadline.left());
    while (ready < 0 && errno == EINTR);
    char bytes[65536];
    const auto got = ready > 0 ? ::recv(fd_.get(), bytes, sizeof bytes, 0) : 1;
    if (got <= 0) return false;
    // Looked at last, so that an end that is already there counts, and endless words do not.
    if (deadline.passed()) {
      const auto tail = held_.substr(held_.size() - std::min(held_.size(), std::size_t{200}));
      throw did_not_come(std::string(awaited) + " did not come after '" + asked_ + "'" +
                         (tail.empty() ? "" : ", only '" + tail + "'"));
    }
    if (ready > 0) held_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }

  FileDescriptor fd_;
  std::string held_;
  std::string asked_;  // how what was said last begins
};

class Serving : public testing::Test {
 protected:
  void SetUp() override {
    token = *serve::add_token(journal.folder() / "tokens.json", "tester");
    feed = std::make_unique<bus::Feed>(*journal);
    consumers = std::move(*bus::Consumers::open(journal.folder() / "positions", *feed, clock));
    options.listen = "127.0.0.1:0";
    options.socket = journal.folder() / "run" / "voxbus.sock";
    options.endpoint = journal.folder() / "endpoint.json";
    options.tokens = journal.folder() / "tokens.json";
    options.version = "1.2.3";
  }
  void TearDown() override {
    stop();
    server.reset();
    consumers.reset();
    feed.reset();
  }
  void start() {
    auto started = serve::Server::start(options, *journal, *feed, *consumers);
    if (!started) throw std::runtime_error(started.error().message);
    server = std::move(*started);
  }
  void stop() {
    const EndsInTime watched("the server did not stop");
    if (server) server->stop();
  }
  Connection connect() { return Connection::tcp(server->port()); }
  Connection connect_local() { return Connection::local(options.socket.string()); }

  std::string head(std::string_view method, std::string_view target,
                   std::string_view further = "") const {
    return std::string(method) + " " + std::string(target) +
           " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + token + "\r\n" +
           std::string(further) + "\r\n";
  }
  Reply ask(std::string_view method, std::string_view target, const std::string& body = "",
            std::string_view further = "") {
    auto connection = connect();
    std::string headers(further);
    if (!body.empty())
      headers +=
          "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\n";
    connection.say(head(method, target, headers) + body);
    auto reply = connection.reply(method == "HEAD");
    if (!reply) throw std::runtime_error("no reply to " + std::string(target));
    return std::move(*reply);
  }
  Reply get(std::string_view target, std::string_view further = "") {
    return ask("GET", target, "", further);
  }
  Reply post(std::string_view target, const std::string& body) { return ask("POST", target, body); }

  SystemClock clock;
  BusJournal journal;
  std::unique_ptr<bus::Feed> feed;
  std::unique_ptr<bus::Consumers> consumers;
  serve::Options options;
  std::string token;
  std::unique_ptr<serve::Server> server;
};

}  // namespace voxbus::test
