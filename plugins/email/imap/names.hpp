// SPDX-License-Identifier: Apache-2.0
//
// Words of the protocol and names of mailboxes. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::email::imap {

std::string capitals(std::string_view text);  // of ASCII letters

// A mailbox's name on the wire and as people write it; names that are no proper modified UTF-7
// stay.
std::string wire_name(const std::string& name);
std::string shown_name(const std::string& name);

}  // namespace voxbus::email::imap
