// SPDX-License-Identifier: Apache-2.0
//
// What a Content-Type header says of the parts below it, as the MIME parser itself reads it: only
// so is it known before it runs where it will look for parts. Any thread.
#pragma once

#include <string>

namespace voxbus::kit::mail {

struct DeclaredType {
  std::string boundary;     // of a multipart, or of whatever has one
  bool holds_mail = false;  // message/rfc822 and its like: another header follows
  bool is_digest = false;
};

// `value` is what stands behind the colon, with its continuations. Linear.
DeclaredType declared_type(const std::string& value);

// Makes GMime ready; at any time, as often as one likes.
void start_gmime();

}  // namespace voxbus::kit::mail
