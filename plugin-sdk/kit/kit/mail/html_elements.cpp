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

std::string_view value_of(std::string_view style, std::string_view property) {
  constexpr std::string_view kImportant = "!important";
  std::string_view best;
  bool important = false;
  while (!style.empty()) {
    const std::size_t end = std::min(style.find(';'), style.size());
    std::string_view one = style.substr(0, end);
    style.remove_prefix(std::min(end + 1, style.size()));
    if (one.size() <= property.size() || !one.starts_with(property) || one[property.size()] != ':')
      continue;
    one.remove_prefix(property.size() + 1);
    const bool weighs = one.ends_with(kImportant);
    if (weighs) one.remove_suffix(kImportant.size());
    if (important && !weighs) continue;
    best = one;
    important = weighs;
  }
  return best;
}

namespace {

constexpr std::string_view kHidingClasses[] = {"preh", "preview", "hid", "spacer"};

bool is_zero(std::string_view value) {
  if (value.empty() || (!is_digit(value[0]) && value[0] != '.')) return false;
  const std::size_t end = std::min(value.find_first_not_of("0."), value.size());
  return value.substr(0, end).find('0') != value.npos &&
         (end == value.size() || !is_digit(value[end]));
}

// ".5px": no letter is seen.
bool is_below_a_pixel(std::string_view size) {
  if (!size.ends_with("px") && !size.ends_with("pt")) return false;
  size.remove_suffix(2);
  const std::size_t point = size.find('.');
  return point != size.npos && size.find_first_not_of("0123456789.") == size.npos &&
         size.substr(0, point).find_first_not_of('0') == size.npos;
}

// The system's own fonts have a size, and what is initial as well.
bool is_font_of_system(std::string_view font) {
  static constexpr std::string_view kFonts[] = {
      "caption", "icon", "menu", "message-box", "small-caption", "status-bar", "initial"};
  return std::find(std::begin(kFonts), std::end(kFonts), font) != std::end(kFonts);
}

// Of nothing a part is nothing.
bool is_part_of_outer(std::string_view size) {
  if (size == "inherit" || size == "unset" || size == "smaller" || size == "larger") return true;
  return size.ends_with('%') || (size.ends_with("em") && !size.ends_with("rem"));
}

}  // namespace

bool is_gone(std::string_view attributes, const std::string& style) {
  if (value_of(style, "display") == "none" || is_zero(value_of(style, "opacity"))) return true;
  if (is_zero(value_of(style, "max-height")) && value_of(style, "overflow") == "hidden")
    return true;
  return has_html_attribute(attributes, "hidden");
}

Unseen unseen_within(Unseen outer, std::string_view name, std::string_view attributes,
                     const std::string& style, bool sheets) {
  Unseen found = outer;
  const std::string_view visibility = value_of(style, "visibility");
  if (visibility == "hidden" || visibility == "collapse") found.veiled = true;
  if (visibility == "visible" || visibility == "initial") found.veiled = false;
  const std::string_view size = value_of(style, "font-size");
  if (!size.empty()) {
    found.tiny = is_zero(size) || is_below_a_pixel(size) || (found.tiny && is_part_of_outer(size));
    return found;
  }
  if (!outer.tiny) return found;
  const std::string_view font = value_of(style, "font");
  const bool sized = is_font_of_system(font) || std::any_of(font.begin(), font.end(), [](char c) {
                       return c >= '1' && c <= '9';
                     });
  // Without a doctype tables begin anew, and nobody writes one for letters of no size.
  if (sized || equal_ascii(name, "table") ||
      (equal_ascii(name, "font") && has_html_attribute(attributes, "size"))) {
    found.tiny = false;
  } else if (sheets && has_html_attribute(attributes, "class")) {
    const std::string classes = lower_ascii(html_attribute(attributes, "class", 512));
    found.tiny =
        std::any_of(std::begin(kHidingClasses), std::end(kHidingClasses),
                    [&](std::string_view one) { return classes.find(one) != classes.npos; });
  }
  return found;
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
