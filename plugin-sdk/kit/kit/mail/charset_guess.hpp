// SPDX-License-Identifier: Apache-2.0
//
// Which charset bytes are of that nobody declared and that are no UTF-8, by ICU's detector and by
// what must hold beside its opinion. Names are in lower case, as mails write them; an empty one
// says that it may as well be Windows-1252. Pure; looks at 8 KiB of lines that tell something. Any
// thread.
//
// Decision. Context: of single bytes the detector is seldom sure: German in Latin-1 has 60 of 100,
// Russian in KOI8-R 21, a line of dashes and degrees 56 as Polish. Choice: its opinion counts only
// where the bytes speak as well. Writings that are not Latin have words of high bytes alone, where
// Western ones have single high bytes between ASCII letters; other Latin writings must show
// letters that Windows-1252 has not, and leave the Western opinion far behind. Cost: a word or two
// stay mojibake, as before.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::kit::mail {

// Chinese, Japanese, Korean, Cyrillic, Greek, Hebrew, Arabic: no Western text looks like it.
std::string likely_other_script(std::string_view bytes);

// Polish, Czech, Hungarian and so on.
std::string likely_other_latin(std::string_view bytes);

}  // namespace voxbus::kit::mail
