// SPDX-License-Identifier: Apache-2.0
// What the server is told by whoever starts it, and what it asks back. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"

namespace voxbus::serve {

// Something quarantined, to be read anew by its channel's plugin.
struct Replay {
  std::uint64_t position = 0;  // in the journal
  std::string channel, native_id, raw;
};
struct Replayed {
  enum class Outcome { readable, unreadable, not_now } outcome = Outcome::not_now;
  std::string reason;  // unless it is readable
};

// One of the files that came with an event, made anew of its raw bytes by its channel's plugin.
struct FileWanted {
  std::uint64_t position = 0;  // in the journal
  std::string channel, native_id, raw;
  std::string sha256;  // in hex
};
struct FileFound {
  enum class Outcome { found, none, not_now } outcome = Outcome::not_now;
  std::string bytes;
  std::string reason;  // unless it was found
};

struct Options {
  std::string listen =
      "127.0.0.1:8420";            // address:port, [::1]:8420, localhost:8420; port 0: any free one
  std::filesystem::path socket;    // the Unix socket; empty: none
  std::filesystem::path endpoint;  // endpoint.json is written here; empty: nowhere
  std::filesystem::path tokens;    // tokens.json
  std::vector<std::string> hosts, origins;
  std::uint32_t max_connections = 10'000;  // over TCP; the Unix socket has a few of its own
  std::string version;
  const Clock* clock = nullptr;  // outlives the server; nothing: the system's

  // Called on a worker thread; empty ones give nothing.
  std::function<json::object()> status;  // "channels" and whatever else the daemon knows of itself
  std::function<json::array()> plugins;  // manifests found, with path and problems
  std::function<std::optional<std::string>()> not_ready;  // why /readyz says no
  // Called on the loop; the answer may come on any thread, once.
  std::function<void(Replay, std::function<void(Replayed)>)> replay;
  std::function<void(FileWanted, std::function<void(FileFound)>)> find_file;  // likewise

  // Limits, as the contract has them; tests shorten them.
  std::chrono::milliseconds request_within{30'000};  // from its first byte, and from connecting
  std::chrono::milliseconds idle_within{75'000};     // between requests
  std::chrono::milliseconds write_within{30'000};    // for each 64 KiB
  std::chrono::milliseconds bookmark_every{15'000};  // on streams
  std::size_t header_bytes = 16 << 10;
  std::size_t body_bytes = 1 << 20;
  std::size_t answer_bytes = 8 << 20;     // of one answer with events
  std::size_t answers_bytes = 256 << 20;  // of all answers under way
};

}  // namespace voxbus::serve
