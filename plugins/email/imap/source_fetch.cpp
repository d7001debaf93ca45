// SPDX-License-Identifier: Apache-2.0
//
// The part of a source that brings the mails of the present mailbox: in groups of about the same
// size, asked for ahead of time, and the doubtful ones by themselves.
#include <algorithm>
#include <array>

#include "imap/names.hpp"
#include "imap/source.hpp"
#include "kit/mail_bytes.hpp"

namespace voxbus::email::imap {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::size_t kSizesAtOnce = 1024;
constexpr std::size_t kGroupsAhead = 2;  // asked for beyond the one that is read
constexpr std::size_t kGroupItems = 256;
constexpr std::uint64_t kGroupBytes = 2 << 20;
constexpr std::uint64_t kUnsaidSize = 256 << 10;  // what a mail counts of which no size is said
constexpr std::uint64_t kLargest = std::uint64_t{1} << 30;  // of a mail that is read to its end
constexpr std::uint32_t kNeighbour = 1024;  // bytes of a mail that show that others come
constexpr std::size_t kNeighbours = 3;      // that are asked
constexpr auto kSilence = 60s;              // after so long a failure says nothing of a mail
constexpr std::size_t kHead = 64 << 10;     // of an oversized mail
// Versions of a mail, by where it lies: see the decision in source.hpp.
constexpr std::uint64_t kFoundElsewhere = 0;
constexpr std::uint64_t kFoundSent = 1;

}  // namespace

// Of the next UIDs; ahead of time, because some servers read each mail to know its size.
Result<void> Source::ask_sizes(Context& context) {
  if (!sized_.empty() || uids_.empty()) return {};
  while (!uids_.empty() && sized_.size() < kSizesAtOnce) {
    sized_.push_back(uids_.front());
    uids_.pop_front();
  }
  return session_->ask_sizes(sized_, context);
}

// Cuts the next UIDs into groups by their sizes. No mails may be under way.
Result<void> Source::plan(Context& context) {
  if (auto asked = ask_sizes(context); !asked) return asked;
  auto sizes = session_->sizes(context);
  if (!sizes) return sizes.error();
  const std::vector<std::uint32_t> some = std::exchange(sized_, {});
  bool fresh = true;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const std::uint64_t size = (*sizes)[i] > 0 ? (*sizes)[i] : kUnsaidSize;
    const Doubt* doubt = doubts_.find(place_key(present_), some[i]);
    if (size > options_.max_item.bytes || (doubt && doubt->needs_care())) {
      groups_.push_back({{some[i]},
                         size,
                         size > options_.max_item.bytes || doubt->in_pieces || doubt->failed > 0});
      fresh = true;
      continue;
    }
    if (fresh || groups_.back().uids.size() >= kGroupItems ||
        groups_.back().bytes + size > kGroupBytes) {
      groups_.emplace_back();
      fresh = false;
    }
    groups_.back().uids.push_back(some[i]);
    groups_.back().bytes += size;
  }
  return {};
}

// Doubtful ones are asked for one by one, so that it is clear over whom a connection ends.
Result<void> Source::ask_ahead(Context& context) {
  const std::string key = place_key(present_);
  while (asked_ < groups_.size() && asked_ <= kGroupsAhead && !groups_[asked_].in_pieces) {
    const Group& group = groups_[asked_];
    const Doubt* doubt = doubts_.find(key, group.uids.front());
    const bool is_doubtful = doubt && doubt->needs_care();
    if (is_doubtful && asked_ > 0) break;
    if (auto asked = session_->ask(group.uids, group.bytes, context); !asked) return asked;
    ++asked_;
    if (is_doubtful) break;
  }
  return {};
}

// Whether the server hands over others, said before it is asked for a doubtful one: that may cost
// the connection.
Result<void> Source::ask_neighbour(Context& context) {
  const std::string key = place_key(present_);
  const std::uint32_t doubtful = groups_.front().uids.front();
  const Doubt* doubt = doubts_.find(key, doubtful);
  if (!doubt || !doubt->needs_care()) return {};
  std::vector<std::pair<unsigned, std::uint32_t>> neighbours;  // how doubtful, and which
  const auto add = [&](std::uint32_t uid) {
    const Doubt* other = doubts_.find(key, uid);
    if (uid != 0 && uid != doubtful)
      neighbours.emplace_back(other ? other->failed * 100 + other->refused + other->missing : 0,
                              uid);
  };
  add(good_);
  for (const Group& other : groups_) add(other.uids.back());
  if (!sized_.empty()) add(sized_.front());
  if (!uids_.empty()) add(uids_.front());
  std::stable_sort(neighbours.begin(), neighbours.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  neighbours.resize(std::min(neighbours.size(), kNeighbours));
  bool comes = false;
  for (const auto& [unused, uid] : neighbours) {
    auto piece = session_->piece(uid, 0, kNeighbour, context);
    if (!piece) {
      doubts_.note(key, uid, Withheld::kFailed, piece.error().message);
      return piece.error();
    }
    comes = !piece->mails.empty();
    if (comes) break;
  }
  doubts_.of(key, doubtful).others_come = comes;
  return {};
}

void Source::pass(std::uint32_t uid) {
  places_.of(present_).next = std::uint64_t{uid} + 1;
  doubts_.passed(place_key(present_), places_.of(present_).next);
}

// As ever, and outbound where the mailbox holds what we sent, from whatever address: for good, by
// the version that says so.
bool Source::add(Batch& batch, std::string_view bytes, Context& context) {
  const std::size_t before = batch.items.size();
  if (!add_mail(batch, bytes, options_, context)) return false;
  if (batch.items.size() == before) return true;
  Item& item = batch.items.back();
  // What cannot be read says nothing of a direction, and must not stand before what can.
  const bool is_sent = sent_.contains(present_) && !item.unreadable;
  if (is_sent) item.record.direction = Direction::kOutbound;
  item.version = is_sent ? kFoundSent : kFoundElsewhere;
  return true;
}

// In pieces, so that memory does not grow with it: its id is of all of its bytes. What turns out to
// be no larger than others is brought as they are.
Result<Handed> Source::take_in_pieces(std::uint32_t uid, Batch& batch, Context& context) {
  kit::MailDigest digest;
  std::string bytes;
  std::uint64_t size = 0;
  for (bool is_last = false; !is_last;) {
    auto piece = session_->piece(uid, size, kLargestPiece, context);
    if (!piece || piece->refused || piece->mails.empty()) return piece;
    const Fetched& part = piece->mails.front();
    if (part.is_cut) return Error::retry("the mail server hands over more than was asked for");
    digest.update(part.bytes);
    size += part.bytes.size();
    bytes += part.bytes;
    if (size > options_.max_item.bytes && bytes.size() > kHead) {
      bytes.resize(kHead);
      bytes.shrink_to_fit();
    }
    is_last = part.bytes.size() < kLargestPiece || size >= kLargest;
  }
  if (size > options_.max_item.bytes) {
    batch.items.push_back(oversized_item(digest.hex(), bytes, size, options_));
    batch.items.back().version = kFoundElsewhere;
  } else if (!add(batch, bytes, context)) {
    throw Stopped{};
  }
  return Handed{.mails = {Fetched{.uid = uid}}};
}

// What is handed over is brought, up to the first mail of which it is not known what becomes of it.
// From there on a new connection is asked.
Result<Batch> Source::take_group(Context& context) {
  const std::string key = place_key(present_);
  if (asked_ == 0) {
    if (auto asked = ask_neighbour(context); !asked) return asked.error();
  }
  if (auto asked = ask_ahead(context); !asked) return asked.error();
  if (groups_.size() <= kGroupsAhead + 1) {
    if (auto asked = ask_sizes(context); !asked) return asked.error();
  }
  const Group group = std::move(groups_.front());
  groups_.pop_front();
  Batch batch;
  const auto begun = Clock::now();
  if (!group.in_pieces) --asked_;
  auto handed = group.in_pieces ? take_in_pieces(group.uids.front(), batch, context)
                                : session_->collect(context);
  auto how = Withheld::kMissing;
  std::string why = account_.server.shown() + " leaves a mail out of its answer";
  if (!handed) {
    how = Withheld::kFailed;
    why = handed.error().message;
  } else if (handed->refused) {
    how = Withheld::kRefused;
    why = *handed->refused;
  }
  // Silence, and a refusal that says that it will pass, are no mail's fault.
  const bool counts = handed ? !handed->for_now : Clock::now() - begun < kSilence;
  std::uint32_t open = 0;  // the first of which it is not known
  bool waits = how != Withheld::kMissing;
  std::size_t next = 0;
  for (const std::uint32_t uid : group.uids) {
    const bool is_there = handed && next < handed->mails.size() && handed->mails[next].uid == uid;
    if (is_there) {
      const Fetched& mail = handed->mails[next++];
      if (mail.is_cut) {
        doubts_.of(key, uid).in_pieces = true;
      } else if (open == 0) {
        if (!group.in_pieces && !add(batch, mail.bytes, context)) throw Stopped{};
        good_ = uid;
        pass(uid);
      }
      if (!mail.is_cut) continue;
    } else if (counts) {
      const Doubt& doubt = doubts_.note(key, uid, how, why);
      if (open == 0 && doubt.is_settled()) {
        batch.items.push_back(set_aside(uid, doubt));
        pass(uid);
        continue;
      }
      waits = waits || doubt.missing > 1;
    }
    if (open == 0) open = uid;
  }
  if (open == 0 && handed) return batch;
  session_.reset();
  // At once where a new connection may help, later where it needs time.
  if (open == 0 || !batch.items.empty() || !waits) return batch;
  return Error::retry(why + " (mail " + std::to_string(open) + " of mailbox '" +
                      shown_name(present_) + "')");
}

// Under a name of its own, because there are no bytes to make one of.
Item Source::set_aside(std::uint32_t uid, const Doubt& doubt) {
  const std::string validity = std::to_string(places_.of(present_).validity);
  return {.native_id = "imap-" + place_key(present_) + "-" + validity + "-" + std::to_string(uid),
          .unreadable = "listed by the mail server and not handed over: " + doubt.why + " (UID " +
                        std::to_string(uid) + ", UIDVALIDITY " + validity + " of mailbox '" +
                        shown_name(present_) + "')"};
}

}  // namespace voxbus::email::imap
