// SPDX-License-Identifier: Apache-2.0
// Any bytes of a server are responses, then perhaps an error; the same ones in whatever pieces they
// come, within the limits, and no memory is held beyond them.

#include <string>
#include <vector>

#include "check.hpp"
#include "imap/reader.hpp"

namespace {

using namespace voxbus::email::imap;

constexpr Limits kLimits{
    .literal = 1 << 12, .response = 1 << 13, .line = 1 << 12, .depth = 8, .values = 500};

std::size_t count(const std::vector<Value>& values, std::size_t depth) {
  demand(depth <= kLimits.depth + 1, "no deeper than the limit");
  std::size_t all = values.size();
  for (const Value& value : values) {
    demand(value.is_list() || value.items.empty(), "only a list holds values");
    demand(value.text.size() <= kLimits.response, "no text above the limit");
    all += count(value.items, depth + 1);
  }
  return all;
}

void write(std::string& out, const Value& value) {
  out += std::to_string(static_cast<int>(value.kind)) + ' ' + value.text + '(';
  for (const Value& item : value.items) write(out, item);
  out += ')';
}

// All that was read, one after the other, and the error. With pieces of length 0 the first byte of
// each piece says how long it is.
std::string read(std::string_view bytes, std::size_t piece) {
  Reader reader{kLimits};
  std::string out;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto some =
        bytes.substr(at, piece > 0 ? piece : 1 + static_cast<unsigned char>(bytes[at]) % 7);
    at += some.size();
    reader.feed(some);
    for (;;) {
      const auto response = reader.next();
      if (!response) {
        demand(!response.error().message.empty(), "an error says why");
        return out + "! " + response.error().message;
      }
      if (!*response) break;
      const Response& one = **response;
      demand(count(one.values, 0) <= kLimits.values, "no more values than the limit");
      out += std::to_string(static_cast<int>(one.kind)) + ' ' + one.tag + ' ' + one.name + ' ' +
             std::to_string(one.number.value_or(0)) + '[' + one.code + "] " + one.text;
      for (const Value& value : one.values) write(out, value);
      out += '\n';
    }
    demand(reader.held() <= (2 << 20) + 4 * kLimits.response + 2 * bytes.size(),
           "memory within the limits");
  }
  return out + (reader.has_bytes() ? "..." : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = bytes_of(data, size);
  const auto whole = read(bytes, size + 1);
  demand(read(bytes, 1) == whole, "the same byte by byte");
  demand(read(bytes, 0) == whole, "the same in pieces of any length");
  return 0;
}
