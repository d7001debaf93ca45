// SPDX-License-Identifier: Apache-2.0
//
// HTML as mails have it, cut into tags and text. Pure; any bytes are HTML. Nothing outside the
// bytes is ever looked at: no entity but the named characters, no link, no picture.
//
// Decision (2026-11-23): of our own, not libxml2's HTML parser, which keeps every open element and
// searches that stack for each end tag: 80,000 <span> and as many </div> take it 22 s, and a tag
// with 80,000 attributes 10 s, both four times as long for twice the input. A mail is a stranger's.
// What it costs: no tree, and repairs of wrong nesting are the reader's. libxml2 still names the
// characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace voxbus::kit::mail {

struct HtmlToken {
  enum class Kind { kEnd, kText, kOpen, kClose };
  Kind kind = Kind::kEnd;
  std::string_view name;        // of a tag, in the case it has
  std::string_view text;        // of text, with its entities
  std::string_view attributes;  // of an opening tag, as they stand
};

// Cuts in linear time: no byte is looked at more than a few times, whatever is left open.
class HtmlTokens {
 public:
  explicit HtmlTokens(std::string_view html) : html_{html} {}
  HtmlToken next();

 private:
  std::size_t tag_end(std::size_t from);
  bool skip_declaration();
  bool skip_raw(std::string_view name);

  std::string_view html_;
  std::size_t at_ = 0;
  bool comments_end_ = true;  // false once a comment did not
  int broken_tags_ = 0;
  std::string_view raw_;  // the element whose contents are no HTML: script, style
};

// The value of an attribute, entities resolved; empty when there is none. At most `most` bytes.
std::string html_attribute(std::string_view attributes, std::string_view name,
                           std::size_t most = 4096);
bool has_html_attribute(std::string_view attributes, std::string_view name);

// Appends the text with its entities resolved, as UTF-8.
void append_html_text(std::string& out, std::string_view text);

}  // namespace voxbus::kit::mail
