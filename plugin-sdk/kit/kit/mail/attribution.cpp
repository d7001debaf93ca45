// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/attribution.hpp"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kit/mail/names_in_text.hpp"
#include "kit/mail/phrases.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kMostColons = 12;

struct Evidence {
  bool date = false;
  bool time = false;
};

Evidence evidence_in(std::string_view text) {
  Evidence found;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_digit(text[i])) continue;
    std::size_t end = i;
    while (end < text.size() && is_digit(text[end])) ++end;
    const std::size_t count = end - i;
    const std::string_view after = text.substr(end);
    const char next = end + 1 < text.size() ? text[end] : '\0';
    const bool figure_after = next != '\0' && is_digit(text[end + 1]);
    if (count == 4 && (text[i] == '1' || text[i] == '2')) found.date = true;
    if (count <= 2 && figure_after && next == ':') found.time = true;
    if (count <= 2 && figure_after && next == '.') found.time = true;  // 10.00, or a date
    if (count <= 2 && next == 'h') found.time = true;
    if (count <= 4 && figure_after && (next == '/' || next == '-' || next == '.')) {
      const std::size_t third = text.find_first_not_of("0123456789", end + 1);
      if (third != text.npos && third + 1 < text.size() && text[third] == next &&
          is_digit(text[third + 1])) {
        found.date = true;
      }
    }
    for (const std::string_view unit : {"年", "月", "년", "월"}) {
      if (after.starts_with(unit)) found.date = true;
    }
    i = end;
  }
  return found;
}

bool starts_with_lead(std::string_view lower, std::span<const std::string_view> leads) {
  return std::any_of(leads.begin(), leads.end(), [&](std::string_view lead) {
    if (!lower.starts_with(lead)) return false;
    const std::string_view rest = lower.substr(lead.size());
    return !rest.empty() && (!is_letter_byte(rest.front()) || leading_blank(rest) > 0 ||
                             static_cast<unsigned char>(lead.back()) >= 0xE0);
  });
}

// "a. Next": a sentence ends inside, so the words before it are prose. Abbreviations are short.
bool has_sentence_end(std::string_view text) {
  for (std::size_t i = 3; i + 2 < text.size(); ++i) {
    const bool stop = text[i] == '.' || text[i] == '!' || text[i] == '?';
    if (!stop || text[i + 1] != ' ') continue;
    std::size_t begin = i;
    while (begin > 0 && is_letter_byte(text[begin - 1])) --begin;
    const std::string_view word = text.substr(begin, i - begin);
    const auto letters = std::count_if(word.begin(), word.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    });
    if (text[i] != '.') return true;
    const std::string lower = lower_ascii(word);
    if (letters >= 5 && !is_day_or_month(lower) && !is_between_date_and_name(lower)) return true;
  }
  return false;
}

// "9 Nov", "Nov 9".
bool has_day_of_month(const std::vector<Token>& tokens) {
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const std::string one = bare(tokens[i].text);
    const std::string other = bare(tokens[i + 1].text);
    const auto is_day = [](const std::string& word) {
      return !word.empty() && word.size() <= 2 && std::all_of(word.begin(), word.end(), is_digit);
    };
    if ((is_day(one) && is_day_or_month(other)) || (is_day_or_month(one) && is_day(other)))
      return true;
  }
  return false;
}

// What a language puts before the name, as part of no name.
void take_title(std::string& author, std::string_view verb) {
  constexpr std::string_view kContact = "Kontakt ";  // Gmail in Estonian
  if (verb == "kirjutas" && author.starts_with(kContact)) author.erase(0, kContact.size());
}

// Whether a word begins with a small letter and has no capital: "eBay" is a name.
bool is_small(std::string_view token) {
  while (!token.empty() && std::string_view{"\"'*(["}.find(token.front()) != std::string_view::npos)
    token.remove_prefix(1);
  if (token.empty()) return false;
  const auto first = static_cast<unsigned char>(token[0]);
  const auto second = static_cast<unsigned char>(token.size() > 1 ? token[1] : 0);
  const bool small = (first >= 'a' && first <= 'z') || (first == 0xC3 && second >= 0x9F) ||
                     (first == 0xD0 && second >= 0xB0) || first == 0xD1;  // Latin, Cyrillic
  return small &&
         std::none_of(token.begin(), token.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_of_lead(std::string_view word) {
  static const std::unordered_set<std::string_view> kSet = [] {
    std::unordered_set<std::string_view> words;
    for (const std::string_view lead : attribution_leads()) {
      for (std::size_t at = 0; at < lead.size();) {
        const std::size_t end = std::min(lead.find(' ', at), lead.size());
        words.insert(lead.substr(at, end - at));
        at = end + 1;
      }
    }
    return words;
  }();
  return kSet.contains(word);
}

enum class Told { kByProgram, kDoubtful, kByPerson };

// Who made the sentence, by what stands around the verb and the author: see the header.
Told who_tells(const std::vector<Token>& tokens, std::size_t verb, std::size_t author,
               std::size_t author_end) {
  const auto is_authors = [&](const Token& token) {
    return token.at + token.text.size() > author && token.at < author_end;
  };
  std::size_t first_figure = tokens.size();
  std::size_t last_figure = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (is_authors(tokens[i]) || !has_digit(tokens[i].text)) continue;
    first_figure = std::min(first_figure, i);
    last_figure = i;
  }
  int strange = 0;          // small words that belong to no attribution
  int strange_in_date = 0;  // the same before the date's end: names of months that we lack
  bool author_begins = true;
  std::size_t author_words = 0;
  for (const Token& token : tokens) author_words += is_authors(token) ? 1 : 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string_view text = tokens[i].text;
    if (i == verb || text.front() == '<' || text.find('@') != text.npos) continue;
    const std::string word = bare(text);
    if (word.empty() || has_digit(word)) continue;
    if (is_authors(tokens[i])) {
      const bool begins = std::exchange(author_begins, false);
      if (author_words < 2) continue;
      // "Support and I", "Piet mij".
      if (text == "I" || (is_small(text) && is_pronoun(word))) return Told::kByPerson;
      if (begins && is_possessive(word)) ++strange;
      if (begins && is_small(text) && !is_particle(word)) ++strange;
      // "Fahrer da. Er": a sentence ends.
      const bool last = i + 1 == tokens.size() || !is_authors(tokens[i + 1]);
      if (!last && text.back() == '.' && is_small(text) && word.size() > 1) strange += 2;
      continue;
    }
    if (text == "mi") return Told::kByPerson;  // "Mi." is a day
    if (is_day_or_month(word) || is_between_date_and_name(word) || is_around_wrote(word) ||
        is_of_lead(word) || is_wrote(word)) {
      continue;
    }
    if (text == "I" || is_pronoun(word)) return Told::kByPerson;
    if (is_possessive(word)) {
      strange += 2;
    } else if (is_small(text)) {
      const bool in_date = i < last_figure && !(verb < first_figure && i < verb);
      ++(in_date ? strange_in_date : strange);
    }
  }
  if (strange >= 2 || strange_in_date > 4) return Told::kByPerson;
  return strange > 0 || strange_in_date > 2 ? Told::kDoubtful : Told::kByProgram;
}

// "Tuesday your colleague", "en la caja pone", "Ihr Techniker": who is spoken of, and no name as a
// program shows it.
bool is_spoken_of(const std::vector<Token>& name) {
  int small = 0;
  for (const Token& part : name)
    small += is_small(part.text) && !is_particle(bare(part.text)) ? 1 : 0;
  return small >= 2 || (name.size() >= 2 && is_possessive(bare(name[0].text)));
}

// The reading of text[0, colon) as an attribution that begins at 0.
std::optional<Attribution> reading(std::string_view head) {
  head = trimmed_right(head);
  if (head.size() < 3) return std::nullopt;
  const std::string whole = lower_ascii(head);
  const bool quoting = starts_with_lead(whole, quoting_leads());
  if (quoting) {  // its words are no part of the name
    for (const std::string_view lead : quoting_leads()) {
      if (!whole.starts_with(lead)) continue;
      head = trimmed_left(head.substr(lead.size()));
      break;
    }
  }
  const std::vector<Token> tokens = tokens_of(head);
  if (tokens.empty() || tokens.size() == kMostTokens) return std::nullopt;
  const std::string lower = lower_ascii(head);
  std::size_t verb = tokens.size();  // the last one
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const std::string word = lower_ascii(tokens[i].text);
    if (is_wrote(word) || is_wrote(bare(word))) verb = i;
  }
  bool suffix = false;
  if (static_cast<unsigned char>(head.back()) >= 0x80) {
    for (const std::string_view end : wrote_suffixes()) suffix = suffix || head.ends_with(end);
  }
  const auto address = last_address(head);
  Evidence evidence = evidence_in(head);
  // "Mon, 9 Nov at 10:12": helpdesks leave the year out.
  if (address && evidence.time && !evidence.date) evidence.date = has_day_of_month(tokens);
  const bool has_verb = verb < tokens.size() || suffix;
  const bool lead = starts_with_lead(lower, attribution_leads());
  const bool address_ends = address && head.size() - address->end <= 1;
  const bool bracket_ends = head.back() == ']' || head.back() == ')';
  // "Ada (Mon, 05 Jan 2026 10:00:00 +0100):"
  if (!has_verb && !quoting && !address && head.back() == ')' && evidence.date && evidence.time) {
    const std::string_view name = trimmed(head.substr(0, head.rfind('(')));
    const std::vector<Token> parts = tokens_of(name);
    if (parts.empty() || parts.size() > 4 || has_digit(name)) return std::nullopt;
    if (!std::all_of(parts.begin(), parts.end(), [](const Token& part) {
          return is_capital(part.text) || is_particle(bare(part.text));
        })) {
      return std::nullopt;
    }
    return Attribution{.author = unquoted(name), .weight = 6};
  }
  if (!has_verb && !quoting &&
      !(address && (evidence.date || evidence.time) && (address_ends || bracket_ends))) {
    return std::nullopt;
  }
  if (has_sentence_end(head)) return std::nullopt;

  Attribution found;
  if (address && (!has_verb || suffix || verb == tokens.size() ||
                  // An address among the words of a sentence is no author.
                  address->begin >= tokens[verb].at || head.size() - address->end < 160)) {
    std::size_t before = 0;
    while (before < tokens.size() &&
           tokens[before].at + tokens[before].text.size() <= address->begin)
      ++before;
    found.author = name_before(head, tokens, before);
    // "<nora@example.org>" may be glued to the name: Nora<nora@example.org>
    if (before < tokens.size() && tokens[before].at < address->begin) {
      const std::string glued =
          unquoted(head.substr(tokens[before].at, address->begin - tokens[before].at));
      if (!glued.empty() && !has_digit(glued)) {
        found.author += (found.author.empty() ? "" : " ") + glued;
      }
    }
    if (found.author.empty()) {  // nora@example.org (Nora Ørsted) writes:
      const std::string_view rest = trimmed_left(head.substr(address->end));
      const std::size_t close = rest.find(')');
      if (rest.starts_with('(') && close != rest.npos) {
        found.author = unquoted(rest.substr(1, close - 1));
      }
    }
    if (found.author.empty()) found.author = std::string{address->text};
  } else if (verb < tokens.size()) {
    std::size_t after = verb + 1;
    while (after < tokens.size() && is_around_verb(tokens[after])) ++after;
    if (after < tokens.size()) found.author = name_from(head, tokens, after);
    if (found.author.empty() || after == tokens.size()) {
      found.author = name_before(head, tokens, verb);
    }
    // "Sie" is a month in Polish as well.
    if (found.author.empty() && verb == 1 && lower_ascii(tokens[0].text) == "sie") {
      found.author = std::string{tokens[0].text};
    }
    if (found.author.empty()) return std::nullopt;
    // Prose: "the manual that came with the lamp wrote:"
    if (!evidence.date && !evidence.time && tokens.size() > 5) return std::nullopt;
    if (after < tokens.size() && !evidence.date && !evidence.time && verb > 0 &&
        !is_first_person(bare(tokens[0].text)) && tokens.size() - after > 4) {
      return std::nullopt;
    }
  } else if (suffix) {
    std::string_view name = head;
    for (const std::string_view end : wrote_suffixes()) {
      if (name.ends_with(end)) name.remove_suffix(end.size());
    }
    for (const std::string_view end : {"님이", "님", "さんが", "さんは", "が", "は", "さん", " "}) {
      if (name.ends_with(end)) name.remove_suffix(end.size());
    }
    const std::vector<Token> rest = tokens_of(name);
    found.author = name_before(name, rest, rest.size());
    if (found.author.empty()) return std::nullopt;
  } else if (quoting && is_capital(tokens[0].text)) {
    found.author = name_from(head, tokens, 0);
    if (found.author.empty() || (tokens.size() > 3 && !evidence.date)) return std::nullopt;
  } else {
    return std::nullopt;
  }
  if (verb < tokens.size()) take_title(found.author, bare(tokens[verb].text));
  const std::string author = lower_ascii(found.author);
  // "Sie schrieben": you, and not she.
  const bool you = author == "you" || author == "du" ||
                   (author == "sie" && bare(tokens[verb].text) == "schrieben");
  if (!address && ((is_first_person(author) && !you) || found.author.size() > 120))
    return std::nullopt;

  // "schrieb ich Ihnen": of oneself.
  const std::vector<Token> name = tokens_of(found.author);
  if (!address && !you && !name.empty() && !is_capital(name[0].text) &&
      is_first_person(bare(name[0].text)))
    return std::nullopt;
  // "On … at 10:00 your driver wrote:" is told by somebody, if no mark says that it is a quote.
  const bool named = address || std::any_of(name.begin(), name.end(), [](const Token& part) {
                       return is_capital(part.text) || has_digit(part.text);
                     });

  const std::string first = bare(tokens[0].text);
  const bool starts_well =
      lead || quoting || has_digit(first) || is_day_or_month(first) ||
      (address && address->begin < 64 && tokens_of(head.substr(0, address->begin)).size() <= 5);
  // What stands around the verb and the name.
  Told told = Told::kByProgram;
  if (!suffix || address || verb < tokens.size()) {
    const std::string_view shown = found.author;
    const std::size_t limit = verb < tokens.size() ? tokens[verb].at : head.size();
    std::size_t begin = head.substr(0, address ? address->begin : limit).rfind(shown);
    if (begin == head.npos) begin = head.find(shown, address ? 0 : limit);
    if (begin == head.npos && address) begin = address->begin;
    if (begin != head.npos) {
      const std::size_t end = begin + shown.size();
      told = who_tells(tokens, verb, begin,
                       address && address->end > begin ? std::max(end, address->end) : end);
    }
  }
  if (told == Told::kByPerson) return std::nullopt;
  // Words alone, without a moment or an address.
  if (!address && !evidence.date && !evidence.time && !quoting) {
    const bool nameless = std::all_of(name.begin(), name.end(),
                                      [](const Token& part) { return is_small(part.text); });
    if (is_spoken_of(name) || (nameless && tokens.size() > 2)) return std::nullopt;
  }
  const bool bracketed =
      address && std::string_view{"<(["}.find(head[address->begin]) != std::string_view::npos;
  found.addressed = address.has_value();

  found.weight = 2;
  if (address || quoting) found.weight = 4;
  if (evidence.date || evidence.time) found.weight = 6;
  if (evidence.date && (address || evidence.time) && starts_well) found.weight = 8;
  if (lead && found.weight >= 6) ++found.weight;
  found.certain = evidence.date && (address || (evidence.time && !you)) && starts_well &&
                  has_verb && named && (told == Told::kByProgram || bracketed);
  return found;
}

// "host mx.example.net[192.0.2.1] said: 550 5.1.1 …": a mail server tells what another answered.
bool is_server_reply(std::string_view head, std::string_view rest) {
  head = trimmed_right(head);
  constexpr std::string_view kSaid = "said";
  if (head.size() <= kSaid.size() || !starts_with_ascii(head.substr(head.size() - 4), kSaid))
    return false;
  head = trimmed_right(head.substr(0, head.size() - kSaid.size()));
  rest = trimmed_left(rest);
  if (rest.size() >= 3 && (rest[0] == '2' || rest[0] == '4' || rest[0] == '5') &&
      is_digit(rest[1]) && is_digit(rest[2]) &&
      (rest.size() == 3 || rest[3] == ' ' || rest[3] == '-')) {
    return true;
  }
  const std::size_t blank = head.find_last_of(" \t");
  const std::string_view host = head.substr(blank == head.npos ? 0 : blank + 1);
  if (host.ends_with(']') && host.find('[') != host.npos) return true;
  return std::count(host.begin(), host.end(), '.') >= 2 &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '.';
         });
}

// Whether there is a verb or an address at all: most lines with a colon have neither.
bool may_name_somebody(std::string_view text) {
  text = text.substr(0, kLongestAttribution);
  if (text.find('@') != text.npos || text.find("):") != text.npos) return true;
  for (const std::string_view end : wrote_suffixes()) {
    if (text.find(end) != text.npos) return true;
  }
  std::string word;
  for (std::size_t at = 0; at <= text.size(); ++at) {
    const bool blank = at == text.size() || text[at] == ' ' || text[at] == ':' ||
                       text[at] == '\t' || text[at] == '\xC2' || text[at] == '\xE2';
    if (!blank) {
      word += lower_ascii(text[at]);
      continue;
    }
    if (!word.empty() && (is_wrote(word) || is_wrote(bare(word)))) return true;
    word.clear();
  }
  return starts_with_lead(lower_ascii(text), quoting_leads());
}

// "---- On …, Ada <ada@example.net> wrote ----", as Zoho writes.
bool ends_with_dashes(std::string_view text) {
  text = trimmed_right(text);
  return text.ends_with("---") && text.find_first_not_of("- ") != text.npos;
}

std::optional<Attribution> framed_by_dashes(std::string_view text) {
  if (text.size() > kLongestAttribution || !text.starts_with("---")) return std::nullopt;
  std::string_view inner = trimmed_right(text);
  while (inner.starts_with('-')) inner.remove_prefix(1);
  while (inner.ends_with('-')) inner.remove_suffix(1);
  inner = trimmed(inner);
  if (!may_name_somebody(inner)) return std::nullopt;
  auto found = reading(inner);
  if (!found || found->weight < 6) return std::nullopt;
  found->addressed = true;
  found->end = text.size();
  return found;
}

// ">>> Ada <ada@example.net> 05.01.2026 10:00 >>>", as GroupWise writes; no further verb.
std::optional<Attribution> framed_by_arrows(std::string_view text) {
  const std::string_view whole = trimmed_right(text);
  const std::string_view inner = trimmed(whole.substr(3, whole.size() - 6));
  const std::vector<Token> tokens = tokens_of(inner);
  if (tokens.empty() || tokens.size() == kMostTokens) return std::nullopt;
  Attribution found;
  if (const auto address = last_address(inner)) {
    found.author = shown_name(inner.substr(0, address->end));
  } else {
    found.author = name_from(inner, tokens, 0);
  }
  if (found.author.empty()) return std::nullopt;
  found.weight = 9;
  found.certain = true;
  found.addressed = true;
  found.end = text.size();
  return found;
}

// Where an attribution may begin after own words in the same line.
std::size_t inner_lead(std::string_view lower) {
  std::size_t best = lower.npos;
  for (const std::string_view lead : attribution_leads()) {
    if (!is_ascii_letter(lead.front()) || lead.size() < 2) continue;
    for (std::size_t at = find_phrase(lower, lead, 1); at != lower.npos;
         at = find_phrase(lower, lead, at + 1)) {
      const std::string_view after = lower.substr(at + lead.size(), 24);
      if (!has_digit(after)) continue;
      const std::string_view before = trimmed_right(lower.substr(0, at));
      const char end = before.empty() ? '.' : before.back();
      // "Am Montag, den 5.1.2026": the date goes on.
      if (before.size() < 40) {
        const std::vector<Token> words = tokens_of(before);
        if (words.size() <= 2 && !words.empty() && is_day_or_month(bare(words.back().text)))
          continue;
      }
      if (end != '.' && end != '!' && end != '?' && end != ',' && end != ')' && end != ';')
        continue;
      if (best == lower.npos || at > best) best = at;
    }
  }
  return best;
}

}  // namespace

bool is_framed_by_arrows(std::string_view text) {
  constexpr std::string_view kArrows = ">>>";
  text = trimmed_right(text);
  if (text.size() < 12 || text.size() > kLongestAttribution) return false;
  if (!text.starts_with(kArrows) || !text.ends_with(kArrows) || text[3] != ' ') return false;
  const std::string_view inner = text.substr(3, text.size() - 6);
  const Evidence found = evidence_in(inner);
  return has_digit(inner) && (inner.find('@') != inner.npos || (found.date && found.time));
}

bool may_end_attribution(std::string_view text) {
  if (text.size() > 4 * kLongestAttribution) return false;
  if (ends_with_dashes(text) || is_framed_by_arrows(text)) return true;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == ':') {
      const bool figures =
          at > 0 && at + 1 < text.size() && is_digit(text[at - 1]) && is_digit(text[at + 1]);
      if (!figures && !text.substr(at).starts_with("://")) return true;
    } else if (c == '\xEF' && text.substr(at).starts_with(kWideColon)) {
      return true;
    }
  }
  return false;
}

std::optional<Attribution> find_attribution(std::string_view text) {
  std::optional<Attribution> best;
  if (is_framed_by_arrows(text)) return framed_by_arrows(text);
  if (ends_with_dashes(text)) {
    if (auto found = framed_by_dashes(text)) return found;
  }
  if (!may_name_somebody(text)) return best;
  std::size_t colons = 0;
  const std::size_t limit = std::min(text.size(), kLongestAttribution);
  for (std::size_t at = 0; at < limit && colons < kMostColons; ++at) {
    std::string_view marker;
    if (text[at] == ':') {
      marker = ":";
      const bool figures =
          at > 0 && at + 1 < text.size() && is_digit(text[at - 1]) && is_digit(text[at + 1]);
      if (figures || text.substr(at).starts_with("://")) continue;
      if (starts_with_ascii(text.substr(0, at).substr(at >= 6 ? at - 6 : 0), "mailto")) continue;
    } else if (text[at] == '\xEF' && text.substr(at).starts_with(kWideColon)) {
      marker = kWideColon;
    } else {
      continue;
    }
    ++colons;
    const std::string_view head = text.substr(0, at);
    if (is_server_reply(head, text.substr(at + marker.size()))) continue;
    auto found = reading(head);
    const std::string lower = lower_ascii(head);
    if (const std::size_t inner = inner_lead(lower); inner != lower.npos) {
      auto later = reading(head.substr(inner));
      if (later && later->certain && (!found || later->weight >= found->weight)) {
        later->begin = inner;
        found = std::move(later);
      }
    }
    if (!found || (best && best->weight >= found->weight)) continue;
    found->end = at + marker.size();
    best = std::move(found);
  }
  return best;
}

std::string attributed_author(std::string_view text) {
  if (auto found = find_attribution(text)) return found->author;
  const auto address = last_address(text);
  if (!address) return {};
  const std::vector<Token> tokens = tokens_of(text.substr(0, address->begin));
  std::string name = name_before(text, tokens, tokens.size());
  return name.empty() ? std::string{address->text} : name;
}

}  // namespace voxbus::kit::mail
