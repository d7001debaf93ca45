// SPDX-License-Identifier: Apache-2.0
//
// A session with an IMAP server: log in, list, look, fetch. It opens mailboxes by EXAMINE and takes
// mails by BODY.PEEK[], so that nothing is ever marked. Credentials go out only over TLS, unless
// the configuration said that there is none. No answer may be longer than its question explains.
// Throws Stopped; after that, or an error that leaves it unusable, the session is of no use any
// more. One thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "imap/connection.hpp"
#include "imap/reader.hpp"

namespace voxbus::email::imap {

inline constexpr std::uint32_t kLargestPiece = 1 << 20;
// What an answer may take that names mails or mailboxes: beyond it is no answer but a flood.
inline constexpr std::uint64_t kLongAnswer = 8 << 20;

struct Listed {
  std::string name;                     // as the server writes it, in modified UTF-7
  std::vector<std::string> attributes;  // "\\Junk", in capitals
  std::string delimiter;                // between the levels of a name, or empty
};

struct Standing {  // of a mailbox
  std::uint32_t validity = 0;
  std::uint32_t next = 0;    // the UID that the next mail gets; 0: not said
  std::uint64_t exists = 0;  // mails in it, when it was examined
};

struct Fetched {
  std::uint32_t uid = 0;
  std::string bytes;
  bool is_cut = false;  // longer than is taken whole: its bytes are let go
};

// What came of a question for mails.
struct Handed {
  std::vector<Fetched> mails;          // asked for, ascending, each once
  std::optional<std::string> refused;  // the words of a NO; mails may have come before it
  bool for_now = false;                // the refusal says that it will pass
};

class Session {
 public:
  // Mails of up to so many bytes are taken whole.
  Session(const Server& server, std::uint64_t most_bytes)
      : server_{server}, connection_{server}, most_bytes_{most_bytes} {}

  // Connects and logs in. Error::permanent: a person has to change something.
  Result<void> open(const Login& login, Context& context);
  // False after an error that was more than a refusal.
  bool is_usable() const { return usable_; }
  bool can(std::string_view capability) const {
    return capabilities_.contains(std::string{capability});
  }

  // Each name once; the names that could not be asked for are left out.
  Result<std::vector<Listed>> list(Context& context);
  // Of many at once; one that cannot be looked at has validity 0.
  Result<std::vector<Standing>> standing(const std::vector<std::string>& mailboxes,
                                         Context& context);
  Result<Standing> examine(const std::string& mailbox, Context& context);
  // The UIDs from `first` to `last`, ascending, of the mailbox that was examined.
  Result<std::vector<std::uint32_t>> search(std::uint32_t first, std::uint32_t last,
                                            Context& context);
  // The highest UID in it; 0: it is empty.
  Result<std::uint32_t> last_uid(Context& context);
  // Their sizes: ask_sizes() sends the command at once, sizes() reads its answer, in the order of
  // the UIDs; 0 where the server says none: gone meanwhile, or simply not said. The UIDs are all
  // that there are between the first and the last. One such question at a time.
  Result<void> ask_sizes(std::vector<std::uint32_t> uids, Context& context);
  Result<std::vector<std::uint64_t>> sizes(Context& context);

  // Whole mails: ask() sends a command at once, collect() reads what the oldest of them brings, and
  // keeps what comes for others meanwhile: servers may answer several at a time. The UIDs are all
  // that there are between the first and the last, their sizes together about `bytes`.
  Result<void> ask(std::vector<std::uint32_t> uids, std::uint64_t bytes, Context& context);
  Result<Handed> collect(Context& context);
  // A piece of a mail, at most so long: kLargestPiece.
  Result<Handed> piece(std::uint32_t uid, std::uint64_t from, std::uint32_t size, Context& context);

  // Waits until the server says that something happened, or for that long; true when it did.
  // Without IDLE it only waits.
  Result<bool> idle(std::chrono::milliseconds time, Context& context);
  // Whether the server said of itself, since the last list(), that mailboxes came, went or were
  // renamed.
  bool has_other_mailboxes() const { return other_mailboxes_; }
  // Whether it would.
  bool tells_of_mailboxes() const { return tells_of_mailboxes_; }

 private:
  using OnData = std::function<void(Response&)>;
  struct Asked {
    std::string tag;
    std::vector<std::uint32_t> uids;
    std::uint64_t bytes = 0;
    std::uint64_t most = 0;  // of one mail
    Handed handed = {};
    std::set<std::uint32_t> came = {};
  };

  void allow(std::uint64_t bytes);
  void note_news(const Response& one);
  Result<void> take(const Result<std::string_view>& bytes);
  Error lost(Error error);
  Result<std::string> send(std::string_view command, Context& context);
  Result<Response> receive(Context& context);
  Result<Response> finish(const std::string& tag, const OnData& on_data, Context& context);
  Result<Response> command(std::string_view text, std::uint64_t allowed, const OnData& on_data,
                           Context& context);
  Result<std::vector<std::uint32_t>> search(const std::string& uids, Context& context);
  void take_fetch(Response& response);
  std::uint64_t under_way() const;
  void note_capabilities(const std::vector<Value>& values);
  Result<void> ask_capabilities(Context& context);
  Result<void> ask_for_news(Context& context);
  Result<void> start_tls(Context& context);
  Result<void> authenticate(const Login& login, Context& context);
  Result<Response> sasl(const std::string& mechanism, const Login& login, Context& context);
  Error refused(const std::string& what, const Response& answer) const;

  Server server_;
  Connection connection_;
  std::uint64_t most_bytes_;
  Reader reader_;
  std::set<std::string> capabilities_;
  std::string tag_prefix_;  // chosen anew each time, so that nobody answers ahead of the question
  std::uint64_t last_tag_ = 0;
  std::uint64_t received_ = 0, allowed_ = 0;  // bytes
  std::chrono::steady_clock::time_point answer_by_;
  std::set<std::string> open_;             // tags without an answer
  std::map<std::string, Response> early_;  // answers that came before an older one's
  Asked sized_;                            // whose sizes are asked for
  std::vector<std::uint64_t> sizes_;       // of them, as far as they were said
  std::deque<Asked> asked_;                // fetches under way, the oldest first
  bool usable_ = true;
  bool news_ = false;     // the server said so since somebody looked
  bool looking_ = false;  // a STATUS is an answer, and no news
  bool listing_ = false;  // a LIST is one
  bool other_mailboxes_ = false;
  bool tells_of_mailboxes_ = false;
};

}  // namespace voxbus::email::imap
