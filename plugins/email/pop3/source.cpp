// SPDX-License-Identifier: Apache-2.0
#include "pop3/source.hpp"

#include "kit/mail_bytes.hpp"

namespace voxbus::email::pop3 {
namespace {

constexpr std::size_t kHead = 64 << 10;  // of an oversized mail

}  // namespace

Result<Batch> Source::poll(const Cursor& since, Context& context) {
  try {
    auto batch = read_on(since, context);
    if (!batch) session_.reset();
    return batch;
  } catch (const Stopped&) {
    session_.reset();
    return Batch{};
  } catch (...) {
    session_.reset();
    throw;
  }
}

Result<Batch> Source::read_on(const Cursor& since, Context& context) {
  if (since.bytes != reached_) {
    if (!seen_.load(since.bytes))
      return Error::permanent("the cursor was not made by this channel");
    reached_ = since.bytes;
    session_.reset();
    looked_.reset();
  }
  for (;;) {
    if (!session_) {
      // A maildrop is locked while somebody is in it, and shows what it was at the login.
      if (looked_) {
        const auto due = *looked_ + account_.check_every;
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now());
        if (left.count() > 0 && !context.wait(left)) throw Stopped{};
      }
      if (auto looked = look(context); !looked) return looked.error();
    }
    auto batch = take(context);
    if (!batch) return batch;
    if (backlog_.empty()) session_.reset();
    batch->cursor.bytes = seen_.cursor();
    if (batch->cursor == since) continue;
    reached_ = batch->cursor.bytes;
    batch->more = true;
    return batch;
  }
}

Result<void> Source::look(Context& context) {
  backlog_.clear();
  session_ = std::make_unique<Session>(account_.server, account_.login);
  auto listed = session_->open(context);
  if (!listed) return listed.error();
  looked_ = std::chrono::steady_clock::now();
  std::vector<IdHash> ids;
  ids.reserve(listed->size());
  for (const Listed& mail : *listed) ids.push_back(hash_of(mail.unique_id));
  seen_.present(std::move(ids));
  for (Listed& mail : *listed) {
    if (!seen_.contains(hash_of(mail.unique_id))) backlog_.push_back(std::move(mail));
  }
  return {};
}

Result<Batch> Source::take(Context& context) {
  Batch batch;
  std::size_t bytes = 0;
  while (!backlog_.empty() && batch.items.size() < kMostItems && bytes < kMostBytes) {
    auto taken = take_one(backlog_.front(), batch, bytes, context);
    // What was taken before is good; the rest is tried anew, and says so if it fails again.
    if (!taken && !batch.items.empty()) {
      backlog_.clear();
      return batch;
    }
    if (!taken) return taken.error();
    if (!*taken) throw Stopped{};
    seen_.add(hash_of(backlog_.front().unique_id));
    backlog_.pop_front();
  }
  return batch;
}

// False when stop was asked for. A mail above max_item is passed by without being kept: its id is
// of all of its bytes.
Result<bool> Source::take_one(const Listed& mail, Batch& batch, std::size_t& bytes,
                              Context& context) {
  kit::MailDigest digest;
  std::string content;
  std::uint64_t size = 0;
  const std::uint64_t most = options_.max_item.bytes;
  auto fetched = session_->fetch(
      mail,
      [&](std::string_view piece) {
        size += piece.size();
        digest.update(piece);
        if (size <= most) {
          content += piece;
        } else {
          if (content.size() < kHead) content.append(piece.substr(0, kHead - content.size()));
          content.resize(std::min(content.size(), kHead));
          content.shrink_to_fit();
        }
      },
      context);
  if (!fetched) return fetched.error();
  bytes += content.size();
  if (size <= most) return add_mail(batch, content, options_, context);
  batch.items.push_back(oversized_item(digest.hex(), content, size, options_));
  return true;
}

}  // namespace voxbus::email::pop3
