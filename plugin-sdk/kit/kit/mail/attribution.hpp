// SPDX-License-Identifier: Apache-2.0
//
// Recognises how mail programs say whose words follow: "On … Nora wrote:". Pure; what is given is
// at most a few lines, and longer texts are none.
//
// Decision (2026-11-23): people write such sentences themselves ("On 3 November at 14:00 I called
// and your agent Joe wrote:"). Between the date and the name, and between the name and the verb, a
// program writes nothing but its few fillers (is_between_date_and_name, is_around_wrote); any other
// small word, a full stop before a word, a pronoun or a possessive makes it a person's sentence.
// One small word that we do not know may be a language's filler: it is believed where marks or an
// address say what it is. Without a moment and an address the name must look like one as well:
// people cite with marks what stood on a box and what "your technician" wrote. Cost: a program's
// filler that we lack leaves its line among the words.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace voxbus::kit::mail {

inline constexpr std::size_t kLongestAttribution = 600;  // bytes, over its lines
inline constexpr std::size_t kAttributionLines = 4;

struct Attribution {
  std::string author;      // as shown: the name, else the address; never a handle
  int weight = 0;          // of two readings the heavier is right
  bool certain = false;    // a quote follows even where nothing marks it as one
  bool addressed = false;  // an address or a program's frame stands there, and not words alone
  std::size_t begin = 0;   // bytes of own words before it
  std::size_t end = 0;     // what follows is quoted already
};

// ">>> Ada 05.01.2026 10:00 >>>": GroupWise's attribution, whose arrows are no marks of depth.
bool is_framed_by_arrows(std::string_view text);

// Whether the text could end an attribution: cheap, to be asked first.
bool may_end_attribution(std::string_view text);

// The attribution in a text whose lines are joined by blanks.
std::optional<Attribution> find_attribution(std::string_view text);

// What can be made of a line that HTML marks as an attribution, in whatever language.
std::string attributed_author(std::string_view text);

}  // namespace voxbus::kit::mail
