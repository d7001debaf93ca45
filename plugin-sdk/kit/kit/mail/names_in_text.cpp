// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/names_in_text.hpp"

#include <algorithm>
#include <iterator>

#include "kit/mail/attribution.hpp"
#include "kit/mail/phrases.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kMostNameTokens = 14;

bool is_ascii_capital(std::string_view token) {
  return !token.empty() && token.front() >= 'A' && token.front() <= 'Z';
}

// "A." anywhere, and the "O" of "María de la O": no words between a date and a name.
bool is_initial(const std::vector<Token>& tokens, std::size_t i) {
  const std::string_view text = tokens[i].text;
  if (!is_ascii_capital(text)) return false;
  if (text.size() == 2 && text[1] == '.') return true;
  return text.size() == 1 && text != "Z" && i > 0 && !tokens[i - 1].ends_clause &&
         !has_digit(tokens[i - 1].text) &&
         (is_capital(tokens[i - 1].text) || is_particle(bare(tokens[i - 1].text)));
}

bool is_time(std::string_view text) {
  const std::size_t colon = text.find(':');
  return colon != text.npos && colon > 0 && colon + 1 < text.size() && is_digit(text[colon - 1]) &&
         is_digit(text[colon + 1]);
}

// A day, a year, a zone: figures with marks between them, "2026", "5.", "5th", "+0100".
bool is_date_figure(const std::vector<Token>& tokens, std::size_t i) {
  const std::string_view text = tokens[i].text;
  std::string word = bare(text);
  if (word.empty() || is_time(text) || text.front() == '+' || text.front() == '(' ||
      (text.front() == '-' && text.size() > 1 && is_digit(text[1])) ||
      static_cast<unsigned char>(text.back()) >= 0x80 || text.ends_with('.'))
    return true;
  if (word.starts_with("gmt") || word.starts_with("utc")) return true;
  const auto digits = static_cast<std::size_t>(std::count_if(word.begin(), word.end(), is_digit));
  if (digits == word.size()) {
    // A bare number: a year, or the day beside a month.
    if (digits == 4 && (word[0] == '1' || word[0] == '2')) return true;
    const auto is_month = [&](std::size_t at) {
      return at < tokens.size() && is_day_or_month(bare(tokens[at].text));
    };
    return (i > 0 && is_month(i - 1)) || is_month(i + 1);
  }
  for (std::size_t begin = 0; begin < word.size();) {  // 5-jan-2026, 2026-01-05
    const std::size_t end = std::min(word.find_first_of("-./", begin), word.size());
    const std::string_view piece = std::string_view{word}.substr(begin, end - begin);
    if (piece.size() == 4 && std::all_of(piece.begin(), piece.end(), is_digit) &&
        (piece[0] == '1' || piece[0] == '2'))
      return true;
    if (!piece.empty() && !is_digit(piece[0]) && is_day_or_month(piece)) return true;
    begin = end + 1;
  }
  const std::size_t letters = word.find_first_not_of("0123456789");
  const std::string_view ending = std::string_view{word}.substr(letters);
  if (is_digit(word[0]) &&
      (ending == "st" || ending == "nd" || ending == "rd" || ending == "th" || ending == "h" ||
       ending == "am" || ending == "pm" || (ending.front() == 'h' && is_digit(ending.back()))))
    return true;
  return std::count(word.begin(), word.end(), '.') >= 1 ||
         std::count(word.begin(), word.end(), '/') >= 2;
}

// "1&1", "3M", "Service 24": a figure is a name's where it is no date's and stands behind the date
// and time, or behind a word of the name.
bool is_figure_of_name(const std::vector<Token>& tokens, std::size_t i) {
  if (i == 0 || is_date_figure(tokens, i)) return false;
  const Token& before = tokens[i - 1];
  const std::string word = bare(before.text);
  if (is_wrote(word) || word == "am" || word == "pm" || word == "uhr" || word == "von") return true;
  if (is_time(before.text) || (before.ends_clause && has_digit(word))) return true;
  return is_capital(before.text) && !before.ends_clause && !has_digit(word) &&
         !is_day_or_month(word) && !is_between_date_and_name(word);
}

// "Acme / Ada Lund": a mark between two words of a name.
bool is_mark_of_name(const std::vector<Token>& tokens, std::size_t i) {
  static constexpr std::string_view kMarks[] = {"/", "|", "&", "+", "-", "–"};
  if (std::find(std::begin(kMarks), std::end(kMarks), tokens[i].text) == std::end(kMarks))
    return false;
  if (i == 0 || i + 1 >= tokens.size() || tokens[i - 1].ends_clause) return false;
  const auto is_word = [&](std::size_t at) {
    const std::string word = bare(tokens[at].text);
    return is_capital(tokens[at].text) && !has_digit(word) && !is_day_or_month(word) &&
           !is_between_date_and_name(word);
  };
  return is_word(i - 1) && is_word(i + 1);
}

bool stops_name(const std::vector<Token>& tokens, std::size_t i) {
  if (is_initial(tokens, i) || is_mark_of_name(tokens, i)) return false;
  const std::string word = bare(tokens[i].text);
  if (word.empty()) return tokens[i].text.find_first_of("\"'*") == tokens[i].text.npos;
  if (tokens[i].text.front() == '<' || tokens[i].text.find('@', 1) != std::string_view::npos)
    return true;
  // "nora77" is a name, "10:00", "5th" and "GMT+1" are none.
  if (has_digit(word) && is_figure_of_name(tokens, i)) return false;
  if (has_digit(word)) {
    return !is_ascii_letter(word.front()) ||
           std::none_of(tokens[i].text.begin(), tokens[i].text.end(),
                        [](char c) { return c >= 'a' && c <= 'z'; });
  }
  if (is_between_date_and_name(word)) return true;
  if (!is_day_or_month(word)) return false;
  // "May" and "June" are names as well: a date has a figure beside it.
  const bool figure_before = i > 0 && has_digit(tokens[i - 1].text) && !tokens[i - 1].ends_clause &&
                             tokens[i - 1].text.find(':') == std::string_view::npos;
  const bool figure_after = i + 1 < tokens.size() && has_digit(tokens[i + 1].text);
  return i == 0 || figure_before || figure_after || tokens[i].ends_clause;
}

// "van", "de la", and no word that joins two names.
bool is_name_particle(const Token& token) {
  static constexpr std::string_view kJoin[] = {"of", "the", "und", "and", "y",
                                               "e",  "i",   "og",  "och", "via"};
  const std::string word = bare(token.text);
  return !token.ends_clause && is_particle(word) &&
         std::find(std::begin(kJoin), std::end(kJoin), word) == std::end(kJoin);
}

// Particles from `i` on, and then a name: "van den Berg".
bool leads_name(const std::vector<Token>& tokens, std::size_t i) {
  std::size_t at = i;
  while (at < tokens.size() && at - i < 3 && is_name_particle(tokens[at])) ++at;
  return at > i && at < tokens.size() && is_capital(tokens[at].text) && !stops_name(tokens, at);
}

// Whether a particle at `i` follows a name, past other particles, or is the first of one: "Van der
// Berg".
bool inside_name(const std::vector<Token>& tokens, std::size_t i) {
  while (i > 0 && is_particle(bare(tokens[i].text)) && !is_capital(tokens[i].text)) --i;
  return is_capital(tokens[i].text) && !tokens[i].ends_clause &&
         (!stops_name(tokens, i) || leads_name(tokens, i));
}

// Whether a name begins with the particles around `i`: a comma, a verb or the time stands before
// them, as in "10:00, de Villiers Anne".
bool begins_name(const std::vector<Token>& tokens, std::size_t i) {
  if (is_ascii_capital(tokens[i].text)) return leads_name(tokens, i);
  std::size_t first = i;
  while (first > 0 && is_name_particle(tokens[first - 1]) &&
         !is_ascii_capital(tokens[first - 1].text))
    --first;
  if (first == 0 || !leads_name(tokens, first)) return false;
  const std::string before = bare(tokens[first - 1].text);
  return tokens[first - 1].ends_clause || is_wrote(before) || before == "am" || before == "pm";
}

// "Hagen, Peter": what follows the comma up to the end is a name as well.
bool goes_on(const std::vector<Token>& tokens, std::size_t i) {
  if (i >= tokens.size() || tokens.size() - i > 2) return false;
  for (; i < tokens.size(); ++i) {
    if (!is_capital(tokens[i].text) || has_digit(tokens[i].text) || stops_name(tokens, i) ||
        is_day_or_month(bare(tokens[i].text)))
      return false;
  }
  return true;
}

}  // namespace

bool is_around_verb(const Token& token) {
  return !is_ascii_capital(token.text) && is_around_wrote(bare(token.text));
}

std::string bare(std::string_view token) {
  constexpr std::string_view kAround = "\"'*,;()[]<>.:_|";
  while (!token.empty() && kAround.find(token.front()) != kAround.npos) token.remove_prefix(1);
  while (!token.empty() && kAround.find(token.back()) != kAround.npos) token.remove_suffix(1);
  return lower_ascii(token);
}

bool has_digit(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_digit(text[i])) return true;
    if (i + 1 >= text.size()) continue;
    const auto next = static_cast<unsigned char>(text[i + 1]);
    // Arabic and Persian figures.
    if (text[i] == '\xD9' && next >= 0xA0 && next <= 0xA9) return true;
    if (text[i] == '\xDB' && next >= 0xB0 && next <= 0xB9) return true;
  }
  return false;
}

std::vector<Token> tokens_of(std::string_view text) {
  constexpr std::string_view kWideComma = "\xEF\xBC\x8C";
  constexpr std::string_view kListComma = "\xE3\x80\x81";  // U+3001
  std::vector<Token> out;
  std::size_t at = 0;
  while (at < text.size() && out.size() < kMostTokens) {
    if (const std::size_t blank = leading_blank(text.substr(at))) {
      at += blank;
      continue;
    }
    const std::size_t begin = at;
    bool clause = false;
    while (at < text.size() && leading_blank(text.substr(at)) == 0) {
      if (text.substr(at).starts_with(kWideComma) || text.substr(at).starts_with(kListComma)) {
        clause = true;
        break;
      }
      ++at;
    }
    if (at > begin) {
      const std::string_view token = text.substr(begin, at - begin);
      out.push_back({token, begin, clause || token.back() == ','});
    }
    if (clause) at += kWideComma.size();
  }
  return out;
}

std::optional<Address> last_address(std::string_view text) {
  const std::size_t at = text.rfind('@');
  if (at == text.npos || at == 0 || at + 1 >= text.size()) return std::nullopt;
  constexpr std::string_view kStops = " \t<>()[]\"',;:|";
  std::size_t begin = at;
  while (begin > 0 && kStops.find(text[begin - 1]) == kStops.npos &&
         !text.substr(0, begin).ends_with(kNoBreakSpace)) {
    --begin;
  }
  std::size_t end = at + 1;
  while (end < text.size() && kStops.find(text[end]) == kStops.npos &&
         leading_blank(text.substr(end)) == 0) {
    ++end;
  }
  if (begin == at || end == at + 1) return std::nullopt;
  Address found{begin, end, text.substr(begin, end - begin)};
  if (starts_with_ascii(text.substr(0, found.begin).substr(found.begin >= 7 ? found.begin - 7 : 0),
                        "mailto:") &&
      found.begin >= 7) {
    found.begin -= 7;
  }
  constexpr std::string_view kOpen = "<([";
  constexpr std::string_view kClose = ">)]";
  // "Ada < ada@example.net > wrote": some put blanks inside.
  if (found.begin >= 2 && text[found.begin - 1] == ' ' && text[found.begin - 2] == '<') {
    --found.begin;
    if (text.substr(found.end).starts_with(" >")) ++found.end;
  }
  while (found.begin > 0 && kOpen.find(text[found.begin - 1]) != kOpen.npos) --found.begin;
  while (found.end < text.size() && kClose.find(text[found.end]) != kClose.npos) ++found.end;
  return found;
}

std::string unquoted(std::string_view name) {
  // "'Ada' via Lamps", as lists write that send in somebody's name.
  if (const std::size_t via = name.find("' via "); via != name.npos) name = name.substr(0, via + 1);
  name = trimmed(name);
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view mark : {"\"", "'", "*", ",", ";", "|", "-", "“", "”", "„", "‘", "’",
                                        "[", "]", "，", "­", "\xE2\x80\x8E", "\xE2\x80\x8F"}) {
      if (name.starts_with(mark)) name.remove_prefix(mark.size()), again = true;
      if (name.ends_with(mark)) name.remove_suffix(mark.size()), again = true;
    }
    if (const std::string_view less = trimmed(name); less.size() != name.size()) {
      name = less;
      again = true;
    }
  }
  if (name.size() > 2 && name.front() == '(' && name.back() == ')') {
    name = name.substr(1, name.size() - 2);
  }
  return std::string{name};
}

bool is_particle(std::string_view word) {
  static constexpr std::string_view kParticles[] = {
      "van", "von", "de",  "del", "della", "da", "di",  "der", "den", "la",  "le",  "el", "al",
      "bin", "ibn", "zu",  "zur", "zum",   "du", "dos", "das", "do",  "ter", "ten", "af", "av",
      "of",  "the", "und", "and", "y",     "e",  "i",   "og",  "och", "via", "und"};
  return std::find(std::begin(kParticles), std::end(kParticles), word) != std::end(kParticles);
}

bool is_capital(std::string_view token) {
  while (!token.empty() && std::string_view{"\"'*("}.find(token.front()) != std::string_view::npos)
    token.remove_prefix(1);
  return !token.empty() && ((token.front() >= 'A' && token.front() <= 'Z') ||
                            static_cast<unsigned char>(token.front()) >= 0xC3);
}

std::string name_before(std::string_view text, const std::vector<Token>& tokens, std::size_t end) {
  while (end > 0 && is_around_verb(tokens[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && end - begin < kMostNameTokens) {
    const std::string word = bare(tokens[begin - 1].text);
    const bool inside = begin != end && is_particle(word) &&
                        (inside_name(tokens, begin - 1) || begins_name(tokens, begin - 1));
    if (!inside && stops_name(tokens, begin - 1)) break;
    // A word of a language that we do not have, between date and name.
    const char first = tokens[begin - 1].text.front();
    if (!inside && begin != end && first >= 'a' && first <= 'z' && is_capital(tokens[begin].text))
      break;
    // "10:00, Nora" is parted by the figure already; "Ørsted, Nora" is one name.
    if (tokens[begin - 1].ends_clause && begin != end && end - begin >= 3) break;
    --begin;
  }
  if (begin == end) return {};
  const std::size_t from = tokens[begin].at;
  const Token& last = tokens[end - 1];
  return unquoted(text.substr(from, last.at + last.text.size() - from));
}

std::string name_from(std::string_view text, const std::vector<Token>& tokens, std::size_t begin) {
  while (begin < tokens.size() && is_around_verb(tokens[begin])) ++begin;
  std::size_t end = begin;
  bool clause = false;
  while (end < tokens.size() && end - begin < kMostNameTokens) {
    if (stops_name(tokens, end) && !leads_name(tokens, end)) break;
    if (tokens[end++].ends_clause) {
      clause = goes_on(tokens, end);
      if (clause) end = tokens.size();
      break;
    }
  }
  if (begin == end) return {};
  // "schrieb der Kunde:" is told by somebody; "schrieb von Hagen:" is a name.
  const std::string first = bare(tokens[begin].text);
  if (!clause && !is_ascii_capital(tokens[begin].text) && is_particle(first) && first != "von" &&
      first != "van")
    return {};
  const Token& last = tokens[end - 1];
  return unquoted(text.substr(tokens[begin].at, last.at + last.text.size() - tokens[begin].at));
}

std::string shown_name(std::string_view mailbox) {
  mailbox = trimmed(mailbox);
  if (mailbox.size() > kLongestAttribution) mailbox = mailbox.substr(0, kLongestAttribution);
  const std::size_t open = mailbox.find_first_of("<[");
  if (open != mailbox.npos && open > 0) {
    std::string name = unquoted(mailbox.substr(0, open));
    if (!name.empty()) return name;
  }
  if (const auto address = last_address(mailbox)) {
    std::string name = unquoted(mailbox.substr(0, address->begin));
    return name.empty() ? std::string{address->text} : name;
  }
  return unquoted(mailbox);
}

}  // namespace voxbus::kit::mail
