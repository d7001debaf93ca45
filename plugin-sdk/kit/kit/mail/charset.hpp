// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a mail to UTF-8, by the charset that the mail declares, or by what the bytes are where
// it declares none, a wrong or an unknown one. Pure, linear; any thread.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::kit::mail {

// Never fails: a byte that cannot be read becomes U+FFFD. Marks of byte order are taken off.
std::string decoded(std::string_view bytes, std::string_view charset);

// What the first kilobytes of HTML say of its charset, or nothing.
std::string html_charset(std::string_view html);

}  // namespace voxbus::kit::mail
