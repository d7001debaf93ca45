// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/quote_lines.hpp"

#include <algorithm>

#include "kit/mail/attribution.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::string_view kWideArrow = "\xEF\xBC\x9E";  // U+FF1E
constexpr std::size_t kShortestWrapped = 55;             // bytes of a line that wrapping cut

struct Prefix {
  std::uint32_t depth = 0;
  std::size_t bytes = 0;
};

// The bytes of a blank that may stand before a mark.
std::size_t blank_before_mark(std::string_view text) {
  if (text.starts_with(' ')) return 1;
  for (const std::string_view blank : {kNoBreakSpace, kZeroWidth, kNoBreakMark}) {
    if (text.starts_with(blank)) return blank.size();
  }
  return 0;
}

// "> > ", ">>", " >", "＞": the marks at the start, with the blank behind the last.
Prefix prefix_of(std::string_view line) {
  Prefix found;
  std::size_t at = 0;
  for (;;) {
    std::size_t next = at;
    for (int blanks = 0; blanks < 2; ++blanks) next += blank_before_mark(line.substr(next));
    if (next < line.size() && line[next] == '\t' && found.depth > 0) ++next;
    if (next < line.size() && line[next] == '>') {
      at = next + 1;
    } else if (line.substr(next).starts_with(kWideArrow)) {
      at = next + kWideArrow.size();
    } else {
      break;
    }
    ++found.depth;
  }
  if (found.depth > 0 && at < line.size()) at += leading_blank(line.substr(at));
  found.bytes = found.depth > 0 ? at : 0;
  found.depth = std::min(found.depth, kMostDepth);
  return found;
}

// "NK> ": initials before the mark, as Supercite and Lotus write them.
std::size_t initials(std::string_view line) {
  std::size_t at = line.starts_with(' ') ? 1 : 0;
  const std::size_t begin = at;
  while (at < line.size() && at - begin < 4 && line[at] >= 'A' && line[at] <= 'Z') ++at;
  const std::size_t letters = at - begin;
  if (letters < 2 || letters > 3 || at >= line.size() || line[at] != '>') return 0;
  const std::string_view name = line.substr(begin, letters);
  return name == "SQL" || name == "DOS" || name == "PS" || name == "CMD" ? 0 : at;
}

std::size_t words_in(std::string_view text, std::size_t most) {
  std::size_t count = 0;
  bool inside = false;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t';
    if (!blank && !inside && ++count >= most) break;
    inside = !blank;
  }
  return count;
}

bool ends_sentence(std::string_view text) {
  text = trimmed_right(text);
  if (text.empty()) return false;
  constexpr std::string_view kStops = ".!?:;)\"";
  if (kStops.find(text.back()) != kStops.npos) return true;
  return text.ends_with("。") || text.ends_with("？") || text.ends_with("！") ||
         text.ends_with("…");
}

bool starts_lower(std::string_view text) {
  if (text.empty()) return false;
  const auto c = static_cast<unsigned char>(text.front());
  if (c < 0x80) return text.front() >= 'a' && text.front() <= 'z';
  // à-ÿ, Cyrillic а-џ; capitals of these are other bytes.
  const auto next = text.size() > 1 ? static_cast<unsigned char>(text[1]) : 0;
  return (c == 0xC3 && next >= 0xA0) || (c == 0xD0 && next >= 0xB0) || c == 0xD1;
}

// A mark in the middle of a line that begins a further line, not "a > 5" nor "File > Export".
bool is_glued_mark(std::string_view before, std::string_view after) {
  before = trimmed_right(before);
  after = trimmed_left(after);
  if (before.empty() || after.empty()) return false;
  if (is_digit(before.back()) || is_digit(after.front()) || after.front() == '=') return false;
  if (before.back() == '-' || before.back() == '=') return false;
  const std::size_t last = before.rfind(" >");  // "File > Export > PDF": short pieces, no lines
  const std::string_view piece_before = last == before.npos ? before : before.substr(last + 2);
  const bool long_before = ends_sentence(before) || words_in(piece_before, 4) >= 4;
  const std::string_view piece = after.substr(0, after.find(" >"));
  const bool long_after = ends_sentence(piece) || words_in(piece, 3) >= 3;
  return long_before && long_after;
}

void add_pieces(std::vector<QuoteLine>& out, std::string_view text, QuoteLine like) {
  const std::size_t outer = like.depth;
  std::size_t begin = 0;
  for (std::size_t at = text.find(" >"); at != text.npos;) {
    std::size_t end = at + 1;
    std::uint32_t marks = 0;
    while (end < text.size() && (text[end] == '>' || (text[end] == ' ' && end + 1 < text.size() &&
                                                      text[end + 1] == '>'))) {
      marks += text[end] == '>' ? 1 : 0;
      ++end;
    }
    const bool spaced = end == text.size() || text[end] == ' ' || is_letter_byte(text[end]);
    if (spaced && is_glued_mark(text.substr(begin, at - begin), text.substr(end, 400))) {
      like.text = trimmed(text.substr(begin, at - begin));
      like.blank = like.text.empty();
      if (!like.blank) out.push_back(like);
      like.depth = std::min(std::max<std::uint32_t>(marks, 1), kMostDepth);
      begin = end;
    }
    at = text.find(" >", end);
  }
  if (begin == 0) like.depth = static_cast<std::uint32_t>(outer);
  like.text = begin == 0 ? text : trimmed_left(text.substr(begin));
  like.blank = trimmed(like.text).empty();
  if (!like.blank || begin == 0) out.push_back(like);
}

bool is_fence(std::string_view line) { return line.starts_with("```"); }
// "40 °C", "= 9", and no item of a list: "1. Which?"
bool is_figure(std::string_view text) {
  if (text.starts_with('=')) return true;
  const std::size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  if (end == 0) return false;
  const std::string_view after = text.substr(end);
  return !(after.starts_with(". ") || after.starts_with(") "));
}

// What the lines of a mail have before them, in all.
struct Prefixed {
  explicit Prefixed(const std::vector<MailLine>& lines) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const MailLine& line = lines[i];
      if (line.exact) continue;
      if (const Prefix prefix = prefix_of(line.text); prefix.depth > 0) {
        only_figures = only_figures && is_figure(line.text.substr(prefix.bytes));
      }
      if (is_fence(line.text)) last_fence = i;
      const std::size_t at = line.depth == 0 ? initials(line.text) : 0;
      if (at == 0 || !line.text.substr(at).starts_with("> ")) continue;
      if (first.empty()) first = line.text.substr(0, at + 1);
      if (!line.text.starts_with(first)) continue;
      ++same;
      // Prompts of a program stand before no sentences.
      const std::string_view said = line.text.substr(at + 1);
      sentences = sentences && ends_sentence(said) && words_in(said, 2) == 2;
    }
  }
  // How often these initials, where they are the mail's first.
  int initialled(std::string_view name) const { return name == first && sentences ? same : 0; }
  bool has_fence_behind(std::size_t i) const { return last_fence > i; }

  bool only_figures = true;  // behind all marks
  std::size_t last_fence = 0;
  std::string_view first;
  int same = 0;
  bool sentences = true;
};

// "yes", "no": an answer below a quote that somebody cut in mid-sentence.
bool is_answer(std::string_view text) {
  const std::string word = lower_ascii(text.substr(0, text.find_first_of(" ,.!")));
  for (const std::string_view one :
       {"yes",     "no",     "ok",     "okay",    "yep",   "nope",  "ja",     "nein",   "nee",
        "oui",     "non",    "si",     "sí",      "sim",   "não",   "tak",    "nie",    "nej",
        "da",      "nu",     "done",   "fixed",   "sure",  "fine",  "thanks", "danke",  "merci",
        "gracias", "grazie", "i",      "we",      "ich",   "wir",   "that",   "this",   "it",
        "not",     "never",  "agreed", "correct", "right", "wrong", "true",   "please", "bitte"}) {
    if (word == one) return true;
  }
  return word.empty();
}

}  // namespace

MailLines plain_lines(std::string_view text) {
  MailLines out;
  if (text.size() > kMostLineBytes) {
    text = text.substr(0, kMostLineBytes);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80)
      text.remove_suffix(1);
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.remove_suffix(1);
    out.cut = true;
  }
  out.lines.reserve(std::min<std::size_t>(text.size() / 32 + 1, kMostLines));
  while (!text.empty()) {
    if (out.lines.size() == kMostLines) {
      out.cut = true;
      break;
    }
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    out.lines.push_back({.text = line});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::vector<QuoteLine> glued_pieces(std::string_view line, std::uint32_t least) {
  std::vector<QuoteLine> out;
  const Prefix prefix = prefix_of(line);
  QuoteLine like{.raw = line, .depth = std::max(prefix.depth, least)};
  add_pieces(out, line.substr(prefix.bytes), like);
  return out;
}

std::vector<QuoteLine> quote_lines(const std::vector<MailLine>& lines, bool repeats) {
  const Prefixed prefixed{lines};
  std::vector<QuoteLine> out;
  out.reserve(lines.size());
  bool shallow = false;  // a line of depth 1 or 2: ">>> " alone are prompts of a program
  for (const MailLine& line : lines) {
    if (shallow) break;
    const Prefix prefix = line.exact ? Prefix{} : prefix_of(line.text);
    shallow = line.depth > 0 || prefix.depth == 1 || prefix.depth == 2;
  }
  // A line with initials that ends its paragraph; below a prompt stands what the program says.
  const auto initials_alone = [&](std::size_t i) -> std::size_t {
    if (lines[i].exact || lines[i].depth > 0) return 0;
    if (i + 1 < lines.size() && !trimmed(lines[i + 1].text).empty()) return 0;
    const std::size_t at = initials(lines[i].text);
    return at > 0 && lines[i].text.substr(at).starts_with("> ") ? at : 0;
  };
  bool fenced = false;
  int initialled = 0;
  for (std::size_t i = 0; i < lines.size() && initialled < 2; ++i)
    initialled += initials_alone(i) > 0 ? 1 : 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const MailLine& line = lines[i];
    QuoteLine made{.text = line.text,
                   .raw = line.text,
                   .depth = line.depth,
                   .mark = line.mark,
                   .cite = line.cite};
    const auto arrow_near = [&](std::size_t at) {
      return at < lines.size() && prefix_of(lines[at].text).depth > 0;
    };
    const bool alone = !(i > 0 && arrow_near(i - 1)) && !arrow_near(i + 1);
    Prefix prefix = line.exact ? Prefix{} : prefix_of(line.text);
    if (is_fence(line.text)) fenced = !fenced && prefixed.has_fence_behind(i);
    if (!repeats && line.depth == 0 && prefix.depth > 0 && (fenced || prefixed.only_figures)) {
      prefix = {};
    }
    // "From " at the start of a line was masked by a mail store; ">100 pieces" is a figure.
    if (prefix.depth == 1 && alone && line.text.starts_with(">From ")) {
      made.text = line.text.substr(1);
      prefix = {};
    } else {
      const bool is_figure = prefix.depth == 1 && alone && line.depth == 0 &&
                             line.text.size() > 1 && line.text[0] == '>' &&
                             (is_digit(line.text[1]) || line.text[1] == '=');
      const bool is_prompt = prefix.depth == 3 && line.text.starts_with(">>> ") &&
                             (!shallow || is_framed_by_arrows(line.text));
      if (is_figure || is_prompt) prefix = {};
    }
    if (prefix.depth == 0 && !line.exact && line.depth == 0) {
      if (const std::size_t at = initials(line.text)) {
        const std::string_view name = line.text.substr(0, at + 1);
        const bool again = (i > 0 && lines[i - 1].text.starts_with(name)) ||
                           (i + 1 < lines.size() && lines[i + 1].text.starts_with(name));
        if (again || (repeats && prefixed.initialled(name) >= 2) ||
            (initialled == 2 && initials_alone(i) > 0)) {
          prefix = prefix_of(line.text.substr(at));
          prefix.bytes += at;
        }
      }
    }
    if (prefix.depth > 0) {
      made.depth = std::min(line.depth + prefix.depth, kMostDepth);
      made.text = line.text.substr(prefix.bytes);
    }
    if (prefix.depth > 0 && line.depth == 0 && made.text.find(" >") != made.text.npos) {
      add_pieces(out, made.text, made);
      continue;
    }
    made.blank = trimmed(made.text).empty();
    out.push_back(made);
  }

  // Lines that wrapping parted from their prefix.
  bool wraps = false;
  for (std::size_t i = 1; i < out.size(); ++i) {
    QuoteLine& line = out[i];
    const QuoteLine& before = out[i - 1];
    if (line.blank || before.blank || before.depth <= line.depth || line.mark != before.mark)
      continue;
    if (line.depth != 0 || before.continues || line.text.data() == nullptr) continue;
    const bool at_end = i + 1 >= out.size();
    const bool follows = !at_end && out[i + 1].depth > 0;
    const std::string_view text = trimmed(line.text);
    if (!follows) {
      // The last piece of a quote: own words stand below it, and nobody answers so.
      const bool last = i + 2 < out.size() && out[i + 1].blank && !out[i + 2].blank &&
                        out[i + 2].depth == 0 && starts_lower(text) && !is_answer(text) &&
                        ends_sentence(text) && !ends_sentence(before.text) && before.depth > 0;
      const bool tail = last && (wraps ? words_in(text, 3) <= 2
                                       : before.raw.size() >= 66 && words_in(text, 5) <= 4);
      if (!tail || text.size() > 30) continue;
      line.depth = before.depth;
      line.cite = before.cite;
      line.continues = true;
      continue;
    }
    const bool verb_alone = before.raw.size() + 4 > kShortestWrapped && may_end_attribution(text) &&
                            words_in(text, 3) <= 2 && starts_lower(text);
    const bool wrapped = before.raw.size() >= kShortestWrapped && text.size() < before.raw.size() &&
                         text.size() <= 40 && !ends_sentence(before.text) &&
                         (starts_lower(text) || before.raw.size() >= 68);
    if (!wrapped && !verb_alone) continue;
    line.depth = before.depth;
    line.cite = before.cite;
    line.continues = wraps = true;
  }
  return out;
}

}  // namespace voxbus::kit::mail
