// SPDX-License-Identifier: Apache-2.0
//
// A small JSON value, so that plugins need no library for it. Values belong to whoever holds them.
#ifndef VOXBUS_JSON_HPP
#define VOXBUS_JSON_HPP

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "voxbus/json_writer.hpp"
#include "voxbus/result.hpp"

namespace voxbus {

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

}  // namespace voxbus

#include "voxbus/json_reader.hpp"  // defines Json::parse

#endif  // VOXBUS_JSON_HPP
