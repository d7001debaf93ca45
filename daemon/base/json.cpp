// SPDX-License-Identifier: Apache-2.0
#include "base/json.hpp"

namespace voxbus::json {

Result<value> parse(std::string_view text, std::size_t max_depth,
                    boost::json::storage_ptr storage) {
  boost::json::parse_options options;
  options.max_depth = max_depth;
  boost::json::error_code code;
  auto parsed = boost::json::parse(text, code, std::move(storage), options);
  if (code) return permanent("not valid JSON: " + code.message());
  return parsed;
}

namespace {

std::size_t members_of(const value& in) {
  std::size_t count = 0;
  if (const auto* object = in.if_object()) {
    count += object->size();
    for (const auto& member : *object) count += members_of(member.value());
  } else if (const auto* array = in.if_array()) {
    for (const auto& entry : *array) count += members_of(entry);
  }
  return count;
}

}  // namespace

// In valid JSON a colon outside of strings stands behind each key, and nowhere else.
bool has_repeated_keys(std::string_view text, const value& parsed) {
  std::size_t keys = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == ':') ++keys;
    if (text[at] != '"') continue;
    for (++at; at < text.size() && text[at] != '"'; ++at) {
      if (text[at] == '\\') ++at;
    }
  }
  return keys != members_of(parsed);
}

std::optional<std::string_view> text_at(const object& in, std::string_view key) {
  const auto* member = in.if_contains(key);
  if (!member || !member->is_string()) return std::nullopt;
  const auto& text = member->get_string();
  return std::string_view(text.data(), text.size());
}

std::optional<std::int64_t> integer_at(const object& in, std::string_view key) {
  const auto* member = in.if_contains(key);
  if (!member) return std::nullopt;
  if (member->is_int64()) return member->get_int64();
  if (member->is_uint64() && member->get_uint64() <= INT64_MAX) {
    return static_cast<std::int64_t>(member->get_uint64());
  }
  return std::nullopt;
}

bool flag_at(const object& in, std::string_view key) {
  const auto* member = in.if_contains(key);
  return member && member->is_bool() && member->get_bool();
}

const object* object_at(const object& in, std::string_view key) {
  const auto* member = in.if_contains(key);
  return member ? member->if_object() : nullptr;
}

const array* array_at(const object& in, std::string_view key) {
  const auto* member = in.if_contains(key);
  return member ? member->if_array() : nullptr;
}

void append_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[c >> 4];
        out += kHex[c & 15];
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

}  // namespace voxbus::json
