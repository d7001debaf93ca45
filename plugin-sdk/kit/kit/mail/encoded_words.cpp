// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/encoded_words.hpp"

#include <algorithm>
#include <optional>

#include "kit/mail/charset.hpp"
#include "kit/mail/words.hpp"
#include "voxbus/text.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kLongestCharset = 64;

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  c = lower_ascii(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (is_digit(c)) return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

std::string from_base64(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    const int value = base64_value(c);
    if (value < 0) {
      // Padding in the middle: two words were glued into one.
      if (c == '=') bits = 0, count = 0;
      continue;
    }
    bits = (bits << 6) | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xFF);
    }
  }
  return out;
}

std::string from_q(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      out += ' ';
    } else if (text[i] == '=' && i + 2 < text.size() + 0 && hex_value(text[i + 1]) >= 0 &&
               hex_value(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct Word {
  std::string charset;
  char encoding = 'q';
  std::string bytes;
  std::size_t length = 0;
};

// The encoded word at value[0]; `end_known` tells that a "?=" still comes, so that a million
// beginnings are not a million searches.
std::optional<Word> word_at(std::string_view value, bool& end_known) {
  if (!value.starts_with("=?") || !end_known) return std::nullopt;
  const std::size_t charset_end = value.substr(0, kLongestCharset).find('?', 2);
  if (charset_end == value.npos || charset_end == 2) return std::nullopt;
  if (charset_end + 2 >= value.size() || value[charset_end + 2] != '?') return std::nullopt;
  const char encoding = lower_ascii(value[charset_end + 1]);
  if (encoding != 'q' && encoding != 'b') return std::nullopt;
  const std::size_t begin = charset_end + 3;
  // In Q the text itself may begin with '=': "=?utf-8?q?=C3=A9?="
  const std::size_t end = value.find("?=", begin);
  if (end == value.npos) {
    end_known = false;
    return std::nullopt;
  }
  const std::string_view text = value.substr(begin, end - begin);
  if (text.find("=?") != text.npos && text.find('?') < text.size() && encoding == 'b')
    return std::nullopt;
  Word word;
  std::string_view charset = value.substr(2, charset_end - 2);
  charset = charset.substr(0, charset.find('*'));  // RFC 2231: a language behind it
  word.charset = lower_ascii(charset);
  if (charset.find_first_of(" \t<>@") != charset.npos) return std::nullopt;
  word.encoding = encoding;
  word.bytes = encoding == 'b' ? from_base64(text) : from_q(text);
  word.length = end + 2;
  return word;
}

}  // namespace

std::string decoded_header(std::string_view value, std::string_view raw_charset,
                           std::string* guessed) {
  std::string out;
  std::string plain;    // bytes that no word encodes
  std::string pending;  // bytes of words of one charset: a character may be cut between them
  std::string charset;
  bool end_known = true;
  const auto flush_plain = [&] {
    if (!plain.empty()) {
      Decoded raw = decode_in_header(plain, raw_charset);
      out += raw.text;
      if (guessed && guessed->empty()) *guessed = std::move(raw.guessed);
    }
    plain.clear();
  };
  const auto flush_words = [&] {
    if (!pending.empty()) out += decoded(pending, charset);
    pending.clear();
  };
  for (std::size_t at = 0; at < value.size();) {
    const char c = value[at];
    if (c == '=') {
      if (auto word = word_at(value.substr(at), end_known)) {
        // Blanks between two words are none.
        const bool adjacent = !pending.empty() && plain.find_first_not_of(" \t\r\n") == plain.npos;
        if (adjacent) {
          plain.clear();
          if (word->charset != charset) flush_words();
        } else {
          flush_words();
          flush_plain();
        }
        charset = word->charset;
        pending += word->bytes;
        at += word->length;
        continue;
      }
    }
    if (!pending.empty() && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
      flush_words();
    }
    plain += c;
    ++at;
  }
  flush_words();
  flush_plain();
  // One line: breaks and other controls are blanks, and blanks in a row are one.
  std::string line;
  line.reserve(out.size());
  for (const char c : out) {
    const bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
    if (control || c == ' ') {
      if (!line.empty() && line.back() != ' ') line += ' ';
    } else {
      line += c;
    }
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

}  // namespace voxbus::kit::mail
