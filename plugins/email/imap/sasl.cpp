// SPDX-License-Identifier: Apache-2.0
#include "imap/sasl.hpp"

#include <charconv>
#include <cstdint>
#include <string_view>

namespace voxbus::email::imap {
namespace {

// Of PBKDF2: a server could ask for hours of it.
constexpr std::uint64_t kMostIterations = 2'000'000;

// SCRAM: "r=...,s=...,i=4096" says how long the password is to be stirred.
bool wants_too_much(const std::string& challenge) {
  char* text = nullptr;
  std::size_t size = 0;
  if (::gsasl_base64_from(challenge.data(), challenge.size(), &text, &size) != GSASL_OK)
    return false;
  const std::string words(text, size);
  ::gsasl_free(text);
  const auto at = words.rfind(",i=");
  if (at == words.npos) return false;
  std::uint64_t count = 0;
  const auto [end, error] =
      std::from_chars(words.data() + at + 3, words.data() + words.size(), count);
  return error != std::errc{} || count > kMostIterations;
}

}  // namespace

Exchange::Exchange(const std::string& mechanism, const Login& login) {
  if (::gsasl_init(&library_) != GSASL_OK) library_ = nullptr;
  if (!library_ || ::gsasl_client_start(library_, mechanism.c_str(), &session_) != GSASL_OK) {
    session_ = nullptr;
    return;
  }
  set(GSASL_AUTHID, login.user);
  set(GSASL_PASSWORD, login.password);
}

Exchange::~Exchange() {
  if (session_) ::gsasl_finish(session_);
  if (library_) ::gsasl_done(library_);
}

std::optional<std::string> Exchange::step(const std::string& challenge) {
  if (!session_ || wants_too_much(challenge)) return std::nullopt;
  char* out = nullptr;
  const int code = ::gsasl_step64(session_, challenge.c_str(), &out);
  std::string answer = out ? out : "";
  ::gsasl_free(out);
  finished_ = code == GSASL_OK;
  if (code != GSASL_OK && code != GSASL_NEEDS_MORE) return std::nullopt;
  return answer;
}

void Exchange::set(Gsasl_property property, const std::string& value) {
  (void)::gsasl_property_set(session_, property, value.c_str());
}

}  // namespace voxbus::email::imap
