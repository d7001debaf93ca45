// SPDX-License-Identifier: Apache-2.0
// Which handler serves which path: one table, of which the whole API can be read off. Immutable
// after the start.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "serve/http.hpp"

namespace voxbus::serve {

struct Core;
class Session;

// On a worker thread; may read and write the disk.
using QuickHandler = Answer (*)(Core&, const Request&);
// On the loop; may wait for news.
using WaitingHandler = boost::asio::awaitable<Answer> (*)(Core&, Request);
// On the loop; writes to the session itself, which ends afterwards.
using StreamHandler = boost::asio::awaitable<void> (*)(std::shared_ptr<Session>, Request);

struct Route {
  std::string_view method;   // GET serves HEAD as well
  std::string_view pattern;  // "/v1/consumers/{}/ack": {} is any one segment
  std::variant<QuickHandler, WaitingHandler, StreamHandler> handler;
  bool open = false;  // without a token
};
// The whole API.
[[nodiscard]] std::span<const Route> routes();

class Router {
 public:
  explicit Router(std::span<const Route> all = routes()) : all_(all) {}

  struct Found {
    const Route* route = nullptr;
    std::string
        allowed;  // without a route: the methods of this path, "GET, HEAD"; empty: no such path
  };
  [[nodiscard]] Found find(std::string_view method, const Target& target) const;

 private:
  std::span<const Route> all_;
};

}  // namespace voxbus::serve
