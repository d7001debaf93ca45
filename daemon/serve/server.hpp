// SPDX-License-Identifier: Apache-2.0
// The daemon's HTTP server: TCP and a Unix socket, one loop on a thread of its own, two workers for
// what touches the disk. Owned by the daemon; stopped before the consumers, the feed and the
// journal go. Functions may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "bus/consumers.hpp"
#include "bus/feed.hpp"
#include "journal/journal.hpp"
#include "serve/options.hpp"

namespace voxbus::serve {

class Server {
 public:
  // Listens, writes endpoint.json, serves. Errors: an address that is none, is taken, or not ours.
  [[nodiscard]] static Result<std::unique_ptr<Server>> start(Options options,
                                                             journal::Journal& journal,
                                                             bus::Feed& feed,
                                                             bus::Consumers& consumers);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Ends all connections and threads, removes the socket and endpoint.json. Once.
  void stop();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string address() const;  // "127.0.0.1:8420", with the port that was taken
  // When the loop last came round; it does so at least each second. For the watchdog.
  [[nodiscard]] std::chrono::steady_clock::time_point last_turn() const;

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace voxbus::serve
