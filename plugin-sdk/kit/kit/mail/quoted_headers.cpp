// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/quoted_headers.hpp"

#include <algorithm>

#include "kit/mail/attribution.hpp"
#include "kit/mail/names_in_text.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {

HeaderLine header_line(std::string_view line) {
  line = trimmed(without_direction(line));
  while (line.starts_with('*') || line.starts_with('>') || line.starts_with('|'))
    line = trimmed_left(line.substr(1));
  std::size_t colon = line.substr(0, 48).find(':');
  std::size_t length = 1;
  if (const std::size_t wide = line.substr(0, 48).find(kWideColon);
      wide != line.npos && (colon == line.npos || wide < colon)) {
    colon = wide;
    length = kWideColon.size();
  }
  if (colon == line.npos || colon == 0) return {};
  std::string_view name = trimmed(line.substr(0, colon));
  while (name.ends_with('*')) name = trimmed_right(name.substr(0, name.size() - 1));
  // Some pad the names of two characters with a wide blank: 主　题
  std::string compact;
  if (const std::size_t pad = name.find(kWideSpace); pad != name.npos) {
    compact = std::string{name.substr(0, pad)} + std::string{name.substr(pad + kWideSpace.size())};
    name = compact;
  }
  const HeaderRole role = header_role(lower_ascii(name));
  std::string_view value = trimmed(line.substr(colon + length));
  while (value.starts_with('*')) value = trimmed_left(value.substr(1));
  return role == HeaderRole::kNone ? HeaderLine{} : HeaderLine{role, value};
}

HeaderLine header_line_without_colon(std::string_view line) {
  line = trimmed(line);
  const std::size_t blank = line.find(' ');
  if (blank > 24) return {};  // or none
  const HeaderRole role = header_role(lower_ascii(line.substr(0, blank)));
  return role == HeaderRole::kNone ? HeaderLine{} : HeaderLine{role, trimmed(line.substr(blank))};
}

bool says_below(std::string_view line) {
  const std::string lower = lower_ascii(line);
  return std::any_of(below_phrases().begin(), below_phrases().end(), [&](std::string_view phrase) {
    return find_phrase(lower, phrase) != lower.npos;
  });
}

bool asks_for_reply_above(std::string_view line) {
  line = trimmed(line);
  if (line.size() < 16 || line.size() > 120) return false;
  constexpr std::string_view kFrame = "#-=*_[]<> ";
  while (!line.empty() && kFrame.find(line.front()) != kFrame.npos) line.remove_prefix(1);
  const std::string lower = lower_ascii(line);
  return std::any_of(reply_above_phrases().begin(), reply_above_phrases().end(),
                     [&](std::string_view phrase) { return lower.starts_with(phrase); });
}

bool is_header_row(std::string_view line, std::string& author) {
  if (line.size() > 4 * kLongestAttribution) line = line.substr(0, 4 * kLongestAttribution);
  const HeaderLine first = header_line(line);
  if (first.role != HeaderRole::kFrom) return false;
  int roles = 0;
  std::size_t cut = first.value.size();
  for (std::size_t at = 0; at < first.value.size(); ++at) {
    if (first.value[at] != ':' || at == 0) continue;
    std::size_t begin = at;
    while (begin > 0 && leading_blank(first.value.substr(begin - 1)) == 0) --begin;
    std::string_view name = first.value.substr(begin, at - begin);
    while (name.starts_with('*')) name.remove_prefix(1);
    const HeaderRole role = header_role(lower_ascii(name));
    if (role == HeaderRole::kNone) continue;
    if (roles++ == 0) cut = begin;
    if (role == HeaderRole::kSubject && roles >= 2) {
      author = shown_name(first.value.substr(0, cut));
      return true;
    }
  }
  return false;
}

bool is_forward_subject(std::string_view subject) {
  subject = trimmed_left(subject.substr(0, 64));
  const std::size_t end = std::min(subject.find(':'), subject.find(kWideColon));
  return end != subject.npos && is_forward_prefix(lower_ascii(trimmed(subject.substr(0, end))));
}

Announcement announcement(std::string_view line) {
  line = trimmed(line);
  if (line.size() < 5 || line.size() > 240) return Announcement::kNone;
  if (line.size() >= 10 && line.find_first_not_of('_') == line.npos) return Announcement::kRule;
  // "Message du 05/01/26 10:00", as Orange writes above its headers, and nowhere else.
  constexpr std::string_view kOrange = "message du ";
  if (line.size() < 40 && starts_with_ascii(line, kOrange) && line.size() > kOrange.size() &&
      is_digit(line[kOrange.size()]) && is_digit(line.back()))
    return Announcement::kRule;
  constexpr std::string_view kDashes = "-=_*~";
  std::size_t before = 0;
  std::size_t after = 0;
  std::string_view words = line;
  while (!words.empty() && (kDashes.find(words.front()) != kDashes.npos || words.front() == ' ')) {
    before += words.front() == ' ' ? 0 : 1;
    words.remove_prefix(1);
  }
  while (!words.empty() && (kDashes.find(words.back()) != kDashes.npos || words.back() == ' ')) {
    after += words.back() == ' ' ? 0 : 1;
    words.remove_suffix(1);
  }
  const bool dashed = before >= 2 && (after >= 2 || before >= 5);
  const bool colon = words.ends_with(':') || words.ends_with(kWideColon);
  if (!dashed && !(colon && words.size() < 80)) return Announcement::kNone;
  const std::string lower = lower_ascii(words);
  for (const std::string_view phrase : forward_ends()) {
    if (dashed && lower.starts_with(phrase)) return Announcement::kEnd;
  }
  for (const std::string_view phrase : forward_phrases()) {
    // "Forwarded by Ada:" is somebody's line, if no dashes frame it.
    const std::string_view last = phrase.substr(phrase.rfind(' ') + 1);
    const bool by = last == "by" || last == "von" || last == "par" || last == "por" ||
                    last == "da" || last == "door";
    if (by && !dashed) continue;
    if (lower.find(phrase) != lower.npos && (dashed || lower.size() <= phrase.size() + 24)) {
      return Announcement::kForward;
    }
  }
  if (!dashed) return Announcement::kNone;
  for (const std::string_view phrase : original_phrases()) {
    if (lower.find(phrase) != lower.npos) return Announcement::kOriginal;
  }
  return Announcement::kNone;
}

}  // namespace voxbus::kit::mail
