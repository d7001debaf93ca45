// SPDX-License-Identifier: Apache-2.0
//
// What mail programs say by classes, ids and styles of their HTML: here somebody is quoted, here is
// an attribution, a header, a signature. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "kit/mail/html_elements.hpp"
#include "kit/mail/quotes.hpp"

namespace voxbus::kit::mail {

struct ProgramMark {
  bool quote = false;
  LineMark mark = LineMark::kNone;
  std::string cite;  // the id of the mail that is quoted, where it is named
};

// Of an element with this compact_style().
ProgramMark program_mark(Tag tag, std::string_view attributes, const std::string& style);

}  // namespace voxbus::kit::mail
