// SPDX-License-Identifier: Apache-2.0
//
// One mail to one record, with GMime 3: `text` is what its author wrote now, `quoted` what it
// repeats; the rooms that find this out are in kit/mail. Any thread, but in a process of its
// own: GLib ends the process when memory runs out, and registers types that cannot be unloaded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kit/mail/mime_body.hpp"
#include "kit/mail_bytes.hpp"
#include "voxbus/channel.hpp"

namespace voxbus::kit {

struct MailOptions {
  std::vector<std::string> own_addresses;  // mail from these is outbound; any case
  MailLimits limits;
  mail::KeepFiles keep;  // which files come with their bytes
};

struct ReadMail {
  std::optional<std::string> unreadable;  // why there is no record
  Record record;
  std::optional<Time> occurred_at;
  std::vector<Attachment> attachments;  // as MailOptions::keep asks for
};

// Reads the bytes of one mail; `id` is its mail_id(). Throws std::bad_alloc only: what cannot be
// read comes back as unreadable. The time is that of the Date header, unless it is missing or more
// than a day away from the newest Received header, which our own side wrote: that one is used then.
// The conversation is the oldest Message-ID of References, else that of In-Reply-To, else the root
// of an answer's Thread-Index, else the mail's own, else `id`.
ReadMail read_mail(std::string_view bytes, std::string_view id, const MailOptions& options);

}  // namespace voxbus::kit
