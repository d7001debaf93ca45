// SPDX-License-Identifier: Apache-2.0
//
// HTML to the lines that a person reads, each with its depth of quotation. Paragraphs, list items
// and rows of tables are lines, `pre` keeps its own, a link's address stands behind its words
// unless they show it; what is not shown (scripts, hidden elements, preheaders) is left out. Mail
// programs' own marks of quotes, attributions and signatures are understood. Linear in time and
// space; any thread; any bytes, which should be UTF-8.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kit/mail/quotes.hpp"

namespace voxbus::kit::mail {

// The lines and the bytes that they look at. Moves with what it owns.
struct HtmlLines {
  MailLines lines;
  std::unique_ptr<std::string> bytes;
};

HtmlLines html_lines(std::string_view html);

// All of it as text, quotes as they stand without marks: for connectors without quotes.
std::string html_text(std::string_view html);

}  // namespace voxbus::kit::mail
