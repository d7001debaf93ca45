// SPDX-License-Identifier: Apache-2.0
#include "serve/target.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"

namespace voxbus::serve {
namespace {

constexpr std::size_t kMaxSegments = 32;
constexpr std::size_t kMaxParameters = 256;

Result<std::string> decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%') {
      const auto byte = at + 2 < text.size() ? from_hex(text.substr(at + 1, 2)) : std::nullopt;
      if (!byte || byte->size() != 1)
        return permanent("a percent sign is not followed by two hex digits");
      out += *byte;
      at += 2;
    } else {
      out += plus_is_space && text[at] == '+' ? ' ' : text[at];
    }
  }
  const bool control = std::any_of(out.begin(), out.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (control || !is_utf8(out)) return permanent("the target is not clean UTF-8");
  return out;
}

// Takes what comes before the next `separator`, and that separator.
std::string_view take(std::string_view& text, char separator) {
  const auto at = text.find(separator);
  if (at == text.npos) return std::exchange(text, {});
  const auto part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

// Takes scheme and authority of absolute form; what is left begins with a slash, '?' or '#', or is
// empty.
Result<std::string> take_authority(std::string_view& text) {
  std::string_view rest = text;
  const auto scheme = take(rest, ':');
  const auto is_scheme = [&](std::string_view known) {
    return scheme.size() == known.size() &&
           std::equal(scheme.begin(), scheme.end(), known.begin(), [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
           });
  };
  // https: a proxy in front took the TLS off.
  if (!(is_scheme("http") || is_scheme("https")) || !rest.starts_with("//"))
    return permanent("the target is neither a path nor an http URL");
  rest.remove_prefix(2);
  const auto authority = rest.substr(0, rest.find_first_of("/?#"));
  const bool plain = std::all_of(authority.begin(), authority.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == ':' || c == '[' || c == ']';
  });
  if (authority.empty() || authority.front() == ':' || !plain)
    return permanent("the target names no host that it could be for");
  text = rest.substr(authority.size());
  return std::string(authority);
}

}  // namespace

const std::string* Target::parameter(std::string_view name) const {
  const auto found = std::find_if(parameters.begin(), parameters.end(),
                                  [&](const Parameter& p) { return p.name == name; });
  return found == parameters.end() ? nullptr : &found->value;
}

const std::string* Target::doubled(std::initializer_list<std::string_view> names) const {
  for (const auto name : names) {
    const auto named = [&](const Parameter& p) { return p.name == name; };
    if (std::count_if(parameters.begin(), parameters.end(), named) > 1)
      return &std::find_if(parameters.begin(), parameters.end(), named)->name;
  }
  return nullptr;
}

Result<Target> parse_target(std::string_view text) {
  Target target;
  if (!text.starts_with('/')) {
    VOXBUS_TRY(authority, take_authority(text));
    target.authority = authority;
  }
  if (text.starts_with('/')) text.remove_prefix(1);
  auto query = take(text, '#');
  auto path = take(query, '?');
  while (!path.empty()) {
    VOXBUS_TRY(segment, decoded(take(path, '/'), false));
    if (target.path.size() == kMaxSegments) return permanent("the path is too long");
    target.path.push_back(std::move(segment));
  }
  while (!query.empty()) {
    auto rest = take(query, '&');
    if (rest.empty()) continue;
    VOXBUS_TRY(name, decoded(take(rest, '='), true));
    VOXBUS_TRY(value, decoded(rest, true));
    if (target.parameters.size() == kMaxParameters)
      return permanent("there are too many parameters");
    target.parameters.push_back({std::move(name), std::move(value)});
  }
  return target;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain)
      out += c;
    else
      out += '%' + to_hex(std::string_view(&c, 1));
  }
  return out;
}

}  // namespace voxbus::serve
