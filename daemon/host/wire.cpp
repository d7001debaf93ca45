// SPDX-License-Identifier: Apache-2.0
#include "host/wire.hpp"

#include <cstring>

#include "base/text.hpp"
#include "model/limits.hpp"

namespace voxbus::host {
namespace {

enum ItemFlag : std::uint8_t {
  kVersion = 1,
  kOccurred = 2,
  kWithdrawn = 4,
  kBackfill = 8,
  kQuarantined = 16
};

template<class Number>
void put(std::string& out, Number number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number,
              sizeof number);  // little-endian, as is every machine Debian 12 runs us on
  out.append(bytes, sizeof number);
}
void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

// Takes values off the front; once anything was missing, everything is.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}
  template<class Number>
  Number number() {
    Number value{};
    if (!take(sizeof value)) return value;
    std::memcpy(&value, taken_.data(), sizeof value);
    return value;
  }
  std::string_view text(std::size_t limit) {
    const auto length = number<std::uint32_t>();
    if (length > limit || !take(length)) {
      failed_ = true;
      return {};
    }
    return taken_;
  }
  std::string_view fixed(std::size_t length) { return take(length) ? taken_ : std::string_view(); }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] Status finish() const {
    if (failed_ || !bytes_.empty())
      return permanent("a malformed frame from the channel's process");
    return {};
  }

 private:
  bool take(std::size_t length) {
    if (failed_ || bytes_.size() < length) {
      failed_ = true;
      return false;
    }
    taken_ = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return true;
  }
  std::string_view bytes_, taken_;
  bool failed_ = false;
};

constexpr std::size_t kAnySize = kMaxPayload;

}  // namespace

void append_header(std::string& out, Header header) {
  put(out, header.length);
  put(out, static_cast<std::uint8_t>(header.type));
  put(out, header.flags);
  put(out, std::uint16_t{0});
}

Result<Header> read_header(std::string_view bytes) {
  Decoder in(bytes);
  Header header;
  header.length = in.number<std::uint32_t>();
  header.type = static_cast<FrameType>(in.number<std::uint8_t>());
  header.flags = in.number<std::uint8_t>();
  const auto zero = in.number<std::uint16_t>();
  VOXBUS_CHECK(in.finish());
  if (zero != 0 || header.length > kMaxPayload || (header.flags & ~kInMemory) != 0 ||
      (!(header.flags & kInMemory) && header.length > kInlineLimit)) {
    return permanent("a malformed frame header from the channel's process");
  }
  return header;
}

std::string encode(const Start& start) {
  std::string out;
  for (const auto* text : {&start.channel, &start.plugin, &start.settings, &start.cursor,
                           &start.region, &start.build}) {
    put_text(out, *text);
  }
  put(out, start.max_item);
  put(out, start.credit);
  put(out, start.poll_every_ms);
  put(out, static_cast<std::uint8_t>(start.keep_raw_of_all));
  put(out, static_cast<std::uint32_t>(start.poison.size()));
  for (const auto& id : start.poison) put_text(out, id);
  return out;
}

Result<Start> decode_start(std::string_view payload) {
  Decoder in(payload);
  Start start;
  for (auto* text : {&start.channel, &start.plugin, &start.settings, &start.cursor, &start.region,
                     &start.build}) {
    *text = in.text(kAnySize);
  }
  start.max_item = in.number<std::uint64_t>();
  start.credit = in.number<std::uint64_t>();
  start.poll_every_ms = in.number<std::int64_t>();
  start.keep_raw_of_all = in.number<std::uint8_t>() != 0;
  for (auto left = in.number<std::uint32_t>(); left > 0 && !in.failed(); --left) {
    start.poison.emplace_back(in.text(model::kMaxNativeId));
  }
  VOXBUS_CHECK(in.finish());
  return start;
}

std::string encode(const Ready& ready) {
  std::string out;
  put(out, ready.abi_major);
  put(out, ready.abi_minor);
  put_text(out, ready.id);
  put_text(out, ready.version);
  return out;
}

Result<Ready> decode_ready(std::string_view payload) {
  Decoder in(payload);
  Ready ready;
  ready.abi_major = in.number<std::uint16_t>();
  ready.abi_minor = in.number<std::uint16_t>();
  ready.id = one_line(in.text(256));
  ready.version = one_line(in.text(256));
  VOXBUS_CHECK(in.finish());
  return ready;
}

std::string encode(const Outcome& outcome) {
  std::string out;
  put(out, outcome.status);
  put(out, outcome.retry_after_ms);
  put_text(out, outcome.message);
  return out;
}

Result<Outcome> decode_outcome(std::string_view payload) {
  Decoder in(payload);
  Outcome outcome;
  outcome.status = in.number<std::int32_t>();
  outcome.retry_after_ms = in.number<std::int64_t>();
  outcome.message = one_line(in.text(64 << 10));
  VOXBUS_CHECK(in.finish());
  return outcome;
}

std::string encode(const LogLine& line) {
  std::string out;
  put(out, line.level);
  put_text(out, line.message);
  return out;
}

Result<LogLine> decode_log(std::string_view payload) {
  Decoder in(payload);
  LogLine line;
  line.level = in.number<std::int32_t>();
  line.message = one_line(in.text(64 << 10));
  VOXBUS_CHECK(in.finish());
  return line;
}

std::string encode_credit(std::uint64_t batches) {
  std::string out;
  put(out, batches);
  return out;
}

Result<std::uint64_t> decode_credit(std::string_view payload) {
  Decoder in(payload);
  const auto batches = in.number<std::uint64_t>();
  VOXBUS_CHECK(in.finish());
  return batches;
}

std::string encode(const model::Batch& batch) {
  std::string out;
  std::size_t size = 16 + (batch.cursor ? batch.cursor->size() : 0);
  for (const auto& item : batch.items) size += item.weight();
  out.reserve(size);
  put(out, static_cast<std::uint32_t>(batch.items.size()));
  for (const auto& item : batch.items) {
    put(out, static_cast<std::uint8_t>(
                 (item.version ? kVersion : 0) | (item.occurred ? kOccurred : 0) |
                 (item.withdrawn ? kWithdrawn : 0) | (item.backfill ? kBackfill : 0) |
                 (item.quarantined ? kQuarantined : 0)));
    put(out, item.version.value_or(0));
    put(out, item.occurred ? item.occurred->time_since_epoch().count() : std::int64_t{0});
    out += as_text(item.digest);
    put_text(out, item.native_id);
    put_text(out, item.record);
    put_text(out, item.raw);
  }
  put(out, static_cast<std::uint8_t>(batch.cursor.has_value()));
  if (batch.cursor) put_text(out, *batch.cursor);
  return out;
}

Result<model::Batch> decode_batch(std::string_view payload) {
  Decoder in(payload);
  model::Batch batch;
  const auto count = in.number<std::uint32_t>();
  if (count > model::kMaxBatchItems)
    return permanent("a batch of more items than allowed from the channel's process");
  batch.items.reserve(count);
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    auto& item = batch.items.emplace_back();
    const auto flags = in.number<std::uint8_t>();
    const auto version = in.number<std::uint64_t>();
    const auto occurred = in.number<std::int64_t>();
    if (flags & kVersion) item.version = version;
    if (flags & kOccurred) item.occurred = TimePoint(microseconds(occurred));
    item.withdrawn = flags & kWithdrawn;
    item.backfill = flags & kBackfill;
    item.quarantined = flags & kQuarantined;
    const auto digest = in.fixed(item.digest.size());
    if (!digest.empty()) std::memcpy(item.digest.data(), digest.data(), digest.size());
    item.native_id = in.text(model::kMaxNativeId);
    item.record = in.text(model::kMaxRecord);
    item.raw = in.text(model::kMaxItem);
  }
  if (in.number<std::uint8_t>() != 0) batch.cursor = std::string(in.text(model::kMaxCursor));
  VOXBUS_CHECK(in.finish());
  return batch;
}

}  // namespace voxbus::host
