// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/header_blocks.hpp"

#include <array>

#include "kit/mail/names_in_text.hpp"
#include "kit/mail/quoted_headers.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kMostHeaderLines = 60;  // with wrapped lists of recipients

// Which headers were there.
class Seen {
 public:
  bool has(HeaderRole role) const { return seen_[static_cast<std::size_t>(role)]; }
  int roles() const { return roles_; }
  void add(HeaderRole role) {
    if (!has(role)) ++roles_;
    seen_[static_cast<std::size_t>(role)] = true;
  }
  bool all() const {
    return has(HeaderRole::kSubject) && has(HeaderRole::kFrom) && has(HeaderRole::kSent) &&
           has(HeaderRole::kTo);
  }

 private:
  std::array<bool, 7> seen_{};
  int roles_ = 0;
};

// "10:00:00 +0100"
bool ends_with_zone(std::string_view date) {
  if (const std::size_t comment = date.find(" ("); comment != date.npos)
    date = date.substr(0, comment);
  if (date.size() < 8) return false;
  const std::string_view zone = date.substr(date.size() - 6);
  return zone[0] == ' ' && (zone[1] == '+' || zone[1] == '-') && is_digit(zone[2]) &&
         is_digit(zone[5]) && is_digit(date[date.size() - 7]);
}

}  // namespace

std::optional<HeaderBlock> header_block_at(const std::vector<QuoteLine>& lines, std::size_t i,
                                           bool announced, int& looks) {
  const std::uint32_t depth = lines[i].depth;
  const LineMark mark = lines[i].mark;
  HeaderBlock block;
  if (is_header_row(lines[i].text, block.author)) {
    block.lines = 1;
    block.sure = true;
    return block;
  }
  // Without colons where a line announced it, "From "Ada" <ada@example.net>"; all lines alike.
  const HeaderLine bare_first = header_line_without_colon(lines[i].text);
  const bool bare = announced && header_line(lines[i].text).role == HeaderRole::kNone &&
                    bare_first.role == HeaderRole::kFrom &&
                    bare_first.value.find_first_of("@\"") != std::string_view::npos;
  if (!bare && header_line(lines[i].text).role == HeaderRole::kNone && mark != LineMark::kHeader) {
    return std::nullopt;
  }
  Seen seen;
  int marked = 0;  // lines that look like a header of a language that we do not have
  bool sent = false;
  std::size_t wrapped = 0;
  std::size_t end = i;
  std::string_view first_value;
  const auto goes_on_with_recipients = [&](const QuoteLine& line) {
    return wrapped < 20 && !seen.all() &&
           (leading_blank(line.raw) > 0 || line.text.find('@') != line.text.npos ||
            line.text.find(';') != line.text.npos);
  };
  const auto goes_on_with_subject = [&](std::size_t at) {
    return wrapped == 0 && seen.has(HeaderRole::kSubject) && at + 1 < lines.size() &&
           !lines[at + 1].blank && header_line(lines[at + 1].text).role != HeaderRole::kNone;
  };
  for (std::size_t at = i; at < lines.size() && at - i < kMostHeaderLines; ++at) {
    const QuoteLine& line = lines[at];
    if (line.blank) {
      // One blank line between headers, as paragraphs in HTML have it, but no more.
      const std::size_t next = at + 1;
      if (next >= lines.size() || lines[next].depth != depth || bare ||
          header_line(lines[next].text).role == HeaderRole::kNone || seen.roles() == 0) {
        break;
      }
      continue;
    }
    if (line.depth != depth) break;
    ++looks;
    const HeaderLine header = bare ? header_line_without_colon(line.text) : header_line(line.text);
    const std::size_t colon = line.text.find(':');
    if (header.role != HeaderRole::kNone) {
      sent = sent || header.role == HeaderRole::kSent;
      const HeaderRole role = header.role == HeaderRole::kDate ? HeaderRole::kSent : header.role;
      if (seen.has(role) && role == HeaderRole::kFrom) break;
      seen.add(role);
      wrapped = 0;
      block.raw = block.raw || header.value.find("=?") != header.value.npos ||
                  (header.role == HeaderRole::kDate && ends_with_zone(header.value));
      if (role == HeaderRole::kFrom) {
        block.author = shown_name(header.value);
        block.addressed = header.value.find('@') != header.value.npos;
        // "From:" alone, the name in the next line.
        if (header.value.empty() && at + 1 < lines.size() && !lines[at + 1].blank) {
          block.author = shown_name(lines[at + 1].text);
          block.addressed = lines[at + 1].text.find('@') != std::string_view::npos;
        }
      }
    } else if (mark == LineMark::kHeader && line.mark == mark) {
      if (colon != line.text.npos && colon < 48) {
        if (marked++ == 0) first_value = line.text.substr(colon + 1);
      }
    } else if (seen.roles() > 0 && (goes_on_with_recipients(line) || goes_on_with_subject(at))) {
      ++wrapped;
    } else {
      break;
    }
    end = at + 1;
  }
  const bool known = seen.has(HeaderRole::kFrom) &&
                     ((announced && seen.roles() >= 2) ||
                      (seen.roles() >= 3 && (seen.has(HeaderRole::kSubject) ||
                                             (block.addressed && seen.has(HeaderRole::kSent)))) ||
                      (mark == LineMark::kHeader && seen.roles() >= 2));
  if (!known && mark == LineMark::kHeader && marked + seen.roles() >= 3) {
    if (block.author.empty()) block.author = shown_name(first_value);
  } else if (!known) {
    return std::nullopt;
  }
  block.lines = end - i;
  block.sure = announced || sent || mark == LineMark::kHeader;
  block.to = seen.has(HeaderRole::kTo);
  block.dated = seen.has(HeaderRole::kSent);
  return block;
}

}  // namespace voxbus::kit::mail
