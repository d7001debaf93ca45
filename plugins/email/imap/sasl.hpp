// SPDX-License-Identifier: Apache-2.0
//
// One exchange of GNU SASL, as the client. One session, one thread.
#pragma once

#include <gsasl.h>

#include <optional>
#include <string>

#include "account.hpp"

namespace voxbus::email::imap {

class Exchange {
 public:
  Exchange(const std::string& mechanism, const Login& login);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  bool has_begun() const { return session_ != nullptr; }
  // The answer to a challenge, both in Base64; nothing when the server's word cannot be right.
  std::optional<std::string> step(const std::string& challenge);
  // With a mechanism by which the server proves itself as well: it did.
  bool has_finished() const { return finished_; }

 private:
  void set(Gsasl_property property, const std::string& value);

  Gsasl* library_ = nullptr;
  Gsasl_session* session_ = nullptr;
  bool finished_ = false;
};

}  // namespace voxbus::email::imap
