// SPDX-License-Identifier: Apache-2.0
// What the bus costs above the journal, in one run: how many events a second a consumer that
// catches up gets over HTTP, from the stream and by pull, beside the rate of the journal's own
// reader on the same disk; and what 1,000 connections hold in memory while they say nothing, and
// while each of them waits on a stream. Fails when a figure is worse than what is promised below.
//   bus_bench [ITEMS [AUTHORS [DIRECTORY]]]      (100,000 and 20,000 below the working folder)
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <string>

#include "base/log.hpp"
#include "base/posix.hpp"
#include "load.hpp"
#include "serve/server.hpp"
#include "serve/tokens.hpp"

namespace {

using namespace voxbus;
using namespace voxbus::bench;
using Seconds = std::chrono::duration<double>;

constexpr std::size_t kConnections = 1000;
// The stream has to render, copy and send what the reader has only read.
constexpr double kLeastStreamRatio = 0.25, kLeastPullRatio = 0.2;
constexpr double kMostSilent = 12, kMostStreaming = 24;  // KiB each

double rate_of(std::size_t events, const std::function<void()>& read) {
  const auto start = std::chrono::steady_clock::now();
  read();
  const Seconds took = std::chrono::steady_clock::now() - start;
  return static_cast<double>(events) / took.count();
}

void read_journal(journal::Journal& journal) {
  const auto reader = journal.reader();
  model::Position at = 0;
  while (at < journal.end().position) {
    const auto events = reader->read(at, 1024, 4u << 20);
    if (!events || events->empty()) give_up("the journal cannot be read");
    at = events->back().sequence.position;
  }
}

class Client {
 public:
  static Client local(const std::filesystem::path& path) {
    Client client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    client.connect(reinterpret_cast<sockaddr*>(&address), sizeof address);
    return client;
  }
  static Client tcp(std::uint16_t port) {
    Client client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    client.connect(reinterpret_cast<sockaddr*>(&address), sizeof address);
    return client;
  }
  void say(const std::string& text) {
    if (::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(text.size()))
      give_up("cannot ask");
  }
  // Reads until `pattern` was seen `count` times.
  void read_until(std::string_view pattern, std::size_t count) {
    std::string held;
    while (count > 0) {
      const auto size = held.size();
      held.resize(size + (256 << 10));
      const auto got = ::recv(fd_.get(), held.data() + size, 256 << 10, 0);
      if (got <= 0) give_up("the server ended it: " + held.substr(0, size));
      held.resize(size + static_cast<std::size_t>(got));
      std::size_t at = 0;
      for (auto found = held.find(pattern); found != held.npos && count > 0;
           found = held.find(pattern, at)) {
        at = found + pattern.size();
        --count;
      }
      // What may be the beginning of the next one stays.
      held.erase(0, std::max(at, held.size() - std::min(held.size(), pattern.size() - 1)));
    }
  }
  // One answer of a kept connection: its header and its body.
  std::pair<std::string, std::string> answer() {
    std::size_t head = 0;
    while ((head = held_.find("\r\n\r\n")) == held_.npos) more();
    auto header = held_.substr(0, head + 4);
    held_.erase(0, head + 4);
    const auto length = std::strtoul(value_of(header, "Content-Length").c_str(), nullptr, 10);
    while (held_.size() < length) more();
    auto body = held_.substr(0, length);
    held_.erase(0, length);
    return {std::move(header), std::move(body)};
  }
  static std::string value_of(const std::string& header, const std::string& name) {
    const auto at = header.find("\r\n" + name + ": ");
    if (at == header.npos) give_up("no " + name + " in " + header);
    const auto from = at + name.size() + 4;
    return header.substr(from, header.find("\r\n", from) - from);
  }

 private:
  explicit Client(int fd) : fd_(fd) {}
  void connect(const sockaddr* address, socklen_t size) {
    if (::connect(fd_.get(), address, size) != 0) give_up("cannot connect");
  }
  void more() {
    const auto size = held_.size();
    held_.resize(size + (256 << 10));
    const auto got = ::recv(fd_.get(), held_.data() + size, 256 << 10, 0);
    if (got <= 0) give_up("the server ended it");
    held_.resize(size + static_cast<std::size_t>(got));
  }

  FileDescriptor fd_;
  std::string held_;
};

void pull_all(const std::filesystem::path& socket, std::size_t events) {
  auto client = Client::local(socket);
  std::string from = "beginning";
  for (std::size_t got = 0; got < events;) {
    client.say("GET /v1/events?limit=5000&from=" + from +
               " HTTP/1.1\r\nAccept: application/x-ndjson\r\n\r\n");
    const auto [header, body] = client.answer();
    got += static_cast<std::size_t>(std::count(body.begin(), body.end(), '\n'));
    from = Client::value_of(header, "Voxbus-Next");
  }
}

double resident_kib() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024;
}

// Opens them, waits until the server has them all, and says what one of them holds.
double kib_of_one(const std::filesystem::path& socket, std::uint16_t port,
                  const std::string& request) {
  auto asking = Client::local(socket);
  const auto before = resident_kib();
  std::vector<Client> clients;
  clients.reserve(kConnections);
  for (std::size_t i = 0; i < kConnections; ++i) {
    clients.push_back(Client::tcp(port));
    if (request.empty()) continue;
    clients.back().say(request);
    clients.back().read_until("\n\n", 1);
  }
  for (std::string open; open.empty() || std::stoul(open) < kConnections;) {
    asking.say("GET /v1/status HTTP/1.1\r\n\r\n");
    const auto status = json::parse(asking.answer().second);
    if (!status) give_up("no status");
    open = json::serialize(status->at("connections").at("open"));
  }
  return (resident_kib() - before) / kConnections;
}

bool check(const char* what, bool holds) {
  if (!holds) std::printf("  NOT AS PROMISED: %s\n", what);
  return holds;
}

}  // namespace

int main(int count, char** arguments) {
  log::set_level(log::level::warn);
  const auto load = read_arguments(count, arguments, {.items = 100'000, .directory = "bench-bus"});
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 3 * kConnections);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  std::filesystem::remove_all(load.directory);
  bool good = true;
  {
    const auto journal = open_journal(load.directory / "journal", 1024);
    write_all(*journal, make_items(load), 1024);
    const auto events = journal->end().position;
    std::printf("%zu events of %zu authors\n", static_cast<std::size_t>(events), load.authors);
    const SystemClock clock;
    bus::Feed feed(*journal);
    auto consumers = bus::Consumers::open(load.directory / "positions", feed, clock);
    if (!consumers) give_up(consumers.error().message);
    serve::Options options;
    options.listen = "127.0.0.1:0";
    options.socket = load.directory / "voxbus.sock";
    options.tokens = load.directory / "tokens.json";
    const auto token = serve::add_token(options.tokens, "bench");
    if (!token) give_up(token.error().message);
    auto server = serve::Server::start(options, *journal, feed, **consumers);
    if (!server) give_up(server.error().message);

    // Before anything else has grown the heap.
    const auto silent = kib_of_one(options.socket, (*server)->port(), "");
    const auto streaming =
        kib_of_one(options.socket, (*server)->port(),
                   "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + *token +
                       "\r\n\r\n");
    std::printf("%zu connections: silent %.1f KiB each, waiting on a stream %.1f KiB each\n",
                kConnections, silent, streaming);
    good &= check("a silent connection holds at most 12 KiB", silent <= kMostSilent);
    good &= check("a stream that waits holds at most 24 KiB", streaming <= kMostStreaming);

    read_journal(*journal);  // into the page cache, for all alike
    const auto reader = rate_of(events, [&] { read_journal(*journal); });
    const auto stream = rate_of(events, [&] {
      auto client = Client::local(options.socket);
      client.say("GET /v1/stream?from=beginning HTTP/1.1\r\n\r\n");
      client.read_until("\ndata: ", events);
    });
    const auto pull = rate_of(events, [&] { pull_all(options.socket, events); });
    std::printf(
        "catching up: reader %7.0f/s  stream %7.0f/s  ratio %.2f  pull %7.0f/s  ratio %.2f\n",
        reader, stream, stream / reader, pull, pull / reader);
    good &= check("the stream is at least a quarter as fast", stream >= kLeastStreamRatio * reader);
    good &= check("pulling is at least a fifth as fast", pull >= kLeastPullRatio * reader);
  }
  std::filesystem::remove_all(load.directory);
  return good ? 0 : 1;
}
