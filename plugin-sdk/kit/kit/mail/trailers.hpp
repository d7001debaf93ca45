// SPDX-License-Identifier: Apache-2.0
//
// What stands below somebody's words without being them: signature, line of a device, footer of a
// list. Pure, linear.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kit/mail/quote_lines.hpp"

namespace voxbus::kit::mail {

struct OwnWords {
  std::string text;
  std::string signature;
};

// The run of lines between two quotes, or before, behind or without one. `from_list`: the mail came
// by a list; a footer of another is one only where it is unmistakable.
OwnWords without_trailers(const std::vector<QuoteLine>& lines, bool from_list);

// Whether somebody speaks or asks there, rather than say who they are: a postscript below a
// signature's mark, or a mail that was typed into the field of the signature. Notes about
// confidentiality, which companies put there, do not count.
bool reads_as_words(std::string_view text);

// Whether a plain text says nothing but that the words are in the HTML, or on a page: each of its
// sentences does, beside a salutation and addresses of the web.
bool only_points_elsewhere(std::string_view text);

}  // namespace voxbus::kit::mail
