// SPDX-License-Identifier: Apache-2.0
//
// What plain text of a mail may hold besides lines: soft breaks of format=flowed (RFC 3676), files
// as uuencode and yEnc write them, the armour of a PGP signature. Pure, linear.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kit/mail/quotes.hpp"

namespace voxbus::kit::mail {

struct FlowedLines {
  MailLines lines;
  std::unique_ptr<std::string> bytes;
};

// Paragraphs as lines, each with its depth; `delsp` as the mail's DelSp says.
FlowedLines flowed_lines(std::string_view text, bool delsp);

struct InlineFile {
  std::string name;
  std::string bytes;
};

// Takes uuencoded and yEnc files out of the text; at most `most` of them.
std::vector<InlineFile> take_inline_files(std::string& text, std::size_t most);

// Takes the armour of a clear-signed text off; true when there was one.
bool take_clear_signature(std::string& text);

}  // namespace voxbus::kit::mail
