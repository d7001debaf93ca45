// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/declared_type.hpp"

#include "kit/mail/gmime.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {

void start_gmime() {
  [[maybe_unused]] static const bool kStarted = [] {
    g_mime_init();
    return true;
  }();
}

DeclaredType declared_type(const std::string& value) {
  start_gmime();
  const Owned<GMimeContentType> type{g_mime_content_type_parse(nullptr, value.c_str())};
  if (!type) return {};
  const auto text = [](const char* words) { return lower_ascii(words ? words : ""); };
  const std::string media = text(g_mime_content_type_get_media_type(type.get()));
  const std::string subtype = text(g_mime_content_type_get_media_subtype(type.get()));
  const char* boundary = g_mime_content_type_get_parameter(type.get(), "boundary");
  return {.boundary = boundary ? boundary : "",
          .holds_mail = media == "message" || subtype.find("rfc822") != subtype.npos,
          .is_digest = media == "multipart" && subtype == "digest"};
}

}  // namespace voxbus::kit::mail
