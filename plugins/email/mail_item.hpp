// SPDX-License-Identifier: Apache-2.0
//
// What Maildir and mbox have in common: a source of mails, and the way from a mail's bytes to an
// item. A source belongs to one channel and is used on its polling thread.
#pragma once

#include <string>
#include <string_view>

#include "kit/mail_reader.hpp"
#include "voxbus/channel.hpp"

namespace voxbus::email {

inline constexpr std::size_t kMostItems = 512;      // of a batch
inline constexpr std::size_t kMostBytes = 4 << 20;  // of a batch, by the mail that passes it
inline constexpr std::size_t kChunk = 256 * 1024;   // read at once

class MailSource {
 public:
  virtual ~MailSource() = default;
  virtual Result<Batch> poll(const Cursor& since, Context& context) = 0;
};

struct ReadOptions {
  kit::MailOptions mail;
  Size max_item = Size::mebibytes(32);
};

// One mail by its id, from its bytes without a store's marks. Unreadable where it cannot be parsed.
Item read_item(std::string id, std::string raw, const kit::MailOptions& options);

// Asks the host, then parses. False when stop was asked for; nothing is added for a mail that the
// host holds in quarantine.
bool add_mail(Batch& batch, std::string_view bytes, const ReadOptions& options, Context& context);

// For a mail above max_item, of which only the head and the id are known.
Item oversized_item(std::string id, std::string_view head, std::uint64_t size,
                    const ReadOptions& options);

}  // namespace voxbus::email
