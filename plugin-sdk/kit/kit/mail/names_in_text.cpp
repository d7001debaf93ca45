// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/names_in_text.hpp"

#include <algorithm>
#include <iterator>

#include "kit/mail/attribution.hpp"
#include "kit/mail/phrases.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kMostNameTokens = 6;

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

bool stops_name(const std::vector<Token>& tokens, std::size_t i) {
  if (is_initial(tokens, i)) return false;
  const std::string word = bare(tokens[i].text);
  if (word.empty()) return tokens[i].text.find_first_of("\"'*") == tokens[i].text.npos;
  if (tokens[i].text.front() == '<' || tokens[i].text.find('@', 1) != std::string_view::npos)
    return true;
  // "nora77" is a name, "10:00", "5th" and "GMT+1" are none.
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

bool has_digit(std::string_view text) { return std::any_of(text.begin(), text.end(), is_digit); }

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
