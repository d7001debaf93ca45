// SPDX-License-Identifier: Apache-2.0
//
// The header of a quoted mail as a block of lines: "From: …", "Sent: …", "To: …", "Subject: …" in
// any of the languages and orders, with wrapped lists of recipients. Pure, linear in its lines.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "kit/mail/quote_lines.hpp"

namespace voxbus::kit::mail {

struct HeaderBlock {
  std::size_t lines = 0;
  std::string author;
  bool forwarded = false;
  // A mail program wrote it: it says when the mail was sent, markup says what it is, or a line
  // announced it. Else a form may have written it as well.
  bool sure = false;
  bool addressed = false;  // its author has an address
  bool to = false;
  bool dated = false;
  bool raw = false;  // copied out of a mail's source: encoded words, a date with its zone
};

// The header that begins in line i, which is not blank. `announced`: the line before says that a
// quoted mail follows. Counts the lines that it looks at.
std::optional<HeaderBlock> header_block_at(const std::vector<QuoteLine>& lines, std::size_t i,
                                           bool announced, int& looks);

}  // namespace voxbus::kit::mail
