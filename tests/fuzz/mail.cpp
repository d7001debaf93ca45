// SPDX-License-Identifier: Apache-2.0
// Any bytes are a mail whose record fits the schema, or are unreadable for a reason; their id does
// not depend on the pieces in which they come. The same bytes as a cursor do no harm either.

#include "check.hpp"
#include "kit/mail_reader.hpp"
#include "seen_mails.hpp"
#include "voxbus/record_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = bytes_of(data, size);
  const std::string id = voxbus::kit::mail_id(bytes);
  voxbus::kit::MailDigest digest;
  for (std::size_t at = 0; at < size; at += 7) digest.update(bytes.substr(at, 7));
  demand(digest.hex() == id, "the same id in pieces");
  demand(voxbus::kit::mail_id(voxbus::kit::canonical_mail(bytes)) == id,
         "the same id without a store's marks");
  const auto mail = voxbus::kit::read_mail(bytes, id, {});
  if (mail.unreadable) {
    demand(!mail.unreadable->empty(), "a reason");
  } else {
    const auto record = voxbus::Json::parse(mail.record.json());
    demand(record.has_value(), "a record that is JSON");
    demand(voxbus::RecordCheck::check(*record).empty(), "a record that fits the schema");
  }
  voxbus::email::SeenMails seen;
  if (seen.load(bytes)) seen.present({voxbus::email::MailKey::of("INBOX", bytes.substr(0, 64))});
  return 0;
}
