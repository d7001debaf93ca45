// SPDX-License-Identifier: Apache-2.0
#include "imap/source.hpp"

#include <algorithm>

#include "imap/mailboxes.hpp"
#include "imap/names.hpp"

namespace voxbus::email::imap {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::uint64_t kWindow = 100'000;  // UIDs that are searched for at once
constexpr auto kRenewAtLeastEvery = 10min;
constexpr int kLooksPerRenewal = 10;
// Servers end a wait of more than 29 minutes (RFC 2177), routers forget connections much earlier,
// and a server whose index is taken away under it tells nothing any more: a look is one round trip.
constexpr auto kLongestIdle = 1min;

}  // namespace

Source::Source(Account account, ReadOptions options)
    : account_{std::move(account)}, options_{std::move(options)} {}

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
    if (!places_.load(since.bytes))
      return Error::permanent("the cursor was not made by this channel");
    reached_ = since.bytes;
    session_.reset();
  }
  for (;;) {
    if (!session_) {
      if (auto connected = connect(context); !connected) return connected.error();
    }
    for (const std::string& name : missing_) context.trouble("there is no mailbox '" + name + "'");
    for (const auto& [name, why] : trouble_) context.trouble(why);
    auto batch = read_some(context);
    if (!batch) {
      // Others are read first next time.
      if (reading_) ++failures_[present_];
      return batch;
    }
    if (batch->items.empty() && !has_moved()) continue;
    batch->cursor.bytes = reached_.emplace(places_.cursor());
    batch->more = true;
    return batch;
  }
}

bool Source::has_moved() const {
  const std::string now = places_.cursor();
  return now != *reached_ && !Places::is_empty(now);
}

// The next group; empty where only the place moved, or something has to be done again.
Result<Batch> Source::read_some(Context& context) {
  if (groups_.empty()) {
    auto begun = begin_mailbox(context);
    if (!begun) return begun.error();
    if (!*begun) {
      // Nothing is left: what was examined in vain is remembered before anybody waits.
      if (!has_moved()) {
        if (auto looked = look_for_news(context); !looked) return looked.error();
      }
      return Batch{};
    }
  }
  return take_group(context);
}

Result<void> Source::connect(Context& context) {
  pending_.clear();
  groups_.clear();
  uids_.clear();
  sized_.clear();
  asked_ = 0;
  present_.clear();
  reading_ = looked_ = is_refused_anew_ = false;
  auto session = std::make_unique<Session>(account_.server, options_.max_item.bytes);
  if (auto opened = session->open(account_.login, context); !opened) return opened;
  session_ = std::move(session);
  connected_ = Clock::now();
  return list(context);
}

// Which mailboxes there are is asked as often as what is new in them, where the server does not
// tell: somebody makes one, and a rule moves mails there. Not with every mail that comes, though.
bool Source::needs_list() const {
  const auto every = std::min<std::chrono::milliseconds>(kLongestIdle, account_.check_every);
  return session_->has_other_mailboxes() || Clock::now() - listed_ >= every;
}

Result<void> Source::list(Context& context) {
  auto all = session_->list(context);
  if (!all) return all.error();
  Chosen these = chosen(*all, account_.mailboxes);
  mailboxes_ = std::move(these.names);
  missing_ = std::move(these.missing);
  sent_ = std::move(these.sent);
  if (mailboxes_.size() > kMostMailboxes) {
    return Error::permanent("the account has " + std::to_string(mailboxes_.size()) +
                            " mailboxes: name those to be read in 'folders', at most " +
                            std::to_string(kMostMailboxes));
  }
  listed_ = Clock::now();
  // Places of mailboxes that are gone stay, should they come back, as long as the cursor has room.
  if (places_.size() > kMostMailboxes) {
    places_.keep_only(mailboxes_);
  }
  std::erase_if(trouble_, [&](const auto& one) {
    return std::find(mailboxes_.begin(), mailboxes_.end(), one.first) == mailboxes_.end();
  });
  return {};
}

// True when the mailbox, and not the session, is what failed: it is told, and the others go on.
bool Source::refused_mailbox(const std::string& mailbox, const Error& error) {
  if (!session_->is_usable()) return false;
  if (trouble_.insert_or_assign(mailbox, error.message).second) is_refused_anew_ = true;
  return true;
}

// Nothing where the server refuses this one.
Result<std::optional<Standing>> Source::open(const std::string& mailbox, Context& context) {
  present_.clear();
  auto standing = session_->examine(mailbox, context);
  if (!standing) {
    if (refused_mailbox(mailbox, standing.error())) return std::optional<Standing>{};
    return standing.error();
  }
  present_ = mailbox;
  trouble_.erase(mailbox);
  return std::optional<Standing>{*standing};
}

// Servers keep a picture of a mailbox as long as a session lasts: where it no longer holds, as
// after an index that was deleted, they refuse the mailbox until the session ends. So one that was
// not refused before is asked for once more on a new connection; one that stays refused, now and
// then.
bool Source::needs_new_session() const {
  const auto now = Clock::now();
  if (is_refused_anew_ && (!renewed_ || now - *renewed_ >= account_.check_every)) return true;
  const auto every = std::min<std::chrono::milliseconds>(kRenewAtLeastEvery,
                                                         kLooksPerRenewal * account_.check_every);
  return !trouble_.empty() && now - connected_ > every;
}

// In the first mailbox that opens: whoever waits hears of that one. False where something came
// before anybody waited.
Result<void> Source::wait_for_news(Context& context) {
  for (const std::string& mailbox : mailboxes_) {
    if (present_ == mailbox) break;
    if (trouble_.contains(mailbox)) continue;
    auto opened = open(mailbox, context);
    if (!opened) return opened.error();
    if (!*opened) continue;
    const Place& before = places_.of(mailbox);
    if ((*opened)->validity != before.validity || (*opened)->next > before.next) return {};
    break;
  }
  if (present_.empty()) {
    if (!context.wait(account_.check_every)) throw Stopped{};
    return {};
  }
  const bool are_fixed = !account_.mailboxes.empty() && missing_.empty();
  const bool is_told_of_all = session_->can("IDLE") && trouble_.empty() &&
                              (session_->can("NOTIFY") || mailboxes_.size() == 1) &&
                              (session_->tells_of_mailboxes() || are_fixed);
  const std::chrono::milliseconds longest = kLongestIdle;
  auto news =
      session_->idle(is_told_of_all ? longest : std::min(longest, account_.check_every), context);
  if (!news) return news.error();
  return {};
}

// Waits for news, unless nobody looked yet, and finds out where they are.
Result<void> Source::look_for_news(Context& context) {
  if (looked_ && !needs_new_session()) {
    if (auto waited = wait_for_news(context); !waited) return waited;
  }
  if (looked_ && needs_new_session()) {
    renewed_ = Clock::now();
    session_.reset();
    return {};
  }
  looked_ = true;
  if (needs_list()) {
    if (auto listed = list(context); !listed) return listed;
  }
  auto standing = session_->standing(mailboxes_, context);
  if (!standing) return standing.error();
  std::vector<std::string> news;
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const Standing& now = (*standing)[i];
    const Place& before = places_.of(mailboxes_[i]);
    // One that is not told of may open nevertheless.
    if (now.validity != before.validity || now.next == 0 || now.next != before.next)
      news.push_back(mailboxes_[i]);
  }
  std::stable_sort(news.begin(), news.end(), [&](const std::string& a, const std::string& b) {
    const auto failures = [&](const std::string& name) {
      const auto found = failures_.find(name);
      return found == failures_.end() ? 0 : found->second;
    };
    return failures(a) < failures(b);
  });
  pending_.assign(news.begin(), news.end());
  return {};
}

// Goes to the next mailbox with something new and plans what to fetch; false when there is none.
Result<bool> Source::begin_mailbox(Context& context) {
  for (;;) {
    if (reading_) {
      auto went = uids_.empty() && sized_.empty() ? search_on(context) : plan(context);
      if (!went) {
        if (!refused_mailbox(present_, went.error())) return went.error();
        reading_ = false;
        uids_.clear();
        sized_.clear();
        continue;
      }
      if (!groups_.empty()) return true;
      continue;
    }
    if (pending_.empty()) return false;
    const std::string next = pending_.front();
    pending_.pop_front();
    auto standing = open(next, context);
    if (!standing) {
      ++failures_[next];
      return standing.error();
    }
    if (*standing) begin_reading(**standing, context);
  }
}

void Source::begin_reading(const Standing& standing, Context& context) {
  Place& at = places_.of(present_);
  if (at.validity != standing.validity) {
    at = {standing.validity, 1};
    doubts_.passed(place_key(present_), kLastUid + 1);
  } else if (standing.next != 0 && standing.next < at.next && at.next <= kLastUid &&
             reread_.insert(present_).second) {
    // No server may say so: the mailbox was put back from a copy, and UIDs are given once more.
    context.log(LogLevel::kWarning, "the UIDs of mailbox '" + shown_name(present_) +
                                        "' went back: it is read from its start");
    at.next = 1;
  }
  // Behind the last possible UID none can be said.
  present_next_ = standing.next < kLastUid ? standing.next : 0;
  search_from_ = at.next;
  // Few mails may have UIDs that are far from each other.
  window_ = standing.exists > kWindow ? kWindow : kLastUid;
  if (good_of_ != present_) good_ = 0;
  good_of_ = present_;
  reading_ = true;
}

// Searches for more of the present mailbox, or ends it. In windows: an answer may not be longer
// than a line.
Result<void> Source::search_on(Context& context) {
  Place& at = places_.of(present_);
  if (present_next_ == 0) {
    auto last = session_->last_uid(context);
    if (!last) return last.error();
    present_next_ = std::max(at.next, std::uint64_t{*last} + 1);
  }
  if (search_from_ >= present_next_) {
    // All was brought; UIDs that were given and are gone need not be looked for.
    at.next = std::max(at.next, present_next_);
    doubts_.passed(place_key(present_), at.next);
    failures_.erase(present_);
    reading_ = false;
    return {};
  }
  const auto last = std::min(present_next_, search_from_ + window_) - 1;
  auto found = session_->search(static_cast<std::uint32_t>(search_from_),
                                static_cast<std::uint32_t>(last), context);
  if (!found) return found.error();
  uids_.assign(found->begin(), found->end());
  search_from_ = last + 1;
  return {};
}

}  // namespace voxbus::email::imap
