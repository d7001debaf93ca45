// SPDX-License-Identifier: Apache-2.0
// Little-endian numbers in byte strings, as our own files hold them, and big-endian ones, as
// SQLite's do. Pure, any thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/crypto.hpp"

namespace voxbus::journal {

template<class Number>
void put(std::string& out, Number value) {
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
}

// Reads from the front and remembers when there was too little.
class Cutter {
 public:
  explicit Cutter(std::string_view bytes) : left_(bytes) {}

  template<class Number>
  Number number() {
    const auto bytes = take(sizeof(Number));
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
    }
    return static_cast<Number>(value);
  }
  template<class Array>
  Array array() {
    Array out{};
    const auto bytes = take(out.size());
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
  std::string_view take(std::size_t size) {
    if (size > left_.size()) {
      short_ = true;
      left_ = {};
      return {};
    }
    const auto bytes = left_.substr(0, size);
    left_.remove_prefix(size);
    return bytes;
  }
  [[nodiscard]] bool complete() const { return !short_ && left_.empty(); }
  [[nodiscard]] bool ran_short() const { return short_; }

 private:
  std::string_view left_;
  bool short_ = false;
};

[[nodiscard]] inline std::uint32_t big32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}
[[nodiscard]] inline std::uint32_t big16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[at])) << 8 |
         static_cast<unsigned char>(bytes[at + 1]);
}

// The array as it stands in a stored field; false when the size is another one.
template<class Array>
[[nodiscard]] bool assign(Array& out, std::string_view bytes) {
  if (bytes.size() != out.size()) return false;
  std::memcpy(out.data(), bytes.data(), out.size());
  return true;
}

// Four bytes that tell a torn or altered piece of our own small files.
[[nodiscard]] inline std::uint32_t checksum(std::string_view bytes) {
  return Cutter(as_text(sha256(bytes)).substr(0, 4)).number<std::uint32_t>();
}

struct MacHash {
  std::size_t operator()(const Mac& mac) const {
    std::size_t out;
    std::memcpy(&out, mac.data(), sizeof out);
    return out;
  }
};

}  // namespace voxbus::journal
