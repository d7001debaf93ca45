// SPDX-License-Identifier: Apache-2.0
#include "host/wire.hpp"

#include <cstring>

#include "base/text.hpp"
#include "model/limits.hpp"

namespace voxbus::host {
namespace {

constexpr std::size_t kAnySize = kMaxPayload;
constexpr std::size_t kMaxWords = 64 << 10, kMaxName = 256;

enum ItemFlag : std::uint8_t {
  kVersion = 1,
  kOccurred = 2,
  kWithdrawn = 4,
  kBackfill = 8,
  kQuarantined = 16,
  kReparsed = 32  // its position comes last
};

// Appends values; little-endian, as is every machine Debian 12 runs us on.
class Encoder {
 public:
  template<class Number>
  void number(const Number& value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
  }
  void flag(bool value) { number(static_cast<std::uint8_t>(value)); }
  void text(std::string_view value, std::size_t = 0) {
    number(static_cast<std::uint32_t>(value.size()));
    out += value;
  }
  void words(std::string_view value, std::size_t = 0) { text(value); }
  void texts(const std::vector<std::string>& values, std::size_t = 0) {
    number(static_cast<std::uint32_t>(values.size()));
    for (const auto& value : values) text(value);
  }
  std::string out;
};

// Takes values off the front; once anything was missing, everything is.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : bytes_(bytes) {}
  template<class Number>
  void number(Number& value) {
    if (take(sizeof value)) std::memcpy(&value, taken_.data(), sizeof value);
  }
  template<class Number>
  Number number() {
    Number value{};
    number(value);
    return value;
  }
  void flag(bool& value) { value = number<std::uint8_t>() != 0; }
  std::string_view text(std::size_t limit) {
    const auto length = number<std::uint32_t>();
    if (length > limit || !take(length)) {
      failed_ = true;
      return {};
    }
    return taken_;
  }
  void text(std::string& value, std::size_t limit) { value = text(limit); }
  // What ends up in a log or on a terminal.
  void words(std::string& value, std::size_t limit) { value = one_line(text(limit)); }
  void texts(std::vector<std::string>& values, std::size_t limit) {
    for (auto left = number<std::uint32_t>(); left > 0 && !failed_; --left)
      values.emplace_back(text(limit));
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

// Each frame once, for both directions: `codec` is an Encoder with a const frame, or a Decoder.
template<class F, class Frame>
constexpr bool kIs = std::is_same_v<std::remove_const_t<F>, Frame>;

template<class F>
requires kIs<F, Header>
void fields(auto& codec, F& header) {
  codec.number(header.length);
  codec.number(header.type);
  codec.number(header.flags);
  codec.number(header.zero);
}
template<class F>
requires kIs<F, Start>
void fields(auto& codec, F& start) {
  for (auto* text : {&start.channel, &start.plugin, &start.settings, &start.cursor, &start.region,
                     &start.build}) {
    codec.text(*text, kAnySize);
  }
  codec.number(start.purpose);
  codec.number(start.max_item);
  codec.number(start.credit);
  codec.number(start.poll_every_ms);
  codec.number(start.first_retry_ms);
  codec.flag(start.keep_raw_of_all);
  codec.texts(start.poison, model::kMaxNativeId);
}
template<class F>
requires kIs<F, Ready>
void fields(auto& codec, F& ready) {
  codec.number(ready.abi_major);
  codec.number(ready.abi_minor);
  codec.words(ready.id, kMaxName);
  codec.words(ready.version, kMaxName);
}
template<class F>
requires kIs<F, Outcome>
void fields(auto& codec, F& outcome) {
  codec.number(outcome.status);
  codec.number(outcome.retry_after_ms);
  codec.words(outcome.message, kMaxWords);
  codec.text(outcome.file, model::kMaxItem);
}
template<class F>
requires kIs<F, LogLine>
void fields(auto& codec, F& line) {
  codec.number(line.level);
  codec.words(line.message, kMaxWords);
}
template<class F>
requires kIs<F, Heartbeat>
void fields(auto& codec, F& beat) { codec.number(beat.quiet_ms); }
template<class F>
requires kIs<F, Credit>
void fields(auto& codec, F& credit) { codec.number(credit.batches); }
template<class F>
requires kIs<F, Reread>
void fields(auto& codec, F& reread) {
  codec.number(reread.position);
  codec.text(reread.native_id, model::kMaxNativeId);
  codec.text(reread.raw, model::kMaxItem);
  codec.text(reread.file, kMaxName);
}

template<class Frame>
std::string encoded(const Frame& frame) {
  Encoder codec;
  fields(codec, frame);
  return std::move(codec.out);
}
template<class Frame>
Result<Frame> decoded(std::string_view payload) {
  Decoder codec(payload);
  Frame frame;
  fields(codec, frame);
  VOXBUS_CHECK(codec.finish());
  return frame;
}

}  // namespace

void append_header(std::string& out, Header header) { out += encoded(header); }

Result<Header> read_header(std::string_view bytes) {
  VOXBUS_TRY(header, decoded<Header>(bytes));
  if (header.zero != 0 || header.length > kMaxPayload || (header.flags & ~kInMemory) != 0 ||
      (!(header.flags & kInMemory) && header.length > kInlineLimit)) {
    return permanent("a malformed frame header from the channel's process");
  }
  return header;
}

std::string encode(const Start& frame) { return encoded(frame); }
std::string encode(const Ready& frame) { return encoded(frame); }
std::string encode(const Outcome& frame) { return encoded(frame); }
std::string encode(const LogLine& frame) { return encoded(frame); }
std::string encode(const Heartbeat& frame) { return encoded(frame); }
std::string encode(const Credit& frame) { return encoded(frame); }
std::string encode(const Reread& frame) { return encoded(frame); }

template<>
Result<Start> decode(std::string_view payload) {
  return decoded<Start>(payload);
}
template<>
Result<Ready> decode(std::string_view payload) {
  return decoded<Ready>(payload);
}
template<>
Result<Outcome> decode(std::string_view payload) {
  return decoded<Outcome>(payload);
}
template<>
Result<LogLine> decode(std::string_view payload) {
  return decoded<LogLine>(payload);
}
template<>
Result<Heartbeat> decode(std::string_view payload) {
  return decoded<Heartbeat>(payload);
}
template<>
Result<Credit> decode(std::string_view payload) {
  return decoded<Credit>(payload);
}
template<>
Result<Reread> decode(std::string_view payload) {
  return decoded<Reread>(payload);
}

std::string encode(const model::Batch& batch) {
  Encoder to;
  std::size_t size = 16 + (batch.cursor ? batch.cursor->size() : 0);
  for (const auto& item : batch.items) size += item.weight();
  to.out.reserve(size);
  to.number(static_cast<std::uint32_t>(batch.items.size()));
  for (const auto& item : batch.items) {
    to.number(static_cast<std::uint8_t>(
        (item.version ? kVersion : 0) | (item.occurred ? kOccurred : 0) |
        (item.withdrawn ? kWithdrawn : 0) | (item.backfill ? kBackfill : 0) |
        (item.quarantined ? kQuarantined : 0) | (item.reparsed ? kReparsed : 0)));
    to.number(item.version.value_or(0));
    to.number(item.occurred ? item.occurred->time_since_epoch().count() : std::int64_t{0});
    to.out += as_text(item.digest);
    to.text(item.native_id);
    to.text(item.record);
    to.text(item.raw);
    if (item.reparsed) to.number(*item.reparsed);
  }
  to.flag(batch.cursor.has_value());
  if (batch.cursor) to.text(*batch.cursor);
  return std::move(to.out);
}

template<>
Result<model::Batch> decode(std::string_view payload) {
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
    if (flags & kReparsed) item.reparsed = in.number<std::uint64_t>();
  }
  if (in.number<std::uint8_t>() != 0) batch.cursor = std::string(in.text(model::kMaxCursor));
  VOXBUS_CHECK(in.finish());
  return batch;
}

}  // namespace voxbus::host
