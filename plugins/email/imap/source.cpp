// SPDX-License-Identifier: Apache-2.0
#include "imap/source.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "kit/mail_bytes.hpp"
#include "kit/sha256.hpp"

namespace voxbus::email::imap {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::string_view kCursorVersion = "i1";
constexpr std::size_t kMostMailboxes = 1500;  // whose places fit into a cursor
constexpr std::size_t kSizesAtOnce = 2000;
constexpr std::size_t kGroupsAhead = 2;  // asked for beyond the one that is read
constexpr std::size_t kGroupItems = 256;
constexpr std::uint64_t kGroupBytes = 2 << 20;
constexpr std::uint64_t kUnsaidSize = 256 << 10;  // what a mail counts of which no size is said
constexpr std::uint32_t kPiece = 1 << 20;
constexpr std::size_t kHead = 64 << 10;  // of an oversized mail
constexpr auto kListEvery = 10min;
// Servers end a wait of more than 29 minutes (RFC 2177); routers forget connections much earlier.
constexpr auto kLongestIdle = 9min;

// A mailbox in the cursor: short, whatever its name.
std::string place_key(const std::string& mailbox) { return kit::sha256_hex(mailbox).substr(0, 16); }

}  // namespace

Source::Source(Account account, ReadOptions options)
    : account_{std::move(account)}, options_{std::move(options)} {}

std::string Source::cursor() const {
  std::string out{kCursorVersion};
  for (const auto& [key, place] : places_) {
    if (place.validity == 0) continue;
    out += ' ' + key + ' ' + std::to_string(place.validity) + ' ' + std::to_string(place.next);
  }
  return out;
}

bool Source::load(std::string_view cursor) {
  places_.clear();
  if (cursor.empty()) return true;
  if (!cursor.starts_with(kCursorVersion)) return false;
  cursor.remove_prefix(kCursorVersion.size());
  while (!cursor.empty()) {
    if (cursor.size() < 18 || cursor[0] != ' ' || cursor[17] != ' ') return false;
    Place& place = places_[std::string{cursor.substr(1, 16)}];
    cursor.remove_prefix(17);
    for (std::uint32_t* number : {&place.validity, &place.next}) {
      if (!cursor.starts_with(' ')) return false;
      const auto [end, error] =
          std::from_chars(cursor.data() + 1, cursor.data() + cursor.size(), *number);
      if (error != std::errc{}) return false;
      cursor.remove_prefix(static_cast<std::size_t>(end - cursor.data()));
    }
  }
  return true;
}

Source::Place& Source::place(const std::string& mailbox) { return places_[place_key(mailbox)]; }

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
    if (!load(since.bytes)) return Error::permanent("the cursor was not made by this channel");
    reached_ = since.bytes;
    session_.reset();
  }
  for (;;) {
    if (!session_) {
      if (auto connected = connect(context); !connected) return connected.error();
    }
    for (const std::string& name : missing_) context.trouble("there is no mailbox '" + name + "'");
    if (groups_.empty()) {
      auto begun = begin_mailbox(context);
      if (!begun) return begun.error();
      if (!*begun) {
        // Nothing is left: what was examined in vain is remembered as well.
        if (const std::string now = cursor(); now != *reached_ && now != kCursorVersion) {
          reached_ = now;
          return Batch{.cursor = {now}, .more = true};
        }
        if (auto looked = look_for_news(context); !looked) return looked.error();
        continue;
      }
    }
    auto batch = take_group(context);
    if (!batch) return batch;
    batch->cursor.bytes = cursor();
    batch->more = true;
    reached_ = batch->cursor.bytes;
    return batch;
  }
}

Result<void> Source::connect(Context& context) {
  pending_.clear();
  groups_.clear();
  uids_.clear();
  asked_ = 0;
  present_.clear();
  looked_ = false;
  auto session = std::make_unique<Session>(account_.server);
  if (auto opened = session->open(account_.login, context); !opened) return opened;
  session_ = std::move(session);
  return list(context);
}

bool Source::wanted(const Listed& listed) const {
  const auto has = [&](const char* attribute) {
    return std::find(listed.attributes.begin(), listed.attributes.end(), attribute) !=
           listed.attributes.end();
  };
  if (has("\\NOSELECT") || has("\\NONEXISTENT")) return false;
  if (account_.mailboxes.empty())
    return !has("\\JUNK") && !has("\\TRASH") && !has("\\DRAFTS") && !has("\\ALL");
  const std::string name = shown_name(listed.name);
  return std::find(account_.mailboxes.begin(), account_.mailboxes.end(), name) !=
         account_.mailboxes.end();
}

Result<void> Source::list(Context& context) {
  auto all = session_->list(context);
  if (!all) return all.error();
  mailboxes_.clear();
  for (const Listed& listed : *all) {
    if (wanted(listed)) mailboxes_.push_back(listed.name);
  }
  if (mailboxes_.size() > kMostMailboxes) {
    return Error::permanent("the account has " + std::to_string(mailboxes_.size()) +
                            " mailboxes: name those to be read in 'folders', at most " +
                            std::to_string(kMostMailboxes));
  }
  // Where mail arrives first.
  std::stable_partition(mailboxes_.begin(), mailboxes_.end(),
                        [](const std::string& name) { return name == "INBOX"; });
  missing_.clear();
  for (const std::string& name : account_.mailboxes) {
    if (std::find(mailboxes_.begin(), mailboxes_.end(), wire_name(name)) == mailboxes_.end())
      missing_.push_back(name);
  }
  listed_ = Clock::now();
  return {};
}

// Waits for news, unless nobody looked yet, and finds out where they are.
Result<void> Source::look_for_news(Context& context) {
  if (looked_) {
    if (mailboxes_.empty()) {
      if (!context.wait(account_.check_every)) throw Stopped{};
    } else {
      if (present_ != mailboxes_.front()) {
        // Whoever waits hears of the mailbox that is open.
        if (auto opened = session_->examine(mailboxes_.front(), context); !opened)
          return opened.error();
        present_ = mailboxes_.front();
      }
      const bool is_told_of_all =
          session_->can("IDLE") && (session_->can("NOTIFY") || mailboxes_.size() == 1);
      const std::chrono::milliseconds longest = kLongestIdle;
      auto news = session_->idle(is_told_of_all ? longest : std::min(longest, account_.check_every),
                                 context);
      if (!news) return news.error();
    }
  }
  looked_ = true;
  if (Clock::now() - listed_ > kListEvery) {
    if (auto listed = list(context); !listed) return listed;
  }
  auto standing = session_->standing(mailboxes_, context);
  if (!standing) return standing.error();
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const Standing& now = (*standing)[i];
    const Place& before = place(mailboxes_[i]);
    if (now.validity == 0) {
      context.trouble("mailbox '" + shown_name(mailboxes_[i]) + "' cannot be looked at");
    } else if (now.validity != before.validity || now.next == 0 || now.next > before.next) {
      pending_.push_back(mailboxes_[i]);
    }
  }
  return {};
}

// Goes to the next mailbox with something new and plans what to fetch; false when there is none.
Result<bool> Source::begin_mailbox(Context& context) {
  for (;;) {
    if (!uids_.empty()) {
      if (auto planned = plan(context); !planned) return planned.error();
      if (!groups_.empty()) return true;
      continue;
    }
    // All of the present one was brought; UIDs that were given and are gone need not be looked for.
    if (!present_.empty() && present_next_ > place(present_).next)
      place(present_).next = present_next_;
    present_next_ = 0;
    if (pending_.empty()) return false;
    present_ = pending_.front();
    pending_.pop_front();
    auto standing = session_->examine(present_, context);
    if (!standing) return standing.error();
    Place& at = place(present_);
    if (at.validity != standing->validity) at = {standing->validity, 1};
    present_next_ = standing->next;
    auto uids = session_->search(at.next, context);
    if (!uids) return uids.error();
    uids_.assign(uids->begin(), uids->end());
  }
}

// Cuts the next UIDs into groups by their sizes. Nothing may be under way.
Result<void> Source::plan(Context& context) {
  std::vector<std::uint32_t> some;
  while (!uids_.empty() && some.size() < kSizesAtOnce) {
    some.push_back(uids_.front());
    uids_.pop_front();
  }
  auto sizes = session_->sizes(some, context);
  if (!sizes) return sizes.error();
  std::uint64_t bytes = 0;
  bool fresh = true;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const std::uint64_t size = (*sizes)[i] > 0 ? (*sizes)[i] : kUnsaidSize;
    if ((*sizes)[i] > options_.max_item.bytes) {
      groups_.push_back({{some[i]}, size});
      fresh = true;
      continue;
    }
    if (fresh || groups_.back().uids.size() >= kGroupItems || bytes + size > kGroupBytes) {
      groups_.emplace_back();
      bytes = 0;
      fresh = false;
    }
    groups_.back().uids.push_back(some[i]);
    bytes += size;
  }
  return {};
}

Result<void> Source::ask_ahead(Context& context) {
  while (asked_ < groups_.size() && asked_ <= kGroupsAhead && groups_[asked_].oversized == 0) {
    if (auto asked = session_->ask(groups_[asked_].uids, context); !asked) return asked;
    ++asked_;
  }
  return {};
}

Result<Batch> Source::take_group(Context& context) {
  if (auto asked = ask_ahead(context); !asked) return asked.error();
  Batch batch;
  const Group group = groups_.front();
  if (group.oversized > 0) {
    if (auto taken = take_oversized(group, batch, context); !taken) return taken.error();
  } else {
    auto mails = session_->collect(context);
    if (!mails) return mails.error();
    --asked_;
    for (const Fetched& mail : *mails) {
      if (!add_mail(batch, mail.bytes, options_, context)) throw Stopped{};
    }
  }
  place(present_).next = group.uids.back() + 1;
  groups_.pop_front();
  return batch;
}

// In pieces, so that memory does not grow with it: its id is of all of its bytes.
Result<void> Source::take_oversized(const Group& group, Batch& batch, Context& context) {
  kit::MailDigest digest;
  std::string head;
  std::uint64_t size = 0;
  for (;;) {
    auto piece = session_->piece(group.uids.front(), size, kPiece, context);
    if (!piece) return piece.error();
    digest.update(*piece);
    if (head.size() < kHead) head.append(*piece, 0, kHead - head.size());
    size += piece->size();
    if (piece->size() < kPiece) break;
  }
  if (size > 0) batch.items.push_back(oversized_item(digest.hex(), head, size, options_));
  return {};
}

}  // namespace voxbus::email::imap
