// SPDX-License-Identifier: Apache-2.0
//
// The mails of the mailboxes of an IMAP account, as they arrive. Of each mailbox the cursor holds
// its UIDVALIDITY and the UID from which on nothing was brought: UIDs only grow, so that is all
// there is to know. A mailbox that was made anew (another UIDVALIDITY) is read from its start; what
// was brought before has the same native id and is dropped by the daemon. Flags are neither set nor
// looked at. Used on the channel's polling thread.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "imap/session.hpp"
#include "mail_item.hpp"

namespace voxbus::email::imap {

struct Account {
  Server server;
  Login login;
  std::vector<std::string> mailboxes;  // by their names; none: all but junk, trash and drafts
  std::chrono::milliseconds check_every{60'000};  // what the server does not tell by itself
};

class Source final : public MailSource {
 public:
  Source(Account account, ReadOptions options);

  Result<Batch> poll(const Cursor& since, Context& context) override;

 private:
  struct Place {
    std::uint32_t validity = 0;
    std::uint32_t next = 1;
  };
  // Mails that are asked for by one command.
  struct Group {
    std::vector<std::uint32_t> uids;
    std::uint64_t oversized = 0;  // bytes of the one mail that is too large to be taken whole
  };

  Result<Batch> read_on(const Cursor& since, Context& context);
  Result<void> connect(Context& context);
  Result<void> list(Context& context);
  bool wanted(const Listed& listed) const;
  Result<void> look_for_news(Context& context);
  Result<bool> begin_mailbox(Context& context);
  Result<void> plan(Context& context);
  Result<void> ask_ahead(Context& context);
  Result<Batch> take_group(Context& context);
  Result<void> take_oversized(const Group& group, Batch& batch, Context& context);

  bool load(std::string_view cursor);
  std::string cursor() const;
  Place& place(const std::string& mailbox);

  Account account_;
  ReadOptions options_;
  std::unique_ptr<Session> session_;
  std::map<std::string, Place> places_;  // by place_key() of the mailbox
  std::optional<std::string> reached_;   // the cursor that places_ stand for
  std::vector<std::string> mailboxes_;   // as the server writes them
  std::vector<std::string> missing_;     // wanted and not there
  std::deque<std::string> pending_;      // with something new
  std::string present_;                  // examined; empty: none
  std::uint32_t present_next_ = 0;       // its UIDNEXT when it was examined
  std::deque<std::uint32_t> uids_;       // of it, not yet planned
  std::deque<Group> groups_;             // planned; the first `asked_` are under way
  std::size_t asked_ = 0;
  std::chrono::steady_clock::time_point listed_;
  bool looked_ = false;  // at all mailboxes, since the connection was made
};

}  // namespace voxbus::email::imap
