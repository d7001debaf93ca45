// SPDX-License-Identifier: Apache-2.0
//
// Which of an account's mailboxes are read, and which of them hold what we sent. Pure; any thread.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "imap/session.hpp"

namespace voxbus::email::imap {

struct Chosen {
  std::vector<std::string> names;    // as the server writes them, INBOX first
  std::vector<std::string> missing;  // wanted and not there, as they were wanted
  std::set<std::string> sent;        // of the names: marked \Sent by the server (RFC 6154)
};

// Those that are named, INBOX in any case; where that is empty all but junk, trash, drafts and the
// one that shows all others once more: by the server's marks, and where it marks none of a kind, by
// the names that mail programs give to them, below the root or INBOX.
Chosen chosen(const std::vector<Listed>& listed, const std::vector<std::string>& named);

}  // namespace voxbus::email::imap
