// SPDX-License-Identifier: Apache-2.0
//
// Tells what a person wrote now from what their mail repeats. One algorithm for plain text and
// HTML: what differs is only where a line's depth comes from. Pure, in linear time; any thread.
//
// Decisions (2026-11-23):
// - A forwarded mail is quoted, not new: nobody wrote it now. Its blocks have the author that its
//   header names, and are marked `forwarded`, because what a reply's headers say of the mail that
//   is answered says nothing of them.
// - The words of an attribution or of a quoted header are in no block: they are a mail program's,
//   and the block's author says what they say.
// - A signature leaves the text and is kept beside it, because phone numbers stand there. Lines of
//   devices ("Sent from my …") and footers of lists are nobody's words and are dropped.
// - "From", "Date", "To", "Subject" without a line, a mark or a "Sent", which only mail programs
//   write, are a quoted mail's header where the mail's own headers say that it answers or forwards
//   another; else only below own words, with mailboxes and a date as programs show it: web forms
//   write the same above what somebody wrote now, people paste the headers that they ask about, and
//   words that are lost weigh more than words too many.
// - An attribution of words alone ("On … Nora wrote:") above lines without marks makes a quote of
// them
//   only where the mail's headers say that it answers or forwards another, and not where one above
//   marked lines stands further down; an address or a program's frame makes it everywhere. Cost: a
//   reply that lost its headers keeps an unmarked quote among its words.
// - "-- " begins a signature; "--" only where nothing else can follow, because people part their
//   thoughts with it.
// - A blank line between two quoted ones parts no block: what parts them is an answer, another
//   depth, or another author.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "voxbus/record.hpp"

namespace voxbus::kit::mail {

// What the markup says of a line, beyond its depth.
enum class LineMark : std::uint8_t { kNone, kAttribution, kHeader, kSignature };

struct MailLine {
  std::string_view text;    // without its end; the bytes belong to whoever made the lines
  std::uint32_t depth = 0;  // by markup; '>' at the start of the text comes on top
  LineMark mark = LineMark::kNone;
  bool exact = false;      // '>' at the start are words (format=flowed told already)
  std::uint16_t cite = 0;  // 1 + the place in `cites` of the id that the markup names, 0: none
};

struct MailLines {
  std::vector<MailLine> lines;
  std::vector<std::string> cites;
  bool cut = false;  // there was more than the bounds allow
};

struct QuotedBlock {
  Quoted quoted;
  bool forwarded = false;
  std::uint32_t attribution = 0;  // blocks under the same attribution have the same number; 0: none
};

struct NewAndQuoted {
  std::string text;
  std::vector<QuotedBlock> blocks;  // in their order; `at` is a byte offset in `text`
  std::string signature;
  bool cut = false;  // there were more blocks than kMostBlocks, or the lines were cut
};

inline constexpr std::size_t kMostLines = 1 << 17;
inline constexpr std::size_t kMostLineBytes = 4 << 20;  // together
inline constexpr std::size_t kMostBlocks = 1024;
inline constexpr std::uint32_t kMostDepth = 100;
inline constexpr std::size_t kMostSignature = 4096;  // bytes

// The lines of plain text; the text outlives them.
MailLines plain_lines(std::string_view text);

// What the mail's own headers say of it.
struct MailContext {
  bool repeats = false;    // it answers or forwards another
  bool from_list = false;  // it came by a mailing list, which may have put a footer below it
};

NewAndQuoted split_quotes(const MailLines& lines, MailContext context = {});

}  // namespace voxbus::kit::mail
