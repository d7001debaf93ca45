// SPDX-License-Identifier: Apache-2.0
//
// A session with a POP3 server (RFC 1939, STLS of RFC 2595), through libcurl: list the mails by
// their unique ids, then take them. Nothing is deleted. Throws Stopped within a tenth of a second
// after stop was asked for; after an error or that the session is of no use any more. Owned by one
// source, one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "account.hpp"
#include "voxbus/channel.hpp"
#include "voxbus/result.hpp"

namespace voxbus::email::pop3 {

struct Stopped {};

struct Listed {
  std::uint32_t number = 0;  // in this session
  std::string unique_id;     // at most 70 characters, for ever of this mail (RFC 1939, section 7)
};

class Session {
 public:
  // A line of an answer is not longer than that of a mail may be; its bytes are passed on as they
  // come, with the dots unstuffed and lines ended by CRLF.
  using OnBytes = std::function<void(std::string_view)>;

  Session(Server server, Login login);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Connects, logs in and lists, in the server's order. Error::permanent: a person has to change
  // something.
  Result<std::vector<Listed>> open(Context& context);
  Result<void> fetch(const Listed& mail, const OnBytes& on_bytes, Context& context);

 private:
  struct Parts;
  Result<void> transfer(const std::string& path, const OnBytes& on_bytes, Context& context);
  Error failed(int code) const;

  std::unique_ptr<Parts> parts_;
};

}  // namespace voxbus::email::pop3
