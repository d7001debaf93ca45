// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/html_marks.hpp"

#include "kit/mail/html_tokens.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

std::string unescaped(const std::string& text) {
  std::string out;
  const auto digit = [](char c) { return is_digit(c) ? c - '0' : lower_ascii(c) - 'a' + 10; };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto hex = [&](std::size_t at) {
      return at < text.size() &&
             (is_digit(text[at]) || (lower_ascii(text[at]) >= 'a' && lower_ascii(text[at]) <= 'f'));
    };
    if (text[i] == '%' && hex(i + 1) && hex(i + 2)) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "sig1", as Fastmail numbers its signatures.
bool is_numbered_signature(std::string_view id) {
  return id.size() > 3 && id.size() < 20 && id.starts_with("sig") &&
         id.find_first_not_of("0123456789", 3) == id.npos;
}

}  // namespace

ProgramMark program_mark(Tag tag, std::string_view attributes, const std::string& style) {
  ProgramMark meant;
  const std::string classes = html_attribute(attributes, "class", 512);
  const std::string id = html_attribute(attributes, "id", 128);
  if (tag == Tag::kQuote) {
    const bool indented = classes.empty() && html_attribute(attributes, "type", 16).empty() &&
                          (declares(style, "border:none") || declares(style, "border-width:0px") ||
                           is_nothing(style, "border:"));
    meant.quote = !indented;  // Gmail's and Word's "increase indent" are blockquotes as well
    std::string cite = html_attribute(attributes, "cite", 1024);
    if (starts_with_ascii(cite, "mid:")) meant.cite = unescaped(cite.erase(0, 4));
    return meant;
  }
  if (tag == Tag::kDiv) {
    if (has_class(classes, "yahoo_quoted") || html_attribute(attributes, "name", 16) == "quote" ||
        style.find("border:none;border-left:solid") != style.npos) {
      meant.quote = true;
    }
    if (id == "divRplyFwdMsg" || id == "x_divRplyFwdMsg" ||
        has_class(classes, "OutlookMessageHeader") ||
        style.find("border:none;border-top:solid") != style.npos) {
      meant.mark = LineMark::kHeader;
    }
  }
  if (has_class(classes, "gmail_attr") || has_class(classes, "moz-cite-prefix")) {
    meant.mark = LineMark::kAttribution;
  } else if (has_class(classes, "gmail_signature") || has_class(classes, "moz-signature") ||
             has_class(classes, "protonmail_signature_block") || id == "Signature" ||
             id == "AppleMailSignature" || id == "Zm-_Id_-Sgn" || is_numbered_signature(id) ||
             (tag == Tag::kDiv &&
              html_attribute(attributes, "name", 32) == "messageSignatureSection") ||
             id == "ms-outlook-mobile-signature" ||
             has_class(classes, "elementToProof-signature") ||
             html_attribute(attributes, "data-marker", 32) == "__SIG_POST__") {
    meant.mark = LineMark::kSignature;
  }
  return meant;
}

}  // namespace voxbus::kit::mail
