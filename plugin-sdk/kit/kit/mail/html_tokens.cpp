// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/html_tokens.hpp"

#include <libxml/HTMLparser.h>

#include <algorithm>
#include <array>

#include "kit/mail/words.hpp"
#include "voxbus/text.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kLongestTag = 256 * 1024;
constexpr int kMostBrokenTags = 16;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

std::size_t name_end(std::string_view text, std::size_t at) {
  while (at < text.size() && !is_space(text[at]) && text[at] != '>' && text[at] != '/') ++at;
  return at;
}

void append_code_point(std::string& out, unsigned long code) {
  // What Windows programs write instead of the characters that they mean.
  static constexpr std::array<unsigned short, 32> kWindows{
      0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
      0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
      0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178};
  if (code >= 0x80 && code < 0xA0) code = kWindows[code - 0x80];
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) code = 0xFFFD;
  voxbus::append_utf8(out, static_cast<std::uint32_t>(code));
}

// The entity at text[0] == '&': its length, or 0 when it is none.
std::size_t append_entity(std::string& out, std::string_view text) {
  if (text.size() < 3) return 0;
  if (text[1] == '#') {
    const bool hex = text[2] == 'x' || text[2] == 'X';
    std::size_t at = hex ? 3 : 2;
    const std::size_t begin = at;
    unsigned long code = 0;
    for (; at < text.size() && at - begin < 9; ++at) {
      const char c = lower_ascii(text[at]);
      if (is_digit(c)) {
        code = code * (hex ? 16 : 10) + static_cast<unsigned long>(c - '0');
      } else if (hex && c >= 'a' && c <= 'f') {
        code = code * 16 + static_cast<unsigned long>(c - 'a' + 10);
      } else {
        break;
      }
    }
    if (at == begin) return 0;
    append_code_point(out, code);
    return at < text.size() && text[at] == ';' ? at + 1 : at;
  }
  std::array<char, 12> name{};
  std::size_t length = 0;
  while (length + 1 < name.size() && length + 1 < text.size() &&
         (is_ascii_letter(text[length + 1]) || is_digit(text[length + 1]))) {
    name[length] = text[length + 1];
    ++length;
  }
  if (length < 2) return 0;
  const bool closed = length + 1 < text.size() && text[length + 1] == ';';
  const std::string_view word{name.data(), length};
  unsigned code = 0;
  if (word == "nbsp") {
    code = 0xA0;
  } else if (word == "amp") {
    code = '&';
  } else if (word == "lt") {
    code = '<';
  } else if (word == "gt") {
    code = '>';
  } else if (word == "quot") {
    code = '"';
  } else if (word == "apos") {
    code = '\'';
  } else if (closed) {
    const htmlEntityDesc* found = htmlEntityLookup(reinterpret_cast<const xmlChar*>(name.data()));
    if (found) code = found->value;
  }
  if (code == 0) return 0;
  append_code_point(out, code);
  return length + 1 + (closed ? 1 : 0);
}

struct Attribute {
  std::string_view name;
  std::string_view value;
};

// Goes on by one attribute; false at the end.
bool next_attribute(std::string_view& rest, Attribute& out) {
  std::size_t at = 0;
  while (at < rest.size() && (is_space(rest[at]) || rest[at] == '/')) ++at;
  if (at == rest.size()) return false;
  std::size_t end = at + 1;
  while (end < rest.size() && !is_space(rest[end]) && rest[end] != '=' && rest[end] != '/') ++end;
  out = {rest.substr(at, end - at), {}};
  at = end;
  while (at < rest.size() && is_space(rest[at])) ++at;
  if (at < rest.size() && rest[at] == '=') {
    ++at;
    while (at < rest.size() && is_space(rest[at])) ++at;
    if (at < rest.size() && (rest[at] == '"' || rest[at] == '\'')) {
      const std::size_t close = std::min(rest.find(rest[at], at + 1), rest.size());
      out.value = rest.substr(at + 1, close - at - 1);
      at = std::min(close + 1, rest.size());
    } else {
      end = at;
      while (end < rest.size() && !is_space(rest[end])) ++end;
      out.value = rest.substr(at, end - at);
      at = end;
    }
  } else {
    at = end;
  }
  rest.remove_prefix(at);
  return true;
}

}  // namespace

// The '>' that ends the tag, past quoted values; npos when there is none.
std::size_t HtmlTokens::tag_end(std::size_t from) {
  const std::size_t limit = std::min(html_.size(), from + kLongestTag);
  char quote = '\0';
  bool value = false;  // behind '='
  for (std::size_t i = from; i < limit; ++i) {
    const char c = html_[i];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '>') {
      return i;
    } else if ((c == '"' || c == '\'') && value) {
      quote = c;
      value = false;
    } else if (c == '=') {
      value = true;
    } else if (!is_space(c)) {
      value = false;
    }
  }
  // A quote that nobody closes: the first '>' then, for so many tags as a person's program makes.
  if (broken_tags_++ < kMostBrokenTags) {
    const std::size_t end = html_.substr(0, limit).find('>', from);
    if (end != html_.npos) return end;
  }
  return html_.npos;
}

// At "<!" or "<?": moves past it.
bool HtmlTokens::skip_declaration() {
  if (html_.substr(at_).starts_with("<!--") && comments_end_) {
    // "<!-->" and "<!--->" are whole comments.
    const std::size_t end = html_.find("-->", at_ + 2);
    if (end != html_.npos) {
      at_ = end + 3;
      return true;
    }
    comments_end_ = false;
  }
  const std::size_t end = html_.find('>', at_);
  at_ = end == html_.npos ? html_.size() : end + 1;
  return true;
}

// Inside script or style: moves to its end tag, or to the end when there is none.
bool HtmlTokens::skip_raw(std::string_view name) {
  for (std::size_t at = html_.find("</", at_); at != html_.npos; at = html_.find("</", at + 2)) {
    if (starts_with_ascii(html_.substr(at + 2), name)) {
      at_ = at;
      return true;
    }
  }
  at_ = html_.size();
  return false;
}

HtmlToken HtmlTokens::next() {
  if (!raw_.empty()) {
    skip_raw(raw_);
    raw_ = {};
  }
  while (at_ < html_.size()) {
    if (html_[at_] != '<') {
      const std::size_t end = std::min(html_.find('<', at_), html_.size());
      const HtmlToken token{.kind = HtmlToken::Kind::kText, .text = html_.substr(at_, end - at_)};
      at_ = end;
      return token;
    }
    const char c = at_ + 1 < html_.size() ? html_[at_ + 1] : '\0';
    if (c == '!' || c == '?') {
      skip_declaration();
      continue;
    }
    const bool close = c == '/';
    const std::size_t begin = at_ + (close ? 2 : 1);
    if (begin >= html_.size() || !is_ascii_letter(html_[begin])) {
      // "a < b", "<3": words.
      const std::size_t end = std::min(html_.find('<', at_ + 1), html_.size());
      const HtmlToken token{.kind = HtmlToken::Kind::kText, .text = html_.substr(at_, end - at_)};
      at_ = end;
      return token;
    }
    std::size_t end = tag_end(begin);
    if (end == html_.npos) end = std::min(html_.size(), begin + kLongestTag);
    const std::size_t name = std::min(name_end(html_, begin), end);
    HtmlToken token{.kind = close ? HtmlToken::Kind::kClose : HtmlToken::Kind::kOpen,
                    .name = html_.substr(begin, name - begin),
                    .attributes = html_.substr(name, end - name)};
    at_ = std::min(end + 1, html_.size());
    if (!close) {
      for (const std::string_view raw : {"script", "style", "title", "textarea", "xmp"}) {
        if (equal_ascii(token.name, raw)) raw_ = raw;
      }
    }
    return token;
  }
  return {};
}

std::string html_attribute(std::string_view attributes, std::string_view name, std::size_t most) {
  Attribute one;
  while (next_attribute(attributes, one)) {
    if (!equal_ascii(one.name, name)) continue;
    std::string out;
    append_html_text(out, one.value.substr(0, most));
    return out;
  }
  return {};
}

bool has_html_attribute(std::string_view attributes, std::string_view name) {
  Attribute one;
  while (next_attribute(attributes, one)) {
    if (equal_ascii(one.name, name)) return true;
  }
  return false;
}

void append_html_text(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t mark = std::min(text.find('&'), text.size());
    out.append(text, 0, mark);
    text.remove_prefix(mark);
    if (text.empty()) return;
    std::size_t used = append_entity(out, text);
    if (used == 0) {
      out += '&';
      used = 1;
    }
    text.remove_prefix(used);
  }
}

}  // namespace voxbus::kit::mail
