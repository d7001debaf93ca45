// SPDX-License-Identifier: Apache-2.0
//
// The mails of the mailboxes of an IMAP account, as they arrive. Of each mailbox the cursor holds
// its UIDVALIDITY and the UID from which on nothing was brought: UIDs only grow, so that is all
// there is to know. A mailbox that was made anew (another UIDVALIDITY) is read from its start; what
// was brought before has the same native id and is dropped by the daemon. Flags are neither set nor
// looked at. Used on the channel's polling thread.
//
// Decision. Context: CONDSTORE and QRESYNC (RFC 7162) tell what changed in a mailbox since it was
// last seen. Choice: they are not used. The mail under a UID never changes, flags are never read,
// and a deletion on the server does not unsay what a customer said; so nothing is left of what they
// tell but new mails, and UIDVALIDITY with UIDNEXT says that already, of all mailboxes in one round
// trip by STATUS commands that do not wait for each other. Cost: after a reconnect one STATUS for
// each mailbox, a hundred bytes, where a server with QRESYNC could say nothing at all.
//
// Decision. Context: a mail that its server lists and does not hand over, or over which the
// connection ends each time, must neither be passed over silently nor stop the channel for ever.
// Choice: no place in the cursor moves past it; it is asked for again on a new connection and by
// itself, and set aside as a quarantined item once others come and it does not: see doubts.hpp.
// Mailboxes with such trouble are read behind the others. Cost: what is set aside in that way has
// no bytes that could be read anew; its name says the UID.
//
// Decision (2026-11-23). Context: a mail that we sent may lie in other mailboxes as well, by a copy
// to ourselves or because somebody filed it. Each is read by itself, in any order and again after
// its UIDVALIDITY changed, and one that is marked \Sent is all that says that the mail is ours; the
// cursor has no room for the ids of what was sent. Choice: the plugin says where it found a mail by
// the item's version, 1 in a mailbox marked \Sent and 0 elsewhere, and the journal, which keeps the
// highest one of each native id, passes over an older one: a mail may become outbound, once, and
// nothing makes it inbound again. Cost: of a mail that was found in \Sent nothing but \Sent revises
// the record, and status counts its other copies as out of order. A sent mail that was quarantined
// and replayed is inbound until \Sent is read again: its bytes do not tell where they lay.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "imap/doubts.hpp"
#include "imap/places.hpp"
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
  // Mails that are asked for by one command.
  struct Group {
    std::vector<std::uint32_t> uids;
    std::uint64_t bytes = 0;
    bool in_pieces = false;  // the one mail is not taken whole
  };

  Result<Batch> read_on(const Cursor& since, Context& context);
  Result<Batch> read_some(Context& context);
  bool has_moved() const;
  Result<void> connect(Context& context);
  Result<void> list(Context& context);
  bool needs_list() const;
  Result<void> look_for_news(Context& context);
  bool needs_new_session() const;
  Result<void> wait_for_news(Context& context);
  Result<std::optional<Standing>> open(const std::string& mailbox, Context& context);
  Result<bool> begin_mailbox(Context& context);
  void begin_reading(const Standing& standing, Context& context);
  Result<void> search_on(Context& context);
  Result<void> ask_sizes(Context& context);
  Result<void> plan(Context& context);
  Result<void> ask_ahead(Context& context);
  Result<Batch> take_group(Context& context);
  Result<Handed> take_in_pieces(std::uint32_t uid, Batch& batch, Context& context);
  Result<void> ask_neighbour(Context& context);
  Item set_aside(std::uint32_t uid, const Doubt& doubt);
  void pass(std::uint32_t uid);
  bool add(Batch& batch, std::string_view bytes, Context& context);
  bool refused_mailbox(const std::string& mailbox, const Error& error);

  Account account_;
  ReadOptions options_;
  std::unique_ptr<Session> session_;
  Places places_;
  std::optional<std::string> reached_;          // the cursor that places_ stand for
  std::vector<std::string> mailboxes_;          // as the server writes them
  std::vector<std::string> missing_;            // wanted and not there
  std::set<std::string> sent_;                  // of mailboxes_: what we sent
  std::map<std::string, std::string> trouble_;  // mailboxes that were refused, and how
  bool is_refused_anew_ = false;                // one that was not, on an earlier connection
  std::optional<std::chrono::steady_clock::time_point> renewed_;  // when, because of that
  std::map<std::string, unsigned> failures_;  // of connections, by the mailbox that was read
  std::set<std::string> reread_;              // because their UIDs went back
  Doubts doubts_;                             // by place_key() and UID
  std::deque<std::string> pending_;           // with something new
  std::string present_;                       // examined; empty: none
  std::uint64_t present_next_ = 0;            // its UIDNEXT when it was examined; 0: not known
  bool reading_ = false;                      // the present one is not yet read to its end
  std::uint64_t search_from_ = 0;             // UIDs of it not yet searched for
  std::uint64_t window_ = 0;                  // how many UIDs the next search covers
  std::deque<std::uint32_t> uids_;            // of it, not yet planned
  std::vector<std::uint32_t> sized_;          // the next of them, whose sizes are asked for
  std::uint32_t good_ = 0;                    // one that was handed over,
  std::string good_of_;                       // of this mailbox
  std::deque<Group> groups_;                  // planned; the first `asked_` are under way
  std::size_t asked_ = 0;
  std::chrono::steady_clock::time_point connected_, listed_;
  bool looked_ = false;  // at all mailboxes, since the connection was made
};

}  // namespace voxbus::email::imap
