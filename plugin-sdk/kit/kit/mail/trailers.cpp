// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/trailers.hpp"

#include <algorithm>
#include <iterator>

#include "kit/mail/device_lines.hpp"
#include "kit/mail/names_in_text.hpp"
#include "kit/mail/phrases.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kMostFooterLines = 14;
constexpr std::size_t kMostSignatureLines = 40;
constexpr std::size_t kMostBareSignatureLines = 6;
constexpr std::size_t kLongSignatureLine = 80;  // bytes
constexpr int kFewestBlanksOfASentence = 3;
constexpr int kMostTrailers = 8;  // one below the other

using Lines = std::vector<QuoteLine>;

bool is_separator(std::string_view line) {
  line = trimmed(line);
  if (line.size() < 8) return false;
  constexpr std::string_view kMarks = "_-=#*~+^";
  return line.find_first_not_of("_-=#*~+^ ") == line.npos &&
         kMarks.find(line.front()) != kMarks.npos;
}

bool is_signature_mark(const QuoteLine& line) {
  return line.text == "-- " || line.text == "-- \t" || line.text == "--\xC2\xA0" ||
         line.text == "-- -- ";
}

// Without its blank the mark is as often a line between two thoughts.
bool is_bare_mark(const QuoteLine& line) { return line.text == "--" || line.text == "—"; }

bool is_like_signature(std::string_view line) {
  line = trimmed(line);
  if (line.find('?') != line.npos || line.find("？") != line.npos) return false;
  if (line.size() > kLongSignatureLine) return false;
  if (line.find('@') != line.npos || line.find("://") != line.npos) return true;
  const bool stops = line.ends_with('.') || line.ends_with('!') || line.ends_with("。");
  return !stops || std::count(line.begin(), line.end(), ' ') < kFewestBlanksOfASentence;
}

// Whether what stands below a bare mark can be nothing but a signature: a few short lines in one
// paragraph.
bool is_signature(const Lines& lines, std::size_t begin, std::size_t end) {
  while (begin < end && lines[begin].blank) ++begin;
  if (end - begin > kMostBareSignatureLines) return false;
  return std::all_of(lines.begin() + static_cast<std::ptrdiff_t>(begin),
                     lines.begin() + static_cast<std::ptrdiff_t>(end), [](const QuoteLine& line) {
                       return !line.blank && is_like_signature(line.text);
                     });
}

bool says_footer(std::string_view line) {
  if (line.size() > 400) return false;
  const std::string lower = lower_ascii(line);
  return std::any_of(footer_phrases().begin(), footer_phrases().end(),
                     [&](std::string_view phrase) { return lower.find(phrase) != lower.npos; });
}

std::size_t without_blanks(const Lines& lines, std::size_t end) {
  while (end > 0 && lines[end - 1].blank) --end;
  return end;
}

// Whether somebody says of themself what a list says of others: "unsubscribe me", "my lists".
bool has_first_person(std::string_view line) {
  static constexpr std::string_view kWords[] = {
      "i",   "i'm",  "i've", "me",   "my",  "we",  "our",  "ich", "mir", "mich", "mein",
      "wir", "uns",  "je",   "j'ai", "moi", "mon", "nous", "yo",  "io",  "mio",  "eu",
      "meu", "meus", "ik",   "mijn", "jag", "mig", "jeg",  "мне", "мой", "я",    "Я"};
  const std::vector<Token> tokens = tokens_of(line.substr(0, 400));
  return std::any_of(tokens.begin(), tokens.end(), [](const Token& token) {
    return std::find(std::begin(kWords), std::end(kWords), bare(token.text)) != std::end(kWords);
  });
}

// An address or a page that only a list's program has.
bool names_list_program(std::string_view line) {
  const std::string lower = lower_ascii(line.substr(0, 400));
  static constexpr std::string_view kMarks[] = {"-leave@",
                                                "-unsubscribe@",
                                                "+unsubscribe@",
                                                "unsubscribe-",
                                                "-request@",
                                                "-help@",
                                                "-off@",
                                                "-signoff@",
                                                "majordomo@",
                                                "listserv@",
                                                "sympa@",
                                                "/listinfo",
                                                "/mailman",
                                                "/unsub",
                                                "/pipermail/",
                                                "/d/msgid/",
                                                "groups.google.com",
                                                "groups.io",
                                                "googlegroups.",
                                                "/sympa/",
                                                "/hyperkitty",
                                                "lists.sourceforge",
                                                "/unsubscribe"};
  return std::any_of(std::begin(kMarks), std::end(kMarks),
                     [&](std::string_view mark) { return lower.find(mark) != lower.npos; });
}

// "users mailing list", "users mailing list -- users@…": Mailman's first line.
bool is_list_title(std::string_view line) {
  line = trimmed(line);
  if (const std::size_t dashes = line.find(" -- "); dashes != line.npos)
    line = line.substr(0, dashes);
  const std::string lower = lower_ascii(line.substr(0, 100));
  if (std::count(lower.begin(), lower.end(), ' ') > 3) return false;
  return lower.ends_with("mailing list") || lower.ends_with("mailinglist") ||
         lower.ends_with("mailing-list") || lower.ends_with("mailingliste");
}

// Nothing but an address or a page.
bool is_only_address(std::string_view line) {
  line = trimmed(line);
  return line.find(' ') == line.npos &&
         (line.find('@') != line.npos || line.find("://") != line.npos);
}

// Whether the lines of a footer can be nobody's words, whatever the mail's headers say.
bool is_unmistakable(const Lines& lines, std::size_t begin, std::size_t end) {
  bool program = false;
  bool title = false;
  bool address = false;
  for (std::size_t i = begin; i < end; ++i) {
    if (lines[i].blank) continue;
    program = program || names_list_program(lines[i].text);
    title = title || is_list_title(lines[i].text);
    address = address || is_only_address(lines[i].text);
  }
  return program || (title && address);
}

// The end of the lines before a footer that reaches to `end`; `end` when there is none.
std::size_t without_footer(const Lines& lines, std::size_t end, bool from_list) {
  std::size_t found = end;
  bool says = false;
  std::size_t filled = 0;
  bool paragraph = false;   // has lines, and
  bool footer_like = true;  // something in them that a list says of itself
  for (std::size_t at = end; at > 0 && filled <= kMostFooterLines; --at) {
    const QuoteLine& line = lines[at - 1];
    if (line.blank) {
      // Somebody answers below the footer.
      if (paragraph && !footer_like) return end;
      paragraph = false;
      continue;
    }
    if (!paragraph) footer_like = false;
    paragraph = true;
    // The dearest question of all that a mail is asked: once for each line.
    const bool is_footer = !(says && footer_like) && says_footer(line.text);
    footer_like = footer_like || is_separator(line.text) || is_footer ||
                  line.text.find('@') != line.text.npos || line.text.find("://") != line.text.npos;
    ++filled;
    if (is_separator(line.text)) {
      if (says) {
        found = at - 1;
        break;
      }
      continue;
    }
    if (is_signature_mark(line) || is_bare_mark(line)) {
      // "-- " above what a list says of itself, as Google Groups write it.
      if (says && at < end && says_footer(lines[at].text)) found = at - 1;
      break;
    }
    says = says || is_footer;
  }
  if (found == end || (!from_list && !is_unmistakable(lines, found + 1, end))) return end;
  const auto at = [&](std::size_t i) { return lines.begin() + static_cast<std::ptrdiff_t>(i); };
  // A separator of the end that frames the footer goes with it; one alone says nothing.
  return std::any_of(at(found), at(end),
                     [](const QuoteLine& line) { return has_first_person(line.text); })
             ? end
             : found;
}

bool is_postscript(std::string_view line) {
  line = trimmed(line);
  for (const std::string_view mark : {"PS:", "PS.", "P.S.", "P.S:", "PS ", "PPS", "P.P.S.",
                                      "NB:", "N.B.", "P.D.", "PD:", "P.S ", "Ps:", "Ps."}) {
    if (line.starts_with(mark)) return true;
  }
  return false;
}

// Where somebody's words go on below the signature that begins at `begin`; `end` where they do not.
std::size_t words_below(const Lines& lines, std::size_t begin, std::size_t end) {
  bool below = false;  // the first paragraph
  for (std::size_t at = begin; at < end; ++at) {
    if (lines[at].blank) continue;
    const bool starts = at > begin && lines[at - 1].blank;
    below = below || starts;
    if (!below || !starts || lines[at].mark == LineMark::kSignature) continue;
    if (is_postscript(lines[at].text)) return at;
    std::string paragraph;
    for (std::size_t i = at; i < end && !lines[i].blank && paragraph.size() < 1000; ++i)
      paragraph.append(lines[i].text.substr(0, 400)) += '\n';
    if (reads_as_words(paragraph)) return at;
  }
  return end;
}

std::string joined(const Lines& lines, std::size_t begin, std::size_t end) {
  while (begin < end && lines[begin].blank) ++begin;
  end = without_blanks(lines, end);
  std::string out;
  std::size_t blanks = 0;
  for (std::size_t i = begin; i < end; ++i) {
    if (lines[i].blank) {
      ++blanks;
      continue;
    }
    if (!out.empty()) out += blanks > 0 ? "\n\n" : lines[i].continues ? " " : "\n";
    blanks = 0;
    out += trimmed_right(lines[i].text);
  }
  return out;
}

}  // namespace

bool reads_as_words(std::string_view text) {
  const std::string lower = lower_ascii(text.substr(0, 1000));
  for (const std::string_view note :
       {"confidential", "vertraulich",   "confidentiel", "confidencial", "riservat",
        "intended",     "disclaimer",    "privileged",   "in error",     "irrtümlich",
        "environment",  "umwelt",        "gdpr",         "datenschutz",  "handelsregister",
        "registered",   "geschäftsführ", "recipient",    "empfänger",    "destinataire",
        "virus"}) {
    if (lower.find(note) != lower.npos) return false;
  }
  if (lower.find("? ") != lower.npos || lower.find("?\n") != lower.npos || lower.ends_with('?'))
    return true;
  return has_first_person(text);
}

OwnWords without_trailers(const Lines& lines, bool from_list) {
  OwnWords out;
  std::size_t end = without_blanks(lines, lines.size());
  for (int rounds = 0; rounds < kMostTrailers; ++rounds) {
    std::size_t less = without_blanks(lines, without_footer(lines, end, from_list));
    // A rule of underscores alone is what is left above a quoted header.
    while (less > 0 && is_separator(lines[less - 1].text) &&
           lines[less - 1].text.find('_') != std::string_view::npos)
      less = without_blanks(lines, less - 1);
    if (less > 0 && lines[less - 1].mark == LineMark::kNone && is_device_line(lines[less - 1].text))
      less = without_blanks(lines, less - 1);
    if (less == end) break;
    end = less;
  }
  std::size_t words = end;
  std::size_t filled = 0;
  // Several part several thoughts.
  const auto bare = std::count_if(lines.begin(), lines.end(), is_bare_mark);
  for (std::size_t at = end; at > 0 && filled <= kMostSignatureLines; --at) {
    const QuoteLine& line = lines[at - 1];
    if (line.blank) continue;
    ++filled;
    if (is_signature_mark(line)) words = at - 1;
    if (bare == 1 && words == end && is_bare_mark(line) && is_signature(lines, at, end))
      words = at - 1;
  }
  // What HTML marks as a signature, wherever it ends.
  std::size_t marked = words;
  while (marked > 0 && (lines[marked - 1].blank || lines[marked - 1].mark == LineMark::kSignature))
    --marked;
  bool any = false;
  for (std::size_t at = marked; at < words; ++at)
    any = any || lines[at].mark == LineMark::kSignature;
  if (any) words = marked;
  std::size_t last = end;
  // A device's line above the signature's mark, or inside the marked one.
  std::size_t text_end = without_blanks(lines, words);
  while (text_end > 0 && is_device_line(lines[text_end - 1].text))
    text_end = without_blanks(lines, text_end - 1);
  while (last > words && (lines[last - 1].blank || is_device_line(lines[last - 1].text))) --last;
  std::size_t begin = words;
  while (begin < last && (lines[begin].blank || is_signature_mark(lines[begin]) ||
                          (begin == words && is_bare_mark(lines[begin])))) {
    ++begin;
  }
  while (begin < last && (lines[begin].blank || is_device_line(lines[begin].text))) ++begin;
  out.text = joined(lines, 0, text_end);
  const std::size_t more = words_below(lines, begin, last);
  out.signature = joined(lines, begin, more);
  if (more < last) {
    out.text += (out.text.empty() ? "" : "\n\n") + joined(lines, more, last);
  }
  if (out.signature.size() > kMostSignature) {
    out.signature.resize(kMostSignature);
    while (!out.signature.empty() && (static_cast<unsigned char>(out.signature.back()) & 0x80))
      out.signature.pop_back();
  }
  return out;
}

bool only_points_elsewhere(std::string_view text) {
  // What a note speaks of beside HTML; somebody's "The HTML is broken" does not.
  static constexpr std::string_view kMails[] = {
      "mail",     "message",  "nachricht", "courriel",   "correo", "mensaje",
      "mensagem", "messaggi", "bericht",   "meddelande", "besked", "wiadomość",
      "zpráv",    "письм",    "сообщени",  "format",     "client", "program",
      "view",     "メール",   "邮件",      "郵件",       "메일"};
  const std::string lower = lower_letters(text);
  bool points = false;
  std::string sentence;
  const auto ends = [&] {
    const std::string_view said = trimmed(sentence);
    bool good = std::none_of(said.begin(), said.end(), is_letter_byte) ||
                (said.size() <= 40 && said.ends_with(','));
    const auto says = [&](std::string_view phrase) { return said.find(phrase) != said.npos; };
    const auto phrases = elsewhere_phrases();
    if ((find_phrase(said, "html") != said.npos &&
         std::any_of(std::begin(kMails), std::end(kMails), says)) ||
        std::any_of(phrases.begin(), phrases.end(), says)) {
      points = good = true;
    }
    sentence.clear();
    return good;
  };
  std::size_t breaks = 0;
  for (std::size_t at = 0; at < lower.size();) {
    if (lower[at] == ' ' || lower[at] == '\t' || lower[at] == '\n') {
      breaks += lower[at++] == '\n' ? 1 : 0;
      continue;
    }
    const std::size_t end = std::min(lower.find_first_of(" \t\n", at), lower.size());
    const std::string_view word = std::string_view{lower}.substr(at, end - at);
    at = end;
    // A blank line, or a line's end behind a salutation.
    if ((breaks > 1 || (breaks == 1 && sentence.ends_with(','))) && !ends()) return false;
    breaks = 0;
    if (word.find("://") != word.npos || word.starts_with("www.")) continue;
    if (word.find(".html") != word.npos || word.find(".htm") != word.npos) return false;
    sentence.append(sentence.empty() ? "" : " ").append(word);
    const bool stop =
        word.ends_with('.') || word.ends_with('!') || word.ends_with('?') || word.ends_with("。");
    if (stop && !ends()) return false;
  }
  return ends() && points;
}

}  // namespace voxbus::kit::mail
