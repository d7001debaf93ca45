// SPDX-License-Identifier: Apache-2.0
// A request as handlers see it and the answer they give, free of the HTTP library. Plain values;
// they belong to the session that serves the request.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "serve/target.hpp"

namespace voxbus::serve {

struct Request {
  std::string method;  // as it was sent; handlers of GET see GET also for HEAD
  Target target;
  std::string accept, content_type, last_event_id;
  std::string body;
  std::string actor;  // who asks: the token's name, or the user at the Unix socket
  // Whether the client has gone meanwhile: asked before work is handed over after a wait.
  std::function<bool()> peer_closed;

  [[nodiscard]] const std::string& segment(std::size_t at) const { return target.path[at]; }
};

struct Answer {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  // Lives until the answer was written: a share of the memory that answers may take.
  std::shared_ptr<void> reservation;
  // Called when the answer could not be written.
  std::function<void()> undelivered;
};

}  // namespace voxbus::serve
