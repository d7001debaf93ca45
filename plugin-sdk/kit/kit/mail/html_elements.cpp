// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/html_elements.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "kit/mail/html_tokens.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {

Tag tag_of(std::string_view name) {
  static const std::unordered_map<std::string_view, Tag> kTags{
      {"p", Tag::kParagraph},      {"div", Tag::kDiv},         {"br", Tag::kBreak},
      {"hr", Tag::kRule},          {"li", Tag::kItem},         {"td", Tag::kCell},
      {"th", Tag::kCell},          {"tr", Tag::kRow},          {"table", Tag::kBlock},
      {"a", Tag::kLink},           {"img", Tag::kImage},       {"pre", Tag::kPre},
      {"blockquote", Tag::kQuote}, {"script", Tag::kUnseen},   {"style", Tag::kUnseen},
      {"title", Tag::kUnseen},     {"template", Tag::kUnseen}, {"object", Tag::kUnseen},
      {"svg", Tag::kUnseen},       {"select", Tag::kUnseen},   {"textarea", Tag::kUnseen},
      {"ol", Tag::kOrdered},       {"ul", Tag::kUnordered},    {"dir", Tag::kUnordered},
      {"h1", Tag::kSpaced},        {"h2", Tag::kSpaced},       {"h3", Tag::kSpaced},
      {"h4", Tag::kSpaced},        {"h5", Tag::kSpaced},       {"h6", Tag::kSpaced},
      {"dl", Tag::kSpaced},        {"dt", Tag::kBlock},        {"dd", Tag::kBlock},
      {"article", Tag::kBlock},    {"section", Tag::kBlock},   {"header", Tag::kBlock},
      {"footer", Tag::kBlock},     {"form", Tag::kBlock},      {"address", Tag::kBlock},
      {"center", Tag::kBlock},     {"caption", Tag::kBlock},   {"tbody", Tag::kBlock},
      {"thead", Tag::kBlock},      {"fieldset", Tag::kBlock},  {"figure", Tag::kBlock},
      {"main", Tag::kBlock},       {"nav", Tag::kBlock},       {"aside", Tag::kBlock},
      {"details", Tag::kBlock},    {"summary", Tag::kBlock},   {"body", Tag::kBody}};
  if (name.size() > 10) return Tag::kOther;
  std::array<char, 10> lower{};
  for (std::size_t i = 0; i < name.size(); ++i) lower[i] = lower_ascii(name[i]);
  const auto found = kTags.find(std::string_view{lower.data(), name.size()});
  return found == kTags.end() ? Tag::kOther : found->second;
}

bool is_void(std::string_view name) {
  for (const std::string_view one : {"br", "hr", "img", "input", "meta", "link", "col", "area",
                                     "base", "embed", "wbr", "source", "track", "param"}) {
    if (equal_ascii(name, one)) return true;
  }
  return false;
}

std::string compact_style(std::string_view attributes) {
  std::string style = lower_ascii(html_attribute(attributes, "style"));
  std::erase_if(style, [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
  return style;
}

bool declares(const std::string& style, std::string_view declaration) {
  for (std::size_t at = style.find(declaration); at != style.npos;
       at = style.find(declaration, at + 1)) {
    const bool begins = at == 0 || style[at - 1] == ';';
    const std::size_t end = at + declaration.size();
    const bool ends = end == style.size() || (!is_digit(style[end]) && style[end] != '.');
    if (begins && ends) return true;
  }
  return false;
}

bool is_nothing(const std::string& style, std::string_view property) {
  const std::size_t at = style.find(property);
  if (at == style.npos || (at > 0 && style[at - 1] != ';')) return false;
  std::size_t i = at + property.size();
  if (i == style.size() || style[i] != '0') return false;
  while (i < style.size() && (style[i] == '0' || style[i] == '.')) ++i;
  return i == style.size() || !is_digit(style[i]);
}

bool is_hidden(std::string_view attributes, const std::string& style) {
  if (declares(style, "display:none") || declares(style, "visibility:hidden") ||
      declares(style, "mso-hide:all") || is_nothing(style, "opacity:") ||
      is_nothing(style, "font-size:") || is_nothing(style, "max-height:")) {
    return true;
  }
  return has_html_attribute(attributes, "hidden");
}

bool has_class(const std::string& classes, std::string_view one) {
  for (std::size_t at = classes.find(one); at != classes.npos; at = classes.find(one, at + 1)) {
    const std::size_t end = at + one.size();
    if ((at == 0 || classes[at - 1] == ' ') && (end == classes.size() || classes[end] == ' '))
      return true;
  }
  return false;
}

}  // namespace voxbus::kit::mail
