// SPDX-License-Identifier: Apache-2.0
//
// Recognises what mail programs write before a quote: attributions ("On … Nora wrote:"), the header
// block of a quoted mail ("From: … Sent: …"), and the lines that announce either. Pure; what is
// given is at most a few lines, and longer texts are none of these.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "kit/mail/phrases.hpp"

namespace voxbus::kit::mail {

inline constexpr std::size_t kLongestAttribution = 600;  // bytes, over its lines
inline constexpr std::size_t kAttributionLines = 4;

struct Attribution {
  std::string author;     // as shown: the name, else the address; never a handle
  int weight = 0;         // of two readings the heavier is right
  bool certain = false;   // a quote follows even where nothing marks it as one
  std::size_t begin = 0;  // bytes of own words before it
  std::size_t end = 0;    // what follows is quoted already
};

// Whether the text could end an attribution: cheap, to be asked first.
bool may_end_attribution(std::string_view text);

// The attribution in a text whose lines are joined by blanks.
std::optional<Attribution> find_attribution(std::string_view text);

// What can be made of a line that HTML marks as an attribution, in whatever language.
std::string attributed_author(std::string_view text);

// A header line of a quoted mail: its role, and the value. kNone for anything else.
struct HeaderLine {
  HeaderRole role = HeaderRole::kNone;
  std::string_view value;
};
HeaderLine header_line(std::string_view line);

// All headers in one line: "From: A Sent: B To: C Subject: D". The author and true, or false.
bool is_header_row(std::string_view line, std::string& author);

// The name of a mailbox as headers write it, else its address.
std::string shown_name(std::string_view mailbox);

enum class Announcement { kNone, kOriginal, kForward, kRule };
// "-----Original Message-----", "Begin forwarded message:", "__________".
Announcement announcement(std::string_view line);

}  // namespace voxbus::kit::mail
