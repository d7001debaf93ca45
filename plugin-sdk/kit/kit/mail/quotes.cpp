// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/quotes.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

#include "kit/mail/attribution.hpp"
#include "kit/mail/header_blocks.hpp"
#include "kit/mail/names_in_text.hpp"
#include "kit/mail/quote_lines.hpp"
#include "kit/mail/quoted_headers.hpp"
#include "kit/mail/trailers.hpp"
#include "kit/mail/words.hpp"
#include "voxbus/text.hpp"

namespace voxbus::kit::mail {
namespace {

// What recognising may cost in all, in looks at a line or at a possible attribution. A mail that
// people wrote needs some hundreds; beyond it everything stays what its marks say.
constexpr int kMostLooks = 20'000;

// Goes through the lines once and sends each to the text, to a block, or nowhere.
class Splitter {
 public:
  Splitter(std::vector<QuoteLine> lines, const std::vector<std::string>& cites, MailContext context)
      : lines_{std::move(lines)}, cites_{cites}, context_{context} {
    next_filled_.resize(lines_.size() + 1, lines_.size());
    for (std::size_t i = lines_.size(); i-- > 0;) {
      next_filled_[i] = lines_[i].blank ? next_filled_[i + 1] : i;
      if (!lines_[i].blank && lines_[i].depth == 0) last_unmarked_ = std::max(last_unmarked_, i);
    }
  }

  NewAndQuoted split() {
    for (std::size_t i = 0; i < lines_.size();) {
      const QuoteLine& line = lines_[i];
      if (line.blank) {
        put(line);
        ++i;
        continue;
      }
      leave_levels(line.depth);
      if (const std::size_t told = reply_above(i)) {
        i += told;
      } else if (const std::size_t used = header_block(i)) {
        i += used;
      } else if (const std::size_t taken = attribution(i)) {
        i += taken;
      } else {
        put(line);
        ++i;
      }
      first_of_block_ = false;
    }
    close_own();
    close_block();
    return std::move(out_);
  }

 private:
  // Within lines of depth `raw` or more everything from here on is quoted once more, because a
  // quoted mail began there that has no marks of its own.
  struct Level {
    std::uint32_t raw = 0;
    std::uint32_t extra = 0;
    std::vector<std::uint32_t> forwards;  // `extra` before each forwarded mail
  };

  std::size_t next_filled(std::size_t from) const {
    return next_filled_[std::min(from, lines_.size())];
  }

  void leave_levels(std::uint32_t depth) {
    while (!levels_.empty() && levels_.back().raw > depth) levels_.pop_back();
    if (depth > last_raw_) first_of_block_ = true;
    last_raw_ = depth;
  }

  std::uint32_t extra() const {
    std::uint32_t sum = 0;
    for (const Level& level : levels_) sum += level.extra;
    return std::min(sum, kMostDepth);
  }

  std::uint32_t depth_of(const QuoteLine& line) const {
    return std::min(line.depth + extra(), kMostDepth);
  }

  // From here on, lines of at least this raw depth belong to a quoted mail by that author.
  void enter(std::uint32_t raw, std::string author, bool forwarded) {
    if (levels_.empty() || levels_.back().raw != raw) levels_.push_back({raw, 0, {}});
    Level& level = levels_.back();
    if (forwarded) level.forwards.push_back(level.extra);
    ++level.extra;
    name(std::min(raw + extra(), kMostDepth), std::move(author), forwarded);
  }

  struct Name {
    std::string author;
    bool forwarded = false;
    std::uint32_t number = 0;
  };

  // Blocks of this depth are by that author until another is named; deeper ones are open again.
  void name(std::uint32_t depth, std::string author, bool forwarded) {
    close_block();
    names_.resize(depth + 1);
    names_[depth] = {std::move(author), forwarded, ++attributions_};
  }

  Name name_of(std::uint32_t depth) {
    // What a forwarded mail quotes is forwarded with it.
    if (names_.size() > depth) {
      const bool within = std::any_of(names_.begin(), names_.begin() + depth,
                                      [](const Name& one) { return one.forwarded; });
      Name found = names_[depth];
      found.forwarded = found.forwarded || within;
      return found;
    }
    return {{}, !names_.empty() && names_.back().forwarded, 0};
  }

  // ---- "Please reply above this line"

  // How many lines say so below own words: what stands below is quoted where a mark, a header or an
  // attribution says whose it is. Somebody may have answered below the line.
  std::size_t reply_above(std::size_t i) {
    const QuoteLine& line = lines_[i];
    if (!has_own_ || depth_of(line) > 0 || looks_ > kMostLooks) return 0;
    if (!asks_for_reply_above(line.text)) return 0;
    ++looks_;
    const std::size_t next = next_filled(i + 1);
    if (next >= lines_.size() || lines_[next].depth > line.depth) return 1;
    if (announcement(lines_[next].text) != Announcement::kNone) return next - i;
    if (headers_at(next, true)) return next - i;
    auto span = may_end_attribution(lines_[next].text) ? span_at(next) : std::nullopt;
    if (!span || span->found.begin > 0 || span->found.weight < 6 ||
        span->found.end < span->text.size()) {
      return 0;
    }
    enter(line.depth, std::move(span->found.author), false);
    return next - i + span->lines;
  }

  // ---- headers of quoted mails

  std::optional<HeaderBlock> headers_at(std::size_t i, bool announced) const {
    if (looks_ > kMostLooks) return std::nullopt;
    return header_block_at(lines_, i, announced, looks_);
  }

  // Web forms write headers as well, above what their user wrote now. A program that quotes with
  // no more than a date stands below an answer and names mailboxes.
  bool is_own_form(std::size_t i, const HeaderBlock& block) const {
    if (context_.repeats || depth_of(lines_[i]) > 0) return false;
    if (!block.dated || block.raw) return true;
    const std::size_t next = next_filled(i + block.lines);
    if (next < lines_.size() && lines_[next].depth > lines_[i].depth) return false;
    return !(has_own_ && block.addressed && block.to);
  }

  // "See below": of the words above.
  bool announces_answers() const {
    std::size_t bytes = 0;
    for (auto line = own_.rbegin(); line != own_.rend() && bytes < 2000; ++line) {
      bytes += line->text.size();
      if (line->text.size() < 400 && says_below(line->text)) return true;
    }
    return false;
  }

  // A line that says that the forwarded mail ends: what follows is of whoever forwards it. Where
  // nothing was forwarded it is a line like others.
  std::size_t forward_end(std::size_t i) {
    const std::uint32_t raw = lines_[i].depth;
    if (levels_.empty() || levels_.back().raw != raw || levels_.back().forwards.empty()) {
      return depth_of(lines_[i]) > 0 ? 1 : 0;
    }
    close_block();
    Level& level = levels_.back();
    level.extra = level.forwards.back();
    level.forwards.pop_back();
    if (level.extra == 0) levels_.pop_back();
    const std::size_t depth = std::min(raw + extra(), kMostDepth);
    if (names_.size() > depth + 1) names_.resize(depth + 1);
    return 1;
  }

  // How many lines of a quoted mail's header stand here.
  std::size_t header_block(std::size_t i) {
    const QuoteLine& line = lines_[i];
    const Announcement said = announcement(line.text);
    if (said == Announcement::kEnd) return forward_end(i);
    HeaderBlock block;
    std::size_t used = 0;
    if (said == Announcement::kNone) {
      auto found = headers_at(i, false);
      if (!found) return 0;
      block = std::move(*found);
      used = block.lines;
      if (!block.sure && is_own_form(i, block)) {
        for (std::size_t at = i; at < i + used; ++at) put(lines_[at]);
        return used;
      }
    } else {
      const std::size_t next = next_filled(i + 1);
      std::optional<HeaderBlock> found;
      if (next < lines_.size() && lines_[next].depth == line.depth && next - i <= 3) {
        // A rule, then "-----Original Message-----"
        const Announcement then = announcement(lines_[next].text);
        if (said == Announcement::kRule &&
            (then == Announcement::kOriginal || then == Announcement::kForward)) {
          return next - i;
        }
        found = headers_at(next, said != Announcement::kRule);
      }
      if (!found && said == Announcement::kRule) return 0;
      if (said == Announcement::kRule && !found->sure && is_own_form(next, *found)) {
        put(line);
        return 1;
      }
      if (found) block = std::move(*found);
      used = found ? next - i + block.lines : 1;
      block.forwarded = said == Announcement::kForward;
    }
    const std::uint32_t raw = line.depth;
    const std::size_t next = next_filled(i + used);
    // Headers above lines with marks of their own are no further level: where the header has marks
    // as well, where nothing new stands above, because then the answer is below, or where that says
    // that the answer is below, and where nothing without marks follows.
    const bool marked = next < lines_.size() && lines_[next].depth > raw;
    const bool headless = said != Announcement::kNone && used == 1;
    const bool one_level =
        headless || (raw == 0 && extra() == 0 && !block.forwarded &&
                     (!has_own_ || last_unmarked_ < i + used || (marked && announces_answers())));
    const std::uint32_t depth = depth_of(line);
    const bool unnamed = names_.size() <= depth || names_[depth].author.empty();
    if (marked && one_level) {
      name(std::min(depth + 1, kMostDepth), std::move(block.author), block.forwarded);
    } else if (raw > 0 && first_of_block_ && unnamed) {
      // Inside the marks of the quote that it introduces.
      const bool forwarded = names_.size() > depth && names_[depth].forwarded;
      name(depth, std::move(block.author), block.forwarded || forwarded);
    } else {
      enter(raw, std::move(block.author), block.forwarded);
    }
    return used;
  }

  // ---- attributions

  struct Span {
    Attribution found;
    std::size_t lines = 0;
    std::string text;
  };

  // The attribution whose first line is i.
  std::optional<Span> span_at(std::size_t i) const {
    std::optional<Span> best;
    std::string joined;
    const std::uint32_t depth = lines_[i].depth;
    for (std::size_t k = 0; k < kAttributionLines && i + k < lines_.size(); ++k) {
      const QuoteLine& line = lines_[i + k];
      if (line.blank || line.depth != depth || line.text.size() > 4 * kLongestAttribution) break;
      if (joined.size() > kLongestAttribution) break;
      joined.append(k ? " " : "").append(line.text);
      if (!may_end_attribution(line.text)) continue;
      if (++looks_ > kMostLooks) break;
      auto found = find_attribution(joined);
      if (!found || found->end <= joined.size() - line.text.size()) continue;
      // The same end read from a later line: the heavier reading, then the shorter, is right.
      if (k > 0 && better_later(i, k, found->weight)) break;
      if (!best || found->weight > best->found.weight) {
        best = Span{std::move(*found), k + 1, joined};
      }
    }
    return best;
  }

  bool better_later(std::size_t i, std::size_t last, int weight) const {
    std::string joined;
    for (std::size_t from = i + last; from > i; --from) {
      joined = joined.empty() ? std::string{lines_[from].text}
                              : std::string{lines_[from].text} + " " + joined;
      ++looks_;
      const auto found = find_attribution(joined);
      if (found && found->weight >= weight) return true;
    }
    return false;
  }

  // Whether an attribution takes what follows though nothing marks that as a quote: by its words
  // alone it does so only in a mail that answers or forwards another, and not where one with marks
  // stands below, because that is the mail program's then.
  bool may_stand_unmarked(std::size_t i, const Attribution& found) {
    if (found.addressed || depth_of(lines_[i]) > 0) return true;
    return context_.repeats && last_marked() <= i;
  }

  // The last unmarked line that ends an attribution of the lines with marks below it; 0: none.
  std::size_t last_marked() {
    if (last_marked_) return *last_marked_;
    last_marked_ = 0;
    int tries = 0;
    for (std::size_t i = lines_.size(); i-- > 0 && tries < 8 && *last_marked_ == 0;) {
      const QuoteLine& line = lines_[i];
      if (line.blank || line.depth > 0 || line.text.size() > kLongestAttribution) continue;
      const std::size_t next = next_filled(i + 1);
      if (next >= lines_.size() || lines_[next].depth == 0) continue;
      if (!may_end_attribution(line.text)) continue;
      ++tries;
      std::string joined;
      for (std::size_t k = 0; k < kAttributionLines && k <= i; ++k) {
        const QuoteLine& above = lines_[i - k];
        if (above.blank || above.depth > 0 || joined.size() > kLongestAttribution) break;
        joined = k == 0 ? std::string{above.text} : std::string{above.text} + " " + joined;
        ++looks_;
        const auto found = find_attribution(joined);
        if (found && found->weight >= 6 && found->end == joined.size()) {
          last_marked_ = i;
          break;
        }
      }
    }
    return *last_marked_;
  }

  // How many lines of an attribution stand here; takes what it shares a line with as well.
  std::size_t attribution(std::size_t i) {
    const QuoteLine& line = lines_[i];
    if (line.mark == LineMark::kAttribution) {
      if (const std::size_t used = marked_attribution(i)) return used;
    }
    if (looks_ > kMostLooks) return 0;
    bool near = false;
    for (std::size_t k = 0; !near && k < kAttributionLines && i + k < lines_.size(); ++k) {
      if (lines_[i + k].blank) break;
      near = may_end_attribution(lines_[i + k].text);
    }
    if (!near) return 0;
    auto span = span_at(i);
    if (!span) return 0;
    const std::string_view rest =
        trimmed_left(std::string_view{span->text}.substr(span->found.end));
    const std::size_t next = next_filled(i + span->lines);
    const std::uint32_t raw = line.depth;
    const bool deeper = next < lines_.size() && lines_[next].depth > raw;
    const bool same = next < lines_.size() && lines_[next].depth == raw;
    const bool own_before = span->found.begin > 0;
    if (!rest.empty()) return glued(i, *span, rest, deeper);
    if (!deeper) {
      if (raw > 0 && first_of_block_ && same && !own_before && span->found.weight >= 6) {
        // As Apple writes it: inside the quote that it introduces.
        name(depth_of(line), std::move(span->found.author), false);
        return span->lines;
      }
      if (!span->found.certain && !(next >= lines_.size() && span->found.weight >= 6)) return 0;
      if (!may_stand_unmarked(i, span->found)) return 0;
    }
    put_own_part(line, span->found.begin, span->text);
    if (deeper) {
      name(std::min(depth_of(line) + 1, kMostDepth), std::move(span->found.author), false);
    } else if (same) {
      enter(raw, std::move(span->found.author), false);
    }
    return span->lines;
  }

  std::size_t marked_attribution(std::size_t i) {
    std::size_t end = i;
    std::string joined;
    while (end < lines_.size() && end - i < 2 * kAttributionLines && !lines_[end].blank &&
           lines_[end].mark == LineMark::kAttribution && lines_[end].depth == lines_[i].depth &&
           joined.size() < kLongestAttribution) {
      joined.append(end == i ? "" : " ").append(lines_[end].text);
      ++end;
    }
    const std::size_t next = next_filled(end);
    if (next >= lines_.size() || lines_[next].depth <= lines_[i].depth) return 0;
    name(std::min(depth_of(lines_[i]) + 1, kMostDepth),
         attributed_author(std::string_view{joined}.substr(0, kLongestAttribution)), false);
    return end - i;
  }

  // The quote goes on in the attribution's own line.
  std::size_t glued(std::size_t i, Span& span, std::string_view rest, bool deeper) {
    const QuoteLine& line = lines_[i];
    const bool arrow = rest.starts_with('>');
    if (!arrow && !(deeper && span.found.weight >= 4) &&
        !(span.found.certain && span.found.weight >= 8 && may_stand_unmarked(i, span.found)))
      return 0;
    put_own_part(line, span.found.begin, span.text);
    const std::uint32_t depth = std::min(depth_of(line) + 1, kMostDepth);
    glued_.push_back(std::make_unique<std::string>(rest));
    if (!arrow && !deeper) {
      enter(line.depth, std::move(span.found.author), false);
      put({.text = *glued_.back(), .raw = *glued_.back(), .depth = line.depth});
      return span.lines;
    }
    name(depth, std::move(span.found.author), false);
    for (const QuoteLine& piece : arrow ? glued_pieces(*glued_.back(), 0)
                                        : std::vector<QuoteLine>{{.text = *glued_.back()}}) {
      QuoteLine moved = piece;
      moved.depth = std::min(line.depth + std::max(piece.depth, 1u), kMostDepth);
      put(moved);
    }
    return span.lines;
  }

  // Own words that stand before an attribution in the same line.
  void put_own_part(const QuoteLine& line, std::size_t bytes, const std::string& text) {
    if (bytes == 0) return;
    glued_.push_back(std::make_unique<std::string>(trimmed_right(text.substr(0, bytes))));
    put({.text = *glued_.back(), .raw = *glued_.back(), .depth = line.depth});
  }

  // ---- where lines go

  void put(const QuoteLine& line) {
    if (line.blank && line.depth == 0) {
      // Undecided: it belongs to what follows on both sides.
      if (in_block_) {
        ++blanks_;
      } else {
        own_.push_back(line);
      }
      return;
    }
    const std::uint32_t depth = depth_of(line);
    if (depth == 0) {
      close_block();
      in_block_ = false;
      own_.push_back(line);
      if (!line.blank) has_own_ = true;
      return;
    }
    if (line.blank) {
      ++blanks_;
      in_block_ = true;
      return;
    }
    if (!in_block_ || !own_.empty()) close_own();
    in_block_ = true;
    quote(line, depth);
  }

  void quote(const QuoteLine& line, std::uint32_t depth) {
    const std::string_view id =
        line.cite > 0 && line.cite <= cites_.size() ? cites_[line.cite - 1] : std::string_view{};
    if (open_ && (open_->quoted.depth != depth || open_->quoted.native_id != id)) close_block();
    if (!open_) {
      Name by = name_of(depth);
      open_.emplace();
      open_->quoted.depth = depth;
      open_->quoted.author = std::move(by.author);
      open_->quoted.at = out_.text.size();
      open_->quoted.native_id = id;
      open_->forwarded = by.forwarded;
      open_->attribution = by.number;
    } else if (!open_->quoted.text.empty()) {
      open_->quoted.text += line.continues ? " " : blanks_ > 0 ? "\n\n" : "\n";
    }
    blanks_ = 0;
    open_->quoted.text += trimmed_right(line.text);
  }

  void close_block() {
    blanks_ = 0;
    if (!open_) return;
    if (out_.blocks.size() < kMostBlocks) {
      open_->quoted.at = out_.text.size();
      waiting_.push_back(out_.blocks.size());
      out_.blocks.push_back(std::move(*open_));
    } else {
      out_.cut = true;
    }
    open_.reset();
  }

  // Own lines end where a quote begins: what a mail program appended to them leaves.
  void close_own() {
    if (own_.empty()) return;
    const OwnWords words = without_trailers(own_, context_.from_list);
    own_.clear();
    if (!words.signature.empty() && out_.signature.size() < kMostSignature) {
      out_.signature += (out_.signature.empty() ? "" : "\n") + words.signature;
      out_.signature.resize(clip(out_.signature, kMostSignature).size());
    }
    if (words.text.empty()) return;
    if (!out_.text.empty()) out_.text += "\n\n";
    // The blocks before these words stand before their first byte.
    for (const std::size_t block : waiting_) out_.blocks[block].quoted.at = out_.text.size();
    waiting_.clear();
    out_.text += words.text;
    // What comes next stands behind these words.
  }

  std::vector<QuoteLine> lines_;
  const std::vector<std::string>& cites_;
  const MailContext context_;
  std::vector<std::size_t> next_filled_;
  std::size_t last_unmarked_ = 0;  // the last line that has words and no mark
  NewAndQuoted out_;
  std::vector<Level> levels_;
  std::vector<Name> names_;  // by depth
  std::uint32_t attributions_ = 0;
  mutable int looks_ = 0;
  std::optional<std::size_t> last_marked_;
  std::uint32_t last_raw_ = 0;
  bool first_of_block_ = false;
  bool has_own_ = false;
  std::vector<QuoteLine> own_;  // of the present run
  bool in_block_ = false;
  std::size_t blanks_ = 0;  // since the last quoted line
  std::optional<QuotedBlock> open_;
  std::vector<std::size_t> waiting_;  // blocks since the last own words
  std::vector<std::unique_ptr<std::string>> glued_;
};

}  // namespace

NewAndQuoted split_quotes(const MailLines& lines, MailContext context) {
  NewAndQuoted out =
      Splitter{quote_lines(lines.lines, context.repeats), lines.cites, context}.split();
  out.cut = out.cut || lines.cut;
  return out;
}

}  // namespace voxbus::kit::mail
