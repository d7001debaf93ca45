// SPDX-License-Identifier: Apache-2.0
//
// Where an account's mails are and who reads them: plain values that the mail protocols share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace voxbus::email {

enum class Tls { kImplicit, kStartTls, kNone };

struct Server {
  std::string host;  // a name, or an address without brackets
  std::uint16_t port = 0;
  Tls tls = Tls::kImplicit;
  std::filesystem::path authorities;  // PEM; empty: those of the system

  std::string shown() const { return host + ":" + std::to_string(port); }
};

struct Login {
  std::string user, password;
};

}  // namespace voxbus::email
