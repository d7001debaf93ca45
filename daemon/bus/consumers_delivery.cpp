// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "base/log.hpp"
#include "bus/consumers_parts.hpp"

namespace voxbus::bus {
namespace {

using Cause = Refusal::Cause;

// Positions that a filter passed over and that are not yet kept: after a kill so many are looked at
// again.
constexpr model::Position kKeepEvery = 20'000;
constexpr int kPagesPerFetch = 8;
constexpr std::size_t kMostReopened = 20'000;

std::uint64_t key_of(const model::Event& event) {
  if (!event.partition) return 0;
  std::uint64_t key = 0;
  std::memcpy(&key, event.partition->data(), sizeof key);
  return key;
}

}  // namespace

Outcome<Fetched> Consumers::fetch(const std::string& name, const std::string& member,
                                  std::size_t max, std::size_t max_bytes) {
  const auto handle = parts_->find(name);
  if (!handle) return no_such(name);
  return handle->with(
      [&](Consumer& consumer) { return parts_->fetch(consumer, member, max, max_bytes); });
}

Outcome<Fetched> Consumers::Parts::fetch(Consumer& consumer, const std::string& member,
                                         std::size_t max, std::size_t max_bytes) {
  auto& state = consumer.state;
  if (consumer.removed) return no_such(consumer.name);
  if (consumer.spec.rules.group && member.empty()) {
    return refuse(Cause::invalid, "a member of a group gives its name", "member");
  }
  const auto now = clock.steady();
  park(consumer, state.expire(now), consumer.spec.rules.max_deliver);
  Fetched fetched;
  std::size_t bytes = 0;
  const auto full = [&] { return fetched.items.size() >= max || bytes >= max_bytes; };
  const auto add = [&](SharedEvent event, std::uint32_t attempt) {
    bytes += event->json().size();
    fetched.items.push_back({std::move(event), attempt});
  };

  // What was delivered before comes first, so that a key's order is kept as well as it can be.
  for (;;) {
    if (full()) break;
    const auto again = state.redeliver(member, 1, now);
    if (again.empty()) break;
    auto event = feed.event(again.front().position);
    if (event) {
      add(std::move(*event), again.front().attempt);
    } else if (event.error().kind == Error::Kind::permanent) {
      log::warn("consumer {}: {} cannot be delivered again: {}", consumer.name,
                model::format(feed.at(again.front().position)), event.error().message);
      state.drop(again.front().position);
      consumer.unkept = true;
    } else {
      state.undo(again.front().position);
      if (fetched.items.empty()) return unavailable(event.error());
      break;
    }
  }

  if (const auto held = feed.oldest().position - 1; state.head() < held) {
    log::warn("retention has overtaken consumer {}: it gets nothing between {} and {}",
              consumer.name, model::format(feed.at(state.head())), model::format(feed.at(held)));
    state.pass(held);
    consumer.unkept = true;
  }
  bool at_end = false, stopped = false;
  for (int pages = 0; pages < kPagesPerFetch && !at_end && !stopped && !full() && state.has_room();
       ++pages) {
    PageLimits limits;
    limits.events = max - fetched.items.size();
    limits.bytes = max_bytes - bytes;
    auto page = feed.page(state.head(), consumer.spec.filter, limits);
    if (!page) {
      if (fetched.items.empty()) return unavailable(page.error());
      break;
    }
    for (auto& event : page->events) {
      if (full() || !state.has_room()) {
        stopped = true;
        break;
      }
      const auto& row = event->event();
      // An event alone may be larger than what is left; then it waits for the next fetch.
      if (!fetched.items.empty() && bytes + event->json().size() > max_bytes) {
        stopped = true;
        break;
      }
      if (state.offer(row.sequence.position, key_of(row), member, now)) add(event, 1);
    }
    if (!stopped) {
      state.pass(page->next);
      at_end = page->at_end;
    }
  }
  // What is handed over is on disk first, so that its acknowledgement is understood after a kill.
  if (consumer.unkept || !fetched.items.empty() ||
      state.head() - consumer.kept_head >= kKeepEvery) {
    if (const auto saved = save(consumer); !saved)
      log::warn("consumer {}: {}", consumer.name, saved.error().message);
  }
  fetched.floor = feed.at(state.floor());
  fetched.more = fetched.items.empty() && !at_end && state.has_room();
  fetched.due = state.next_due(now);
  return fetched;
}

void Consumers::undo(const std::string& name, const std::vector<model::Position>& positions) {
  const auto handle = parts_->find(name);
  if (!handle) return;
  handle->with([&](Consumer& consumer) {
    for (const auto position : positions) consumer.state.undo(position);
  });
  parts_->tell(name);
}

template<class Action>
Outcome<Settled> Consumers::Parts::settle(const std::string& name,
                                          const std::vector<model::Sequence>& sequences,
                                          std::string_view parameter, Action&& action) {
  const auto handle = find(name);
  if (!handle) return no_such(name);
  auto outcome = handle->with([&](Consumer& consumer) -> Outcome<Settled> {
    if (consumer.removed) return no_such(name);
    const auto own = known(consumer, sequences, parameter);
    if (!own) return own.error();
    if (auto refused = action(consumer, *own)) return std::move(*refused);
    // What was settled before and could not be kept is kept now: an acknowledgement that is
    // answered is on disk.
    consumer.unkept = true;
    if (const auto saved = save(consumer); !saved) return unavailable(saved.error());
    auto now = settled(consumer);
    now.passed_over = sequences.size() - own->size();
    return now;
  });
  tell(name);
  return outcome;
}

Outcome<std::vector<model::Position>> Consumers::Parts::known(
    const Consumer& consumer, const std::vector<model::Sequence>& sequences,
    std::string_view parameter) const {
  std::vector<model::Position> own;
  for (const auto sequence : sequences) {
    const bool held = is_ours(sequence) && sequence.position <= feed.end().position;
    if (held && sequence.position <= consumer.state.head()) {
      own.push_back(sequence.position);
    } else if (!held && !feed.was_lost(sequence)) {
      return refuse(Cause::invalid, model::format(sequence) + " never was on this bus",
                    std::string(parameter));
    }
  }
  return own;
}

Outcome<Settled> Consumers::ack(const std::string& name,
                                const std::vector<model::Sequence>& sequences) {
  auto& parts = *parts_;
  return parts.settle(name, sequences, "sequences",
                      [&](Consumer& consumer, const auto& positions) -> std::optional<Refusal> {
                        for (const auto position : positions) {
                          if (consumer.state.ack(position) == ConsumerState::Acked::now) continue;
                          // Late, but done: what was parked meanwhile need not wait for a person.
                          std::erase_if(consumer.parked, [&](const auto& parked) {
                            return parked.position == position;
                          });
                          if (const auto parked = parts.positions->is_parked(consumer.id, position);
                              parked && *parked) {
                            consumer.taken_up.push_back(position);
                          }
                        }
                        return std::nullopt;
                      });
}

Outcome<Settled> Consumers::ack_through(const std::string& name, model::Sequence sequence) {
  return parts_->settle(
      name, {sequence}, "through", [&](Consumer& consumer, const auto&) -> std::optional<Refusal> {
        if (consumer.spec.rules.group) {
          return refuse(
              Cause::conflict,
              "members of a group acknowledge their own events one by one: give 'sequences'");
        }
        // Where it goes beyond what this consumer is known to have had, all of that lies before.
        if (parts_->is_ours(sequence)) {
          const auto head = consumer.state.head();
          (void)consumer.state.ack_through(std::min(sequence.position, head));
        }
        return std::nullopt;
      });
}

Outcome<Settled> Consumers::nack(const std::string& name,
                                 const std::vector<model::Sequence>& sequences,
                                 std::chrono::milliseconds delay) {
  auto& parts = *parts_;
  return parts.settle(name, sequences, "nack",
                      [&](Consumer& consumer, const auto& positions) -> std::optional<Refusal> {
                        const auto now = parts.clock.steady();
                        std::vector<model::Position> parked;
                        for (const auto position : positions) {
                          if (consumer.state.nack(position, delay, now)) parked.push_back(position);
                        }
                        parts.park(consumer, parked, consumer.spec.rules.max_deliver);
                        return std::nullopt;
                      });
}

Outcome<Settled> Consumers::release(const std::string& name,
                                    const std::vector<model::Sequence>& sequences) {
  return parts_->settle(name, sequences, "release",
                        [&](Consumer& consumer, const auto& positions) -> std::optional<Refusal> {
                          for (const auto position : positions) consumer.state.undo(position);
                          return std::nullopt;
                        });
}

Outcome<json::object> Consumers::parked(const std::string& name, std::size_t max) {
  const auto handle = parts_->find(name);
  if (!handle) return no_such(name);
  const auto found = handle->with([&](Consumer& consumer) -> Result<std::vector<ParkedEvent>> {
    VOXBUS_CHECK(parts_->save(consumer));
    return parts_->positions->parked(consumer.id, 0, max);
  });
  if (!found) return unavailable(found.error());
  json::array list;
  for (const auto& parked : *found) {
    json::object entry;
    entry["sequence"] = model::format(parts_->feed.at(parked.position));
    entry["attempts"] = parked.attempts;
    entry["since"] = parked.since;
    if (const auto event = parts_->feed.event(parked.position)) {
      if (auto parsed = json::parse((*event)->json())) entry["event"] = std::move(*parsed);
    }
    list.push_back(std::move(entry));
  }
  json::object out;
  out["parked"] = std::move(list);
  return out;
}

Outcome<std::size_t> Consumers::redeliver_parked(
    const std::string& name, const std::optional<std::vector<model::Sequence>>& which) {
  const auto handle = parts_->find(name);
  if (!handle) return no_such(name);
  auto& parts = *parts_;
  auto outcome = handle->with([&](Consumer& consumer) -> Outcome<std::size_t> {
    if (const auto saved = parts.save(consumer); !saved) return unavailable(saved.error());
    std::vector<model::Position> wanted;
    if (which) {
      for (const auto sequence : *which) {
        const auto parked = parts.positions->is_parked(consumer.id, sequence.position);
        if (!parked) return unavailable(parked.error());
        if (!*parked || !parts.is_ours(sequence)) {
          return refuse(Cause::invalid, model::format(sequence) + " is not parked", "sequences");
        }
        wanted.push_back(sequence.position);
      }
    } else {
      const auto parked = parts.positions->parked(consumer.id, 0, kMostReopened);
      if (!parked) return unavailable(parked.error());
      for (const auto& event : *parked) wanted.push_back(event.position);
    }
    std::size_t count = 0;
    for (const auto position : wanted) {
      if (!consumer.state.has_room_again()) break;
      // Its key is not kept beside what is parked, and a group must not split its conversation.
      const auto event = parts.feed.event(position);
      if (!event && event.error().kind == Error::Kind::retry) {
        if (count == 0) return unavailable(event.error());
        break;
      }
      // One whose row is gone is dropped when it is to be delivered.
      const auto key = event ? key_of((*event)->event()) : 0;
      consumer.state.reopen(position, key, parts.clock.steady());
      consumer.taken_up.push_back(position);
      ++count;
    }
    consumer.unkept = true;
    if (const auto saved = parts.save(consumer); !saved) return unavailable(saved.error());
    return count;
  });
  parts.tell(name);
  return outcome;
}

}  // namespace voxbus::bus
