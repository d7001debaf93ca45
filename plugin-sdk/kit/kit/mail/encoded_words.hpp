// SPDX-License-Identifier: Apache-2.0
//
// Header values to UTF-8: encoded words of RFC 2047, and what programs make of them: inside
// quotation marks, without blanks between, with blanks within, characters cut between two words,
// wrong padding, unknown charsets, raw bytes beside. Pure, linear.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::kit::mail {

// One line: folds become a blank, and so does every control character that was encoded, because a
// line break in a header is somebody's attempt at a second header.
// Raw bytes are read by decode_in_header(); where they had to be guessed, and nothing was guessed
// before, `guessed` says how.
std::string decoded_header(std::string_view value, std::string_view charset = {},
                           std::string* guessed = nullptr);

}  // namespace voxbus::kit::mail
