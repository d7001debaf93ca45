// SPDX-License-Identifier: Apache-2.0
//
// The mails of a POP3 maildrop, as they arrive. They stay on the server: nothing is deleted. How it
// knows what is new stands in seen_ids.hpp. Used on the channel's polling thread.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "mail_item.hpp"
#include "pop3/seen_ids.hpp"
#include "pop3/session.hpp"

namespace voxbus::email::pop3 {

struct Account {
  Server server;
  Login login;
  std::chrono::milliseconds check_every{60'000};
};

class Source final : public MailSource {
 public:
  Source(Account account, ReadOptions options)
      : account_{std::move(account)}, options_{std::move(options)} {}

  Result<Batch> poll(const Cursor& since, Context& context) override;

 private:
  Result<Batch> read_on(const Cursor& since, Context& context);
  Result<void> look(Context& context);
  Result<Batch> take(Context& context);
  Result<bool> take_one(const Listed& mail, Batch& batch, std::size_t& bytes, Context& context);

  Account account_;
  ReadOptions options_;
  SeenIds seen_;
  std::optional<std::string> reached_;  // the cursor that seen_ stands for
  std::unique_ptr<Session> session_;    // while something of it is to be taken
  std::deque<Listed> backlog_;          // of that session
  std::optional<std::chrono::steady_clock::time_point> looked_;
};

}  // namespace voxbus::email::pop3
