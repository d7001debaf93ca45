// SPDX-License-Identifier: Apache-2.0
#include "intake/clean_text.hpp"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include "base/text.hpp"

namespace voxbus::intake {
namespace {

// Most text is plain ASCII and needs nothing: one pass finds out.
bool is_clean_ascii(std::string_view text, Lines lines) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x7f) return false;
    if (byte < 0x20 && (lines == Lines::one || (byte != '\n' && byte != '\t'))) return false;
  }
  return true;
}

std::string without_controls(std::string_view text, Lines lines) {
  std::string out;
  out.reserve(text.size());
  const char line_break = lines == Lines::many ? '\n' : ' ';
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const auto length = utf8_length(byte);
    if (length == 1) {
      if (byte == '\r') {
        out += line_break;
        if (at + 1 < text.size() && text[at + 1] == '\n') ++at;
      } else if (byte == '\n') {
        out += line_break;
      } else if (byte == '\t') {
        out += lines == Lines::many ? '\t' : ' ';
      } else if (byte >= 0x20 && byte != 0x7f) {
        out += text[at];
      }
    } else {
      switch (sort_of(text.substr(at, length))) {
        case CharacterSort::plain:
          out.append(text, at, length);
          break;
        case CharacterSort::line_break:
          out += line_break;
          break;
        case CharacterSort::unsafe:
          break;
      }
    }
    at += length;
  }
  return out;
}

std::string nfc(std::string text) {
  UErrorCode code = U_ZERO_ERROR;
  const auto* const normalizer = icu::Normalizer2::getNFCInstance(code);
  if (U_FAILURE(code) || normalizer->isNormalizedUTF8(text, code)) return text;
  std::string out;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  normalizer->normalizeUTF8(0, text, sink, nullptr, code);
  return U_SUCCESS(code) ? out : text;
}

}  // namespace

std::string clean_text(std::string_view text, Lines lines) {
  if (is_clean_ascii(text, lines)) return std::string(text);
  return nfc(without_controls(is_utf8(text) ? std::string(text) : utf8_repaired(text), lines));
}

}  // namespace voxbus::intake
