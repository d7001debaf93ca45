// SPDX-License-Identifier: Apache-2.0
//
// Small things that the rooms of this folder share: blanks as mails have them, tokens, bounded
// joining. Pure functions on UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace voxbus::kit::mail {

inline constexpr std::string_view kNoBreakSpace = "\xC2\xA0";
inline constexpr std::string_view kNarrowSpace = "\xE2\x80\xAF";  // before the colon in French
inline constexpr std::string_view kWideColon = "\xEF\xBC\x9A";    // U+FF1A
inline constexpr std::string_view kWideSpace = "\xE3\x80\x80";    // U+3000
inline constexpr std::string_view kZeroWidth = "\xE2\x80\x8B";    // U+200B
inline constexpr std::string_view kNoBreakMark = "\xEF\xBB\xBF";  // U+FEFF

// The length of the blank that the text begins with, 0 when it begins with none.
inline std::size_t leading_blank(std::string_view text) {
  if (text.empty()) return 0;
  if (text[0] == ' ' || text[0] == '\t' || text[0] == '\n' || text[0] == '\r' || text[0] == '\f')
    return 1;
  if (static_cast<unsigned char>(text[0]) < 0xC2) return 0;
  for (const std::string_view blank :
       {kNoBreakSpace, kNarrowSpace, kWideSpace, kZeroWidth, kNoBreakMark}) {
    if (text.starts_with(blank)) return blank.size();
  }
  return 0;
}

inline std::string_view trimmed_left(std::string_view text) {
  while (const std::size_t blank = leading_blank(text)) text.remove_prefix(blank);
  return text;
}

inline std::string_view trimmed_right(std::string_view text) {
  for (;;) {
    if (text.empty()) return text;
    const char last = text.back();
    if (last == ' ' || last == '\t' || last == '\n' || last == '\r' || last == '\f') {
      text.remove_suffix(1);
      continue;
    }
    bool cut = false;
    if (static_cast<unsigned char>(last) >= 0x80) {
      for (const std::string_view blank :
           {kNoBreakSpace, kNarrowSpace, kWideSpace, kZeroWidth, kNoBreakMark}) {
        if (!cut && text.ends_with(blank)) text.remove_suffix(blank.size()), cut = true;
      }
    }
    if (!cut) return text;
  }
}

inline std::string_view trimmed(std::string_view text) { return trimmed_right(trimmed_left(text)); }

// Without the marks of direction at its start, which texts from right to left have.
inline std::string_view without_direction(std::string_view text) {
  while (text.size() >= 3 && text[0] == '\xE2' && text[1] == '\x80' &&
         (text[2] == '\x8E' || text[2] == '\x8F' || (text[2] >= '\xAA' && text[2] <= '\xAE')))
    text.remove_prefix(3);
  return text;
}

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
// A letter, or a byte of a longer sequence, which mostly is one.
inline bool is_letter_byte(char c) {
  return is_ascii_letter(c) || static_cast<unsigned char>(c) >= 0x80;
}

inline char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
inline std::string lower_ascii(std::string_view text) {
  std::string out{text};
  for (char& c : out) c = lower_ascii(c);
  return out;
}

// The letters of Latin-1 and Cyrillic as well; the others are as they were. As long as it was.
inline std::string lower_letters(std::string_view text) {
  std::string out = lower_ascii(text);
  for (std::size_t i = 0; i + 1 < out.size(); ++i) {
    const auto first = static_cast<unsigned char>(out[i]);
    const auto second = static_cast<unsigned char>(out[i + 1]);
    const bool latin = first == 0xC3 && second >= 0x80 && second <= 0x9E && second != 0x97;
    const bool cyrillic = first == 0xD0 && second >= 0x90 && second <= 0x9F;
    if (latin || cyrillic) {
      out[i + 1] = static_cast<char>(second + 0x20);
    } else if (first == 0xD0 && second >= 0xA0 && second <= 0xAF) {
      out[i] = '\xD1';
      out[i + 1] = static_cast<char>(second - 0x20);
    }
  }
  return out;
}

inline bool equal_ascii(std::string_view one, std::string_view other) {
  if (one.size() != other.size()) return false;
  for (std::size_t i = 0; i < one.size(); ++i) {
    if (lower_ascii(one[i]) != lower_ascii(other[i])) return false;
  }
  return true;
}

inline bool starts_with_ascii(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && equal_ascii(text.substr(0, with.size()), with);
}

// The place of a phrase whose neighbours are no letters (where the phrase itself has letters of an
// alphabet), from `from` on; npos when there is none. ASCII case does not count when `text` is
// lower case already.
inline std::size_t find_phrase(std::string_view text, std::string_view phrase,
                               std::size_t from = 0) {
  for (std::size_t at = text.find(phrase, from); at != text.npos; at = text.find(phrase, at + 1)) {
    const bool free_before = at == 0 || !is_ascii_letter(phrase.front()) ||
                             !is_letter_byte(text[at - 1]) ||
                             text.substr(0, at).ends_with(kNoBreakSpace);
    const std::size_t end = at + phrase.size();
    const bool free_after = end == text.size() || !is_ascii_letter(phrase.back()) ||
                            !is_letter_byte(text[end]) || leading_blank(text.substr(end)) > 0 ||
                            text.substr(end).starts_with(kWideColon);
    if (free_before && free_after) return at;
  }
  return text.npos;
}

}  // namespace voxbus::kit::mail
