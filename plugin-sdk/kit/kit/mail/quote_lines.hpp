// SPDX-License-Identifier: Apache-2.0
//
// From lines as a mail has them to lines with one depth each: '>' in all its wear is read and taken
// off, prefixes glued into the middle of a line are parted, lines that lost theirs to wrapping get
// it back. Pure, linear.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kit/mail/quotes.hpp"

namespace voxbus::kit::mail {

struct QuoteLine {
  std::string_view text;  // without prefix
  std::string_view raw;   // with it
  std::uint32_t depth = 0;
  LineMark mark = LineMark::kNone;
  bool blank = false;
  bool continues = false;  // the paragraph of the line before, wrapped
  std::uint16_t cite = 0;
};

// `repeats`: the mail answers or forwards another. A mail that does neither has '>' before figures
// and in its code.
std::vector<QuoteLine> quote_lines(const std::vector<MailLine>& lines, bool repeats);

// The pieces of a line into which prefixes are glued: "a > b" are two lines. `least` is the depth
// of a piece before the first mark.
std::vector<QuoteLine> glued_pieces(std::string_view line, std::uint32_t least);

}  // namespace voxbus::kit::mail
