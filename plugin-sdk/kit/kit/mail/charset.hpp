// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a mail to UTF-8, by the charset that the mail declares. Where it declares none, an
// unknown one, or a Western one that the bytes cannot be, by what the bytes are: UTF-8 and
// ISO-2022-JP where they are valid, another charset where ICU's detector is sure and enough of the
// bytes speak for it (charset_guess.hpp), else Windows-1252. A few words of a rare charset are
// taken for Windows-1252. Any other declaration is believed, even where it is wrong. Pure, linear;
// any thread.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::kit::mail {

struct Decoded {
  std::string text;
  std::string guessed;  // the charset, in lower case, where it is neither what was declared nor
                        // told by validity; empty: nothing was guessed
};

// Never fails: a byte that cannot be read becomes U+FFFD. Marks of byte order are taken off.
Decoded decode(std::string_view bytes, std::string_view charset);
// Its text alone.
std::string decoded(std::string_view bytes, std::string_view charset);

// Bytes that stand in a header as they are, without an encoded word. Programs that write such write
// those of the body's charset: they are read by it, unless they are ASCII or UTF-8, or no header
// could be written in it (UTF-16, UTF-7, EBCDIC).
Decoded decode_in_header(std::string_view bytes, std::string_view charset);

// What the first kilobytes of HTML say of its charset, or nothing.
std::string html_charset(std::string_view html);

}  // namespace voxbus::kit::mail
