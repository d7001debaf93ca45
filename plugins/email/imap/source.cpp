// SPDX-License-Identifier: Apache-2.0
#include "imap/source.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "imap/names.hpp"
#include "kit/mail_bytes.hpp"
#include "kit/sha256.hpp"

namespace voxbus::email::imap {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::string_view kCursorVersion = "i1";
constexpr std::size_t kMostMailboxes = 1500;  // whose places fit into a cursor
constexpr std::size_t kSizesAtOnce = 1024;
constexpr std::size_t kGroupsAhead = 2;  // asked for beyond the one that is read
constexpr std::size_t kGroupItems = 256;
constexpr std::uint64_t kGroupBytes = 2 << 20;
constexpr std::uint64_t kUnsaidSize = 256 << 10;  // what a mail counts of which no size is said
constexpr std::uint64_t kWindow = 100'000;        // UIDs that are searched for at once
constexpr std::uint64_t kLastUid = 0xFFFFFFFF;
constexpr std::uint64_t kLargest = std::uint64_t{1} << 30;  // of a mail that is read to its end
constexpr std::uint32_t kNeighbour = 1024;  // bytes of a mail that show that others come
constexpr std::size_t kNeighbours = 3;      // that are asked
constexpr auto kSilence = 60s;              // after so long a failure says nothing of a mail
constexpr std::size_t kHead = 64 << 10;     // of an oversized mail
constexpr auto kListEvery = 10min;
// Servers end a wait of more than 29 minutes (RFC 2177), routers forget connections much earlier,
// and a server whose index is taken away under it tells nothing any more: a look is one round trip.
constexpr auto kLongestIdle = 1min;

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
    const auto take = [&](auto& number) {
      if (!cursor.starts_with(' ')) return false;
      const auto [end, error] =
          std::from_chars(cursor.data() + 1, cursor.data() + cursor.size(), number);
      if (error != std::errc{}) return false;
      cursor.remove_prefix(static_cast<std::size_t>(end - cursor.data()));
      return true;
    };
    if (!take(place.validity) || !take(place.next) || place.next > kLastUid + 1) return false;
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
    for (const auto& [name, why] : trouble_) context.trouble(why);
    auto batch = read_some(context);
    if (!batch) {
      // Others are read first next time.
      if (reading_) ++failures_[present_];
      return batch;
    }
    const std::string now = cursor();
    if (batch->items.empty() && (now == *reached_ || now == kCursorVersion)) continue;
    batch->cursor.bytes = reached_.emplace(now);
    batch->more = true;
    return batch;
  }
}

// The next group; empty where only the place moved, or something has to be done again.
Result<Batch> Source::read_some(Context& context) {
  if (groups_.empty()) {
    auto begun = begin_mailbox(context);
    if (!begun) return begun.error();
    if (!*begun) {
      // Nothing is left: what was examined in vain is remembered before anybody waits.
      if (const std::string now = cursor(); now == *reached_ || now == kCursorVersion) {
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
  // Places of mailboxes that are gone stay, should they come back, as long as the cursor has room.
  if (places_.size() > kMostMailboxes) {
    std::map<std::string, Place> kept;
    for (const std::string& name : mailboxes_) kept[place_key(name)] = place(name);
    places_ = std::move(kept);
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
  if (is_refused_anew_ && now - renewed_ >= account_.check_every) return true;
  return !trouble_.empty() && now - listed_ > kListEvery;
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
    const Place& before = place(mailbox);
    if ((*opened)->validity != before.validity || (*opened)->next > before.next) return {};
    break;
  }
  if (present_.empty()) {
    if (!context.wait(account_.check_every)) throw Stopped{};
    return {};
  }
  const bool is_told_of_all = session_->can("IDLE") && trouble_.empty() &&
                              (session_->can("NOTIFY") || mailboxes_.size() == 1);
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
  if (Clock::now() - listed_ > kListEvery) {
    if (auto listed = list(context); !listed) return listed;
  }
  auto standing = session_->standing(mailboxes_, context);
  if (!standing) return standing.error();
  std::vector<std::string> news;
  for (std::size_t i = 0; i < mailboxes_.size(); ++i) {
    const Standing& now = (*standing)[i];
    const Place& before = place(mailboxes_[i]);
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
  Place& at = place(present_);
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
  present_next_ = standing.next;
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
  // Behind the last possible UID none can be said.
  const bool is_said = present_next_ != 0 && present_next_ < kLastUid;
  const std::uint64_t end = is_said ? present_next_ - 1u : kLastUid;
  if (search_from_ > end) {
    // All was brought; UIDs that were given and are gone need not be looked for.
    Place& at = place(present_);
    at.next = std::max<std::uint64_t>(at.next, present_next_);
    doubts_.passed(place_key(present_), at.next);
    failures_.erase(present_);
    reading_ = false;
    return {};
  }
  const auto last = std::min(end, search_from_ + window_ - 1);
  auto found = session_->search(static_cast<std::uint32_t>(search_from_),
                                is_said ? static_cast<std::uint32_t>(last) : 0, context);
  if (!found) return found.error();
  uids_.assign(found->begin(), found->end());
  search_from_ = is_said ? last + 1 : kLastUid + 1;
  return {};
}

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
  place(present_).next = std::uint64_t{uid} + 1;
  doubts_.passed(place_key(present_), place(present_).next);
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
  } else if (!add_mail(batch, bytes, options_, context)) {
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
        if (!group.in_pieces && !add_mail(batch, mail.bytes, options_, context)) throw Stopped{};
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
  const std::string validity = std::to_string(place(present_).validity);
  return {.native_id = "imap-" + place_key(present_) + "-" + validity + "-" + std::to_string(uid),
          .unreadable = "listed by the mail server and not handed over: " + doubt.why + " (UID " +
                        std::to_string(uid) + ", UIDVALIDITY " + validity + " of mailbox '" +
                        shown_name(present_) + "')"};
}

}  // namespace voxbus::email::imap
