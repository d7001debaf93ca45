// SPDX-License-Identifier: Apache-2.0
#include "mail_item.hpp"

namespace voxbus::email {

Item read_item(std::string id, std::string raw, const kit::MailOptions& options) {
  kit::ReadMail mail = kit::read_mail(raw, id, options);
  return {.native_id = std::move(id),
          .occurred_at = mail.occurred_at,
          .record = std::move(mail.record),
          .raw = std::move(raw),
          .attachments = std::move(mail.attachments),
          .unreadable = std::move(mail.unreadable)};
}

bool add_mail(Batch& batch, std::string_view bytes, const ReadOptions& options, Context& context) {
  std::string id = kit::mail_id(bytes);
  std::string raw = kit::canonical_mail(bytes);
  const Examined examined = context.examine(id, raw);
  if (examined == Examined::kStopped) return false;
  if (examined == Examined::kSkip) return true;
  batch.items.push_back(read_item(std::move(id), std::move(raw), options.mail));
  return true;
}

Item oversized_item(std::string id, std::string_view head, std::uint64_t size,
                    const ReadOptions& options) {
  return {.native_id = std::move(id),
          .raw = kit::canonical_mail(kit::mail_header(head)),
          .unreadable = "larger than max_item (" + std::to_string(size) + " bytes, max_item is " +
                        show(options.max_item) + ")"};
}

}  // namespace voxbus::email
