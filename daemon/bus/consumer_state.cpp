// SPDX-License-Identifier: Apache-2.0
#include "bus/consumer_state.hpp"

#include <algorithm>

namespace voxbus::bus {

ConsumerState::ConsumerState(DeliveryRules rules, const Snapshot& snapshot)
    : rules_(rules), head_(snapshot.head), floor_(snapshot.floor) {
  for (const auto& open : snapshot.open) {
    if (open.position > head_) continue;
    auto& entry = open_[open.position];
    entry.attempts = open.attempts;
    entry.key = open.key;
  }
  raise_floor();
}

ConsumerState::Snapshot ConsumerState::snapshot() const {
  Snapshot snapshot{head_, floor_, {}};
  snapshot.open.reserve(open_.size());
  for (const auto& [position, entry] : open_)
    snapshot.open.push_back({position, entry.attempts, entry.key});
  return snapshot;
}

std::vector<model::Position> ConsumerState::expire(Time now) {
  std::vector<model::Position> parked;
  if (leased_ == 0) return parked;
  for (auto at = open_.begin(); at != open_.end();) {
    auto& [position, entry] = *at;
    if (!entry.leased || entry.due > now) {
      ++at;
    } else if (entry.attempts >= rules_.max_deliver) {
      parked.push_back(position);
      at = settle(at);
    } else {
      end_lease(entry);
      entry.due = now;
      ++at;
    }
  }
  raise_floor();
  return parked;
}

bool ConsumerState::may_have(std::uint64_t key, std::string_view member) const {
  if (!rules_.group || key == 0) return true;
  const auto holder = holders_.find(key);
  return holder == holders_.end() || holder->second.member == member;
}

void ConsumerState::lease(Entry& entry, std::string_view member, Time now) {
  entry.leased = true;
  entry.member = member;
  entry.due = now + rules_.ack_within;
  ++entry.attempts;
  ++leased_;
  if (entry.key != 0) {
    auto& holder = holders_[entry.key];
    holder.member = member;
    ++holder.leases;
  }
}

void ConsumerState::end_lease(Entry& entry) {
  if (!entry.leased) return;
  entry.leased = false;
  --leased_;
  if (const auto holder = holders_.find(entry.key); entry.key != 0 && holder != holders_.end()) {
    if (--holder->second.leases == 0) holders_.erase(holder);
  }
}

ConsumerState::Entries::iterator ConsumerState::settle(Entries::iterator entry) {
  end_lease(entry->second);
  return open_.erase(entry);
}

void ConsumerState::raise_floor() {
  const auto reached = open_.empty() ? head_ : open_.begin()->first - 1;
  floor_ = std::max(floor_, reached);
}

std::vector<Delivery> ConsumerState::redeliver(std::string_view member, std::size_t max, Time now) {
  std::vector<Delivery> deliveries;
  // While all is leased there is nothing to look for.
  if (leased_ == open_.size()) return deliveries;
  for (auto& [position, entry] : open_) {
    if (deliveries.size() >= max || leased_ >= rules_.max_in_flight) break;
    if (entry.leased || entry.due > now || !may_have(entry.key, member)) continue;
    lease(entry, member, now);
    deliveries.push_back({position, entry.attempts});
  }
  return deliveries;
}

bool ConsumerState::has_room() const {
  // Events kept for another member take room of their own, so that one busy key cannot grow the
  // state without bound.
  return leased_ < rules_.max_in_flight && has_room_again();
}

bool ConsumerState::offer(model::Position position, std::uint64_t key, std::string_view member,
                          Time now) {
  head_ = std::max(head_, position);
  auto& entry = open_[position];
  entry.key = key;
  entry.due = now;
  const bool given = may_have(key, member);
  if (given) lease(entry, member, now);
  raise_floor();
  return given;
}

void ConsumerState::pass(model::Position position) {
  head_ = std::max(head_, position);
  raise_floor();
}

std::optional<ConsumerState::Time> ConsumerState::next_due(Time now) const {
  std::optional<Time> next;
  for (const auto& [position, entry] : open_) {
    // What is due and still here waits for another member's acknowledgement, not for a time.
    if (entry.due > now && (!next || entry.due < *next)) next = entry.due;
  }
  return next;
}

ConsumerState::Acked ConsumerState::ack(model::Position position) {
  if (position > head_) return Acked::never_delivered;
  const auto entry = open_.find(position);
  if (entry == open_.end()) return Acked::before;
  settle(entry);
  raise_floor();
  return Acked::now;
}

bool ConsumerState::ack_through(model::Position position) {
  if (position > head_) return false;
  for (auto at = open_.begin(); at != open_.end() && at->first <= position;) {
    at = at->second.attempts > 0 ? settle(at) : std::next(at);
  }
  raise_floor();
  return true;
}

bool ConsumerState::nack(model::Position position, std::chrono::milliseconds delay, Time now) {
  const auto entry = open_.find(position);
  if (entry == open_.end() || !entry->second.leased) return false;
  if (entry->second.attempts >= rules_.max_deliver) {
    settle(entry);
    raise_floor();
    return true;
  }
  end_lease(entry->second);
  entry->second.due = now + delay;
  return false;
}

void ConsumerState::undo(model::Position position) {
  const auto entry = open_.find(position);
  if (entry == open_.end() || !entry->second.leased) return;
  end_lease(entry->second);
  --entry->second.attempts;
  entry->second.due = Time{};
}

void ConsumerState::reopen(model::Position position, std::uint64_t key, Time now) {
  auto& entry = open_[position];
  if (!entry.leased) entry = Entry{.key = key, .due = now};
}

void ConsumerState::drop(model::Position position) {
  const auto entry = open_.find(position);
  if (entry == open_.end()) return;
  settle(entry);
  raise_floor();
}

}  // namespace voxbus::bus
