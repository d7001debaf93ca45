// SPDX-License-Identifier: Apache-2.0
//
// What can be said about a mail from its bytes alone, before a MIME parser touches it: its stable
// id, where its header ends, and whether it is built to exhaust a parser. Pure, in linear time. The
// parser's own words are asked for Content-Type headers only: which lines open a part depends on
// the boundary that it reads there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kit/sha256.hpp"

namespace voxbus::kit {

// The native id of a mail, in pieces: SHA-256, in hex, of its bytes with CRLF, without what
// mailboxes and mail stores add and change: the mbox "From " line, the quoting of "From " at the
// start of body lines, and the headers Status, X-Status, X-Keywords, X-UID, X-IMAP* and
// Content-Length. A last line without its end gets one. Any number of '>' before "From " is left
// out, because stores differ in how many they add.
class MailDigest {
 public:
  void update(std::string_view bytes);
  std::string hex();

 private:
  enum class Line { kUndecided, kKept, kDropped };

  void content(std::string_view piece);
  void decide_header(bool at_end);
  void decide_body(bool at_end);
  void end_line();

  Sha256 digest_;
  Line line_ = Line::kUndecided;
  bool header_ = true;
  bool first_line_ = true;
  bool held_return_ = false;      // a CR that may be half of a CRLF
  bool has_content_ = false;      // of the present line
  bool dropping_header_ = false;  // continuation lines follow their header
  std::size_t arrows_ = 0;        // '>' at the start of the present body line
  std::string begin_;             // of the present line, until it is decided
};

std::string mail_id(std::string_view mail);

// The mail without those headers and without an mbox "From " line, each line ended by LF; nothing
// else is changed. What a store marks as read, or keeps with other line ends, thereby stays the
// same mail. Of its own result it changes nothing.
std::string canonical_mail(std::string_view mail);

// The header section with the empty line that ends it, or everything when there is none.
std::string_view mail_header(std::string_view mail);

// A header line counts with its continuations as one header; a part is whatever names its
// Content-Type in a header: of the mail, behind a boundary that was declared, or of a mail in it.
// Words that only look so are none. The product bounds what comparing each line that could be a
// boundary with each open boundary costs.
struct MailLimits {
  std::size_t headers = 5'000;
  std::size_t header_bytes = 256 * 1024;  // of one header
  std::size_t parts = 1'000;
  std::uint64_t boundary_work = 200'000'000;
  // Bytes to be passed for one header until each of its encoded words ends: GMime looks for the end
  // of each beginning anew.
  std::uint64_t word_work = 4'000'000;
  // The same from each comma between people to the next address: 6,000 names without one.
  std::uint64_t people_work = 50'000'000;
};

// Why a MIME parser should not see this mail, or an empty string.
std::string beyond_limits(std::string_view mail, const MailLimits& limits = {});

}  // namespace voxbus::kit
