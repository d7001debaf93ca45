// SPDX-License-Identifier: Apache-2.0
//
// Reads JSON strictly (RFC 8259, UTF-8, no duplicate names, no lone surrogates), bounded in depth
// and size. Behind Json::parse; authors include json.hpp. Pure, any thread.
#ifndef VOXBUS_JSON_READER_HPP
#define VOXBUS_JSON_READER_HPP

#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "voxbus/json.hpp"
#include "voxbus/result.hpp"
#include "voxbus/text.hpp"

namespace voxbus {

namespace detail {

// Recursive descent; the depth limit bounds the stack. Errors name the byte at which they stand.
class JsonReader {
 public:
  JsonReader(std::string_view text, JsonLimits limits) : text_{text}, limits_{limits} {}

  Result<Json> read() {
    if (text_.size() > limits_.size) return fail("larger than the limit");
    if (const auto bad = find_invalid_utf8(text_); bad != text_.npos) {
      at_ = bad;
      return fail("not UTF-8");
    }
    Json value;
    skip_space();
    if (!read_value(value, 0)) return fail(problem_);
    skip_space();
    if (at_ != text_.size()) return fail("something follows the value");
    return value;
  }

 private:
  Error fail(std::string_view what) const {
    return Error::permanent("JSON, byte " + std::to_string(at_) + ": " + std::string{what});
  }
  bool no(const char* what) {
    problem_ = what;
    return false;
  }
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool take(char wanted) {
    if (at_end() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void skip_space() {
    while (!at_end() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }
  bool word(std::string_view wanted) {
    if (text_.substr(at_, wanted.size()) != wanted) return no("not a JSON value");
    at_ += wanted.size();
    return true;
  }

  bool read_value(Json& out, std::size_t depth) {
    if (depth >= limits_.depth && (peek() == '{' || peek() == '[')) {
      return no("nested too deeply");
    }
    switch (peek()) {
      case '{':
        return read_object(out, depth);
      case '[':
        return read_array(out, depth);
      case '"': {
        std::string text;
        if (!read_string(text)) return false;
        out = Json{std::move(text)};
        return true;
      }
      case 't':
        out = Json{true};
        return word("true");
      case 'f':
        out = Json{false};
        return word("false");
      case 'n':
        out = Json{};
        return word("null");
      default:
        return read_number(out);
    }
  }

  bool read_object(Json& out, std::size_t depth) {
    ++at_;
    Json::Object members;
    std::unordered_set<std::string> names;
    skip_space();
    if (!take('}')) {
      do {
        skip_space();
        std::string name;
        if (peek() != '"') return no("a name in quotes was expected");
        if (!read_string(name)) return false;
        if (!names.insert(name).second) return no("a name stands twice in one object");
        skip_space();
        if (!take(':')) return no("':' was expected");
        skip_space();
        Json member;
        if (!read_value(member, depth + 1)) return false;
        members.emplace_back(std::move(name), std::move(member));
        skip_space();
      } while (take(','));
      if (!take('}')) return no("',' or '}' was expected");
    }
    out = Json{std::move(members)};
    return true;
  }

  bool read_array(Json& out, std::size_t depth) {
    ++at_;
    Json::Array elements;
    skip_space();
    if (!take(']')) {
      do {
        skip_space();
        Json element;
        if (!read_value(element, depth + 1)) return false;
        elements.push_back(std::move(element));
        skip_space();
      } while (take(','));
      if (!take(']')) return no("',' or ']' was expected");
    }
    out = Json{std::move(elements)};
    return true;
  }

  bool read_hex4(std::uint32_t& out) {
    if (text_.size() - at_ < 4) return no("four hex digits were expected");
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, out, 16);
    if (error != std::errc{} || end != begin + 4) return no("four hex digits were expected");
    at_ += 4;
    return true;
  }

  bool read_escape(std::string& out) {
    const char kind = peek();
    if (!at_end()) ++at_;
    switch (kind) {
      case '"':
        out += '"';
        return true;
      case '\\':
        out += '\\';
        return true;
      case '/':
        out += '/';
        return true;
      case 'b':
        out += '\b';
        return true;
      case 'f':
        out += '\f';
        return true;
      case 'n':
        out += '\n';
        return true;
      case 'r':
        out += '\r';
        return true;
      case 't':
        out += '\t';
        return true;
      case 'u':
        break;
      default:
        return no("an unknown escape");
    }
    std::uint32_t code = 0;
    if (!read_hex4(code)) return false;
    if (code >= 0xDC00 && code <= 0xDFFF) return no("a lone surrogate");
    if (code >= 0xD800 && code <= 0xDBFF) {
      std::uint32_t low = 0;
      if (!take('\\') || !take('u')) return no("a lone surrogate");
      if (!read_hex4(low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return no("a lone surrogate");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, code);
    return true;
  }

  bool read_string(std::string& out) {
    ++at_;
    for (;;) {
      const std::size_t begin = at_;
      while (!at_end() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) >= 0x20) {
        ++at_;
      }
      out.append(text_, begin, at_ - begin);
      if (at_end()) return no("a string without its end");
      if (take('"')) return true;
      if (!take('\\')) return no("a control character in a string");
      if (!read_escape(out)) return false;
    }
  }

  std::size_t digits() {
    const std::size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - begin;
  }

  bool read_number(Json& out) {
    const std::size_t begin = at_;
    take('-');
    if (take('0')) {
      if (peek() >= '0' && peek() <= '9') return no("a number with a leading zero");
    } else if (digits() == 0) {
      return no("not a JSON value");
    }
    bool whole = true;
    if (take('.')) {
      whole = false;
      if (digits() == 0) return no("digits were expected");
    }
    if (take('e') || take('E')) {
      whole = false;
      if (!take('+')) take('-');
      if (digits() == 0) return no("digits were expected");
    }
    const char* first = text_.data() + begin;
    const char* last = text_.data() + at_;
    std::int64_t integer = 0;
    if (whole && std::from_chars(first, last, integer).ec == std::errc{}) {
      out = Json{integer};
      return true;
    }
    double real = 0;
    if (std::from_chars(first, last, real).ec != std::errc{}) return no("a number out of range");
    out = Json{real};
    return true;
  }

  std::string_view text_;
  JsonLimits limits_;
  std::size_t at_ = 0;
  const char* problem_ = "";
};

}  // namespace detail

inline Result<Json> Json::parse(std::string_view text, JsonLimits limits) {
  return detail::JsonReader{text, limits}.read();
}

}  // namespace voxbus

#endif  // VOXBUS_JSON_READER_HPP
