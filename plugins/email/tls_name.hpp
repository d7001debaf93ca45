// SPDX-License-Identifier: Apache-2.0
//
// For whom a server's certificate must be. Any thread.
#pragma once

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <string>

namespace voxbus::email {

// By its subject alternative names only: who is named nowhere but in the subject is not named (RFC
// 9525), and no part of a label is a wildcard. True where the host is a literal address.
inline bool expect_name(X509_VERIFY_PARAM* certificate, const std::string& host) {
  ::X509_VERIFY_PARAM_set_hostflags(
      certificate, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (::X509_VERIFY_PARAM_set1_ip_asc(certificate, host.c_str()) == 1) return true;
  ::X509_VERIFY_PARAM_set1_host(certificate, host.data(), host.size());
  return false;
}

}  // namespace voxbus::email
