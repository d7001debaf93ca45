// SPDX-License-Identifier: Apache-2.0
// The frames between voxbusd and voxbus-host, without I/O: values to bytes and bytes to values. A
// frame is
//
//     u32 length of the payload · u8 type · u8 flags · u16 zero · payload
//
// little-endian, strings as u32 length and bytes. With kInMemory the payload is not in the stream:
// it lies in a sealed memory file whose descriptor came along, and `length` is its size. Both sides
// are installed together, so the format has no versions; the first frame says which build speaks.
// Decoding never trusts: every length is checked against what is there. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/item.hpp"

namespace voxbus::host {

enum class FrameType : std::uint8_t {
  // host to daemon
  ready = 1,        // the plugin is loaded and its channel made
  batch = 2,        // items and perhaps a cursor
  polled = 3,       // a poll came back
  log = 4,          // a line of the plugin
  heartbeat = 5,    // the host's own loop turns; how long the plugin has been quiet
  probed = 6,       // the answer to probe
  refused = 7,      // the plugin could not be loaded or its channel not made; the process ends
  loading = 8,      // all that is ours went well: what follows runs the plugin's code
  reread_done = 9,  // the answer to reread; what came of it went before
  // daemon to host
  start = 32,
  credit = 33,
  stop = 34,
  probe = 35,
  reread = 36,
};

inline constexpr std::size_t kHeaderSize = 8;
inline constexpr std::uint8_t kInMemory = 1;
inline constexpr std::size_t kInlineLimit = 1 << 20;  // larger payloads travel as memory files
// Larger than one item of the largest size with its frame; whoever sends more is cut off.
inline constexpr std::size_t kMaxPayload = 48 << 20;

struct Header {
  std::uint32_t length = 0;
  FrameType type{};
  std::uint8_t flags = 0;
  std::uint16_t zero = 0;
};
void append_header(std::string& out, Header header);
[[nodiscard]] Result<Header> read_header(std::string_view bytes);  // of exactly kHeaderSize

struct Start {
  // Less than running it: say ready or refused, and end.
  enum class Purpose : std::uint8_t { run, load, create } purpose = Purpose::run;
  std::string channel;
  std::string plugin;    // the manifest's id, which the entry must repeat
  std::string settings;  // JSON for create()
  std::string cursor;
  std::string region;
  std::string build;  // refuses a host of another build
  std::uint64_t max_item = 0;
  std::uint64_t credit = 0;  // bytes of payload that may be under way
  std::int64_t poll_every_ms = 0;
  std::int64_t first_retry_ms = 1000;  // after a poll failed; doubled each time
  bool keep_raw_of_all = true;
  std::vector<std::string> poison;  // native ids on which earlier runs died
};
struct Ready {
  std::uint16_t abi_major = 0, abi_minor = 0;
  std::string id, version;
};
// How a call into the plugin ended; status as in voxbus/abi.h.
struct Outcome {
  std::int32_t status = 0;
  std::int64_t retry_after_ms = 0;
  std::string message;
  std::string file;  // the bytes that Reread::file asked for
};
struct LogLine {
  std::int32_t level = 0;
  std::string message;
};

struct Heartbeat {
  std::int64_t quiet_ms = 0;  // for how long the plugin gave no sign of life inside a call
};
struct Credit {
  std::uint64_t batches = 0;  // so many more became durable
};
// Make this item anew; or find one of its attachments. One at a time.
struct Reread {
  std::uint64_t position = 0;  // of the row whose evidence this is
  std::string native_id, raw;
  std::string file;  // SHA-256 in hex: only these bytes are wanted; empty: the item itself
};

[[nodiscard]] std::string encode(const Start& frame);
[[nodiscard]] std::string encode(const Ready& frame);
[[nodiscard]] std::string encode(const Outcome& frame);
[[nodiscard]] std::string encode(const LogLine& frame);
[[nodiscard]] std::string encode(const Heartbeat& frame);
[[nodiscard]] std::string encode(const Credit& frame);
[[nodiscard]] std::string encode(const Reread& frame);
[[nodiscard]] std::string encode(const model::Batch& batch);

// Of each of the above.
template<class Frame>
[[nodiscard]] Result<Frame> decode(std::string_view payload) = delete;
template<>
[[nodiscard]] Result<Start> decode(std::string_view payload);
template<>
[[nodiscard]] Result<Ready> decode(std::string_view payload);
template<>
[[nodiscard]] Result<Outcome> decode(std::string_view payload);
template<>
[[nodiscard]] Result<LogLine> decode(std::string_view payload);
template<>
[[nodiscard]] Result<Heartbeat> decode(std::string_view payload);
template<>
[[nodiscard]] Result<Credit> decode(std::string_view payload);
template<>
[[nodiscard]] Result<Reread> decode(std::string_view payload);
template<>
[[nodiscard]] Result<model::Batch> decode(std::string_view payload);

}  // namespace voxbus::host
