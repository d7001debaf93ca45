// SPDX-License-Identifier: Apache-2.0
//
// The little that our rooms share about GMime 3. For sources only: no header that others include
// includes this.
#pragma once

#include <gmime/gmime.h>

#include <memory>
#include <string>

#include "kit/mail/threads.hpp"
#include "voxbus/text.hpp"

namespace voxbus::kit::mail {

struct Unref {
  template<class T>
  void operator()(T* object) const {
    g_object_unref(object);
  }
};
template<class T>
using Owned = std::unique_ptr<T, Unref>;

inline std::string text_of(const char* words) { return words ? to_utf8(words) : std::string{}; }

// The bytes of a header as the mail has them, or an empty view. They live with the object.
inline std::string_view raw_header(GMimeObject* object, const char* name) {
  GMimeHeader* header = g_mime_header_list_get_header(g_mime_object_get_header_list(object), name);
  const char* value = header ? g_mime_header_get_raw_value(header) : nullptr;
  return value ? std::string_view{value} : std::string_view{};
}

// What its headers say of the mails before it.
inline Thread thread_of(GMimeObject* message) {
  return read_thread({.message_id = raw_header(message, "Message-ID"),
                      .in_reply_to = raw_header(message, "In-Reply-To"),
                      .references = raw_header(message, "References"),
                      .thread_index = raw_header(message, "Thread-Index")});
}

// What a part holds, its transfer encoding undone.
std::string content_of(GMimePart* part);

}  // namespace voxbus::kit::mail
