// SPDX-License-Identifier: Apache-2.0
//
// The body of a parsed mail: its words, split, and its files. Any thread; the GMime object is only
// read.
//
// Decisions (2026-11-23):
// - Of alternatives the plain text is read, because its author's program wrote it for readers; the
//   HTML instead where the plain text is empty, only points at the HTML or at a page, or has lost
//   the marks of quotes that the HTML still has. The HTML as well where the mail answers nothing,
//   the plain text is short (300 bytes), all its words stand in the HTML in their order, and the
//   HTML has more than twice as many of its own, outside quotes; or where it is a few words without
//   a sentence's end and the HTML has many times as many: programs write a beginning or a title
//   there. In answers people write short themselves, and what the HTML has beyond it is mostly a
//   signature, a gateway's footer or an unmarked quote. Cost: such a footer comes with a short
//   first mail; that is better than a complaint of which only the order's number is read.
// - A mail inside a mail, a calendar's entry, a delivery report, winmail.dat, what is encrypted and
//   signatures of S/MIME and PGP are files. None of them is opened.
// - The bytes of files are in the raw mail. They are handed over apart only where asked for.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kit/mail/quotes.hpp"
#include "kit/mail/threads.hpp"
#include "voxbus/channel.hpp"

// NOLINTNEXTLINE(bugprone-reserved-identifier): GMime's own name
typedef struct _GMimeObject GMimeObject;

namespace voxbus::kit::mail {

// Which files are handed over with their bytes.
struct KeepFiles {
  std::vector<std::string> types;                // "application/pdf", "image/*", "*"; none: no file
  std::uint64_t most_bytes = 8 << 20;            // of one file
  std::uint64_t most_bytes_together = 32 << 20;  // of a mail

  bool wants(std::string_view type) const;
};

struct MailBody {
  NewAndQuoted words;
  std::vector<NamedFile> files;  // those not handed over
  std::vector<Attachment> kept;  // those handed over
  Json report;                   // what a delivery or disposition report says, else null
  std::string protection;        // "encrypted", "signed" or nothing
  Thread reported;               // the mail that the report is about, as far as it is named
  std::string charset;           // of the first text that declares one
  std::string guessed;           // of the first text whose charset had to be guessed
};

inline constexpr std::size_t kMostFiles = 1024;
inline constexpr std::size_t kMostWords = 1 << 20;  // bytes of new words, and of quoted ones

MailBody read_body(GMimeObject* root, const KeepFiles& keep, MailContext context);

}  // namespace voxbus::kit::mail
