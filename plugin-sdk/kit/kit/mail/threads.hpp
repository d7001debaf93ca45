// SPDX-License-Identifier: Apache-2.0
//
// What a mail says of the mails before it. Repairs that need memory are the desk's. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace voxbus::kit::mail {

// What the headers hold, as they stand.
struct ThreadHeaders {
  std::string_view message_id, in_reply_to, references, thread_index;
};

struct Thread {
  std::string own;                        // this mail's id, empty when it has none
  std::string root;                       // the oldest mail of the thread that is named, or empty
  std::string answered;                   // the mail that is answered, or empty
  std::vector<std::string> answered_all;  // all that In-Reply-To names, in its order
  std::string outlook;                    // the root of Thread-Index, 44 hex digits, or empty
  bool outlook_answer = false;            // Thread-Index says that this is no first mail
};

// The ids in a header, in their order, without brackets: "<a@b> <c@d>", or a bare one. Words around
// them and repetitions are passed over. At most `most`, of which the last is the header's last.
std::vector<std::string> message_ids(std::string_view value, std::size_t most);

// A mail that names itself is passed over. The root is the oldest id of References, else what is
// answered; the answered is what In-Reply-To names first, else the youngest of References.
Thread read_thread(const ThreadHeaders& headers);

// An id that the schema has room for: a longer one becomes its digest.
std::string bounded_id(std::string id);

}  // namespace voxbus::kit::mail
