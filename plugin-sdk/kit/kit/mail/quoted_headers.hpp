// SPDX-License-Identifier: Apache-2.0
//
// Headers of a quoted mail, as programs copy them into the text, and the lines that announce one.
// Pure; any bytes, which should be UTF-8.
#pragma once

#include <string>
#include <string_view>

#include "kit/mail/phrases.hpp"

namespace voxbus::kit::mail {

// A header line of a quoted mail: its role, and the value. kNone for anything else.
struct HeaderLine {
  HeaderRole role = HeaderRole::kNone;
  std::string_view value;
};
HeaderLine header_line(std::string_view line);
// The same without the colon, as eM Client writes it: only below a line that announces headers.
HeaderLine header_line_without_colon(std::string_view line);

// All headers in one line: "From: A Sent: B To: C Subject: D". The author and true, or false.
bool is_header_row(std::string_view line, std::string& author);

// "Fwd: …", "WG: …": the mail with this subject forwards another.
bool is_forward_subject(std::string_view subject);

enum class Announcement { kNone, kOriginal, kForward, kEnd, kRule };
// "-----Original Message-----", "Begin forwarded message:", "--- End forwarded message ---",
// "__________".
Announcement announcement(std::string_view line);

// "See below", "my answers inline": the answers stand between what is quoted.
bool says_below(std::string_view line);

// "Please type your reply above this line": what helpdesks put above the words that they repeat.
bool asks_for_reply_above(std::string_view line);

}  // namespace voxbus::kit::mail
