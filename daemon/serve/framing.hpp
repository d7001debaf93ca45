// SPDX-License-Identifier: Apache-2.0
// Where a request ends, judged before anything else of it: RFC 9112 sections 3.2 and 6. Whoever
// stands before this server, as a reverse proxy, must see the same end, so a request that could be
// read in two ways is refused and its connection closed. Pure, any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "serve/http.hpp"

namespace voxbus::serve {

// What the header says of it.
struct Framing {
  std::size_t hosts = 0;                         // how many Host fields
  bool has_length = false;                       // Content-Length is there
  std::optional<std::string> transfer_coding{};  // all Transfer-Encoding fields, joined by commas
  bool http_1_1 = true;
};

// The refusal, after which the connection must be closed; nothing: one body, ended by its length or
// by its last chunk.
[[nodiscard]] std::optional<Answer> refuse_framing(const Framing& framing);

}  // namespace voxbus::serve
