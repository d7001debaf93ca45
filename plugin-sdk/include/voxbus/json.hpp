// SPDX-License-Identifier: Apache-2.0
//
// A small JSON value, reader and writer, so that plugins need no library for it. The reader is
// strict (RFC 8259, UTF-8, no duplicate names, no lone surrogates) and bounded in depth and size;
// the writer always produces UTF-8, replacing what is not. Values belong to whoever holds them.
#ifndef VOXBUS_JSON_HPP
#define VOXBUS_JSON_HPP

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "voxbus/result.hpp"
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

struct JsonLimits {
  std::size_t depth = 64;
  std::size_t size = std::size_t{64} << 20;  // bytes
};

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;  // in the order in which it was written

  Json() = default;
  Json(std::nullptr_t) {}
  Json(bool truth) : value_{truth} {}
  template<std::integral T>
  requires(!std::same_as<T, bool>) Json(T number) : value_{static_cast<std::int64_t>(number)} {}
  Json(double number) : value_{number} {}
  Json(std::string text) : value_{std::move(text)} {}
  Json(std::string_view text) : value_{std::string{text}} {}
  Json(const char* text) : value_{std::string{text}} {}
  Json(Array array) : value_{std::move(array)} {}
  Json(Object object) : value_{std::move(object)} {}

  bool is_null() const { return value_.index() == 0; }
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const std::int64_t* integer() const { return std::get_if<std::int64_t>(&value_); }
  const double* real() const { return std::get_if<double>(&value_); }
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const Array* array() const { return std::get_if<Array>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }
  Array* array() { return std::get_if<Array>(&value_); }
  Object* object() { return std::get_if<Object>(&value_); }

  // The member of that name, or nullptr when this is no object or has none.
  const Json* find(std::string_view name) const {
    if (const Object* members = object()) {
      for (const auto& [key, member] : *members) {
        if (key == name) return &member;
      }
    }
    return nullptr;
  }

  // The member's text, or an empty view when there is none or it is no string.
  std::string_view text(std::string_view name) const {
    const Json* member = find(name);
    const std::string* found = member ? member->string() : nullptr;
    return found ? std::string_view{*found} : std::string_view{};
  }

  // For objects only: appends a member.
  Json& set(std::string name, Json member) {
    if (is_null()) value_ = Object{};
    std::get<Object>(value_).emplace_back(std::move(name), std::move(member));
    return *this;
  }

  friend bool operator==(const Json&, const Json&) = default;

  // JSON text: on one line, or indented for people.
  std::string dump(bool indented = false) const {
    std::string out;
    if (indented) {
      dump_indented(out, 0);
    } else {
      JsonWriter writer{out};
      write(writer);
    }
    return out;
  }

  void write(JsonWriter& writer) const {
    if (const Array* elements = array()) {
      writer.begin_array();
      for (const Json& element : *elements) element.write(writer);
      writer.end_array();
    } else if (const Object* members = object()) {
      writer.begin_object();
      for (const auto& [name, member] : *members) {
        writer.key(name);
        member.write(writer);
      }
      writer.end_object();
    } else if (const std::string* words = string()) {
      writer.value(*words);
    } else if (const std::int64_t* whole = integer()) {
      writer.value(*whole);
    } else if (const double* number = real()) {
      writer.value(*number);
    } else if (const bool* truth = boolean()) {
      writer.value(*truth);
    } else {
      writer.value(nullptr);
    }
  }

  // Reads exactly one JSON value with nothing but white space around it.
  static Result<Json> parse(std::string_view text, JsonLimits limits = {});

 private:
  void dump_indented(std::string& out, std::size_t depth) const {
    const auto line = [&](std::size_t level) { out.append("\n").append(level * 2, ' '); };
    if (const Array* elements = array(); elements && !elements->empty()) {
      out += '[';
      for (std::size_t i = 0; i < elements->size(); ++i) {
        if (i != 0) out += ',';
        line(depth + 1);
        (*elements)[i].dump_indented(out, depth + 1);
      }
      line(depth);
      out += ']';
    } else if (const Object* members = object(); members && !members->empty()) {
      out += '{';
      for (std::size_t i = 0; i < members->size(); ++i) {
        if (i != 0) out += ',';
        line(depth + 1);
        JsonWriter{out}.value((*members)[i].first);
        out += ": ";
        (*members)[i].second.dump_indented(out, depth + 1);
      }
      line(depth);
      out += '}';
    } else {
      JsonWriter writer{out};
      write(writer);
    }
  }

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

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

  static void append_code_point(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | (code >> 12));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      out += static_cast<char>(0xF0 | (code >> 18));
      out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
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
    append_code_point(out, code);
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

#endif  // VOXBUS_JSON_HPP
