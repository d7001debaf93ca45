// SPDX-License-Identifier: Apache-2.0
#include "imap/names.hpp"

#include <iconv.h>

#include <algorithm>
#include <cstdint>

#include "voxbus/text.hpp"

namespace voxbus::email::imap {
namespace {

std::string converted(const std::string& text, const char* to, const char* from) {
  iconv_t converter = ::iconv_open(to, from);
  // Its way of saying that it cannot: (iconv_t)-1.
  if (reinterpret_cast<std::intptr_t>(converter) == -1) return text;
  std::string out(text.size() * 8 + 16, '\0');
  char* in = const_cast<char*>(text.data());
  std::size_t in_left = text.size();
  char* at = out.data();
  std::size_t out_left = out.size();
  const bool done =
      ::iconv(converter, &in, &in_left, &at, &out_left) != static_cast<std::size_t>(-1) &&
      ::iconv(converter, nullptr, nullptr, &at, &out_left) != static_cast<std::size_t>(-1);
  ::iconv_close(converter);
  if (!done) return text;
  out.resize(out.size() - out_left);
  return out;
}

}  // namespace

std::string capitals(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return out;
}

std::string wire_name(const std::string& name) { return converted(name, "UTF-7-IMAP", "UTF-8"); }
std::string shown_name(const std::string& name) {
  return to_utf8(converted(name, "UTF-8", "UTF-7-IMAP"));
}

}  // namespace voxbus::email::imap
