// SPDX-License-Identifier: Apache-2.0
//
// A connection to a mail server, with TLS or without. Every call ends at its limit of time and, by
// throwing Stopped, within a tenth of a second after stop was asked for; after an error or a stop
// it is of no use any more. Owned by one session, one thread.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "account.hpp"
#include "voxbus/channel.hpp"
#include "voxbus/result.hpp"

namespace voxbus::email::imap {

// Thrown out of whatever waits once the host wants the channel to end.
struct Stopped {};

class Connection {
 public:
  explicit Connection(Server server);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Resolves, connects and, with implicit TLS, shakes hands.
  Result<void> open(Context& context);
  // From here on all is encrypted; the certificate must be of the host's name.
  Result<void> start_tls(Context& context);
  bool is_encrypted() const;

  Result<void> write(std::string_view bytes, Context& context);
  // What arrived, at least one byte; valid until the next call.
  Result<std::string_view> read(Context& context);
  // The same, but waits as a channel does that has nothing to do; empty when nothing came in time.
  Result<std::string_view> wait(Context& context, std::chrono::milliseconds time);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace voxbus::email::imap
