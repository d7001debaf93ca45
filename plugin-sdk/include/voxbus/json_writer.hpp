// SPDX-License-Identifier: Apache-2.0
//
// Writes JSON straight into a string, always as UTF-8: what is not is replaced. For records, which
// are written far more often than they are read. One thread at a time.
#ifndef VOXBUS_JSON_WRITER_HPP
#define VOXBUS_JSON_WRITER_HPP

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "voxbus/text.hpp"

namespace voxbus {

// Appends JSON to a string of the caller's, which outlives the writer. Commas are its own affair;
// that begin and end match, and that names stand before values, is the caller's.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_{out} {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name) {
    comma();
    quote(name);
    out_ += ':';
    fresh_ = true;
    return *this;
  }
  JsonWriter& value(std::string_view text) {
    comma();
    quote(text);
    return *this;
  }
  JsonWriter& value(const char* text) { return value(std::string_view{text}); }
  JsonWriter& value(const std::string& text) { return value(std::string_view{text}); }
  JsonWriter& value(bool truth) { return raw(truth ? "true" : "false"); }
  JsonWriter& value(std::nullptr_t) { return raw("null"); }
  template<std::integral T>
  requires(!std::same_as<T, bool>) JsonWriter& value(T number) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    return raw({digits, static_cast<std::size_t>(end - digits)});
  }
  // JSON has no infinity and no NaN: they become null.
  JsonWriter& value(double number) {
    if (!std::isfinite(number)) return raw("null");
    char digits[40];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    std::string_view shown{digits, static_cast<std::size_t>(end - digits)};
    raw(shown);
    if (shown.find_first_of(".e") == shown.npos) out_ += ".0";
    return *this;
  }
  // A complete JSON text that is already known to be right.
  JsonWriter& raw(std::string_view json) {
    comma();
    out_ += json;
    return *this;
  }

 private:
  JsonWriter& open(char bracket) {
    comma();
    out_ += bracket;
    fresh_ = true;
    return *this;
  }
  JsonWriter& close(char bracket) {
    out_ += bracket;
    fresh_ = false;
    return *this;
  }
  void comma() {
    if (!fresh_) out_ += ',';
    fresh_ = false;
  }
  void quote(std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out_ += '"';
    std::size_t plain = 0;  // start of what can be copied as it stands
    for (std::size_t at = 0; at < text.size();) {
      const auto byte = static_cast<unsigned char>(text[at]);
      if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
        ++at;
        continue;
      }
      const std::size_t length = byte >= 0x80 ? utf8_sequence(text, at) : 0;
      if (length != 0) {
        at += length;
        continue;
      }
      out_.append(text, plain, at - plain);
      switch (byte) {
        case '"':
          out_ += "\\\"";
          break;
        case '\\':
          out_ += "\\\\";
          break;
        case '\n':
          out_ += "\\n";
          break;
        case '\r':
          out_ += "\\r";
          break;
        case '\t':
          out_ += "\\t";
          break;
        default:
          if (byte < 0x20) {
            out_ += "\\u00";
            out_ += kHex[byte >> 4];
            out_ += kHex[byte & 15];
          } else {
            out_ += "\xEF\xBF\xBD";
          }
      }
      plain = ++at;
    }
    out_.append(text, plain);
    out_ += '"';
  }

  std::string& out_;
  bool fresh_ = true;  // nothing stands before the next value at this level
};

}  // namespace voxbus

#endif  // VOXBUS_JSON_WRITER_HPP
