// SPDX-License-Identifier: Apache-2.0
//
// A session with an IMAP server: log in, list, look, fetch. It opens mailboxes by EXAMINE and takes
// mails by BODY.PEEK[], so that nothing is ever marked. Credentials go out only over TLS, unless
// the configuration said that there is none. Throws Stopped; after an error or that the session is
// of no use any more. One thread.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "imap/connection.hpp"
#include "imap/reader.hpp"

namespace voxbus::email::imap {

struct Listed {
  std::string name;                     // as the server writes it, in modified UTF-7
  std::vector<std::string> attributes;  // "\\Junk", in capitals
};

struct Standing {  // of a mailbox
  std::uint32_t validity = 0;
  std::uint32_t next = 0;  // the UID that the next mail gets; 0: not said
};

struct Fetched {
  std::uint32_t uid = 0;
  std::uint64_t size = 0;
  std::string bytes;
};

class Session {
 public:
  explicit Session(const Server& server) : server_{server}, connection_{server} {}

  // Connects and logs in. Error::permanent: a person has to change something.
  Result<void> open(const Login& login, Context& context);
  bool can(std::string_view capability) const {
    return capabilities_.contains(std::string{capability});
  }

  Result<std::vector<Listed>> list(Context& context);
  // Of many at once; one that cannot be looked at has validity 0.
  Result<std::vector<Standing>> standing(const std::vector<std::string>& mailboxes,
                                         Context& context);
  Result<Standing> examine(const std::string& mailbox, Context& context);
  // The UIDs from `first` on, ascending, of the mailbox that was examined.
  Result<std::vector<std::uint32_t>> search(std::uint32_t first, Context& context);
  // Their sizes, in the same order; 0 where the server says none: gone meanwhile, or simply not
  // said.
  Result<std::vector<std::uint64_t>> sizes(const std::vector<std::uint32_t>& uids,
                                           Context& context);

  // Whole mails: ask() sends a command at once, collect() reads what the oldest of them brings.
  // In ascending order; who is gone meanwhile is left out.
  Result<void> ask(const std::vector<std::uint32_t>& uids, Context& context);
  Result<std::vector<Fetched>> collect(Context& context);
  // A piece of a mail that is too large to be taken whole.
  Result<std::string> piece(std::uint32_t uid, std::uint64_t from, std::uint32_t size,
                            Context& context);

  // Waits until the server says that something happened, or for that long; true when it did.
  // Without IDLE it only waits.
  Result<bool> idle(std::chrono::milliseconds time, Context& context);

 private:
  using OnData = std::function<void(Response&)>;

  Result<std::string> send(std::string_view command, Context& context);
  Result<Response> finish(const std::string& tag, const OnData& on_data, Context& context);
  Result<Response> command(std::string_view text, const OnData& on_data, Context& context);
  Result<Response> receive(Context& context);
  void note_capabilities(const std::vector<Value>& values);
  Result<void> ask_capabilities(Context& context);
  Result<void> start_tls(Context& context);
  Result<void> authenticate(const Login& login, Context& context);
  Result<Response> sasl(const std::string& mechanism, const Login& login, Context& context);
  Error refused(const std::string& what, const Response& answer) const;

  Server server_;
  Connection connection_;
  Reader reader_;
  std::set<std::string> capabilities_;
  std::uint64_t last_tag_ = 0;
  std::vector<std::string> asked_;  // tags of fetches under way, the oldest first
};

// "5:7,9" of ascending numbers.
std::string set_of(const std::vector<std::uint32_t>& uids);
// A mailbox's name on the wire and as people write it; names that are no proper modified UTF-7
// stay.
std::string wire_name(const std::string& name);
std::string shown_name(const std::string& name);

}  // namespace voxbus::email::imap
