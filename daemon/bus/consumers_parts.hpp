// SPDX-License-Identifier: Apache-2.0
// The inside of Consumers, shared by its two source files: consumers.cpp keeps them, and
// consumers_delivery.cpp hands out and settles events.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.hpp"
#include "bus/consumers.hpp"
#include "bus/positions.hpp"

namespace voxbus::bus {

struct Consumer {
  std::int64_t id = 0;
  std::string name, created;
  ConsumerSpec spec;
  ConsumerState state;
  model::Position kept_head = 0;  // as it stands on disk
  bool unkept = false;            // something else differs from the disk
  bool removed = false;
  // To be written with the next save.
  std::vector<ParkedEvent> parked;
  std::vector<model::Position> taken_up;

  Consumer(std::string the_name, ConsumerSpec the_spec, const ConsumerState::Snapshot& snapshot)
      : name(std::move(the_name)), spec(std::move(the_spec)), state(spec.rules, snapshot) {}
};
using Handle = std::shared_ptr<Guarded<Consumer>>;

struct Consumers::Parts {
  Parts(Feed& the_feed, const Clock& the_clock) : feed(the_feed), clock(the_clock) {}

  Feed& feed;
  const Clock& clock;
  std::unique_ptr<Positions> positions;
  Guarded<std::map<std::string, Handle>> all;
  std::function<void(const std::string&)> changed;

  Handle find(const std::string& name) {
    return all.with([&](auto& consumers) {
      const auto found = consumers.find(name);
      return found == consumers.end() ? Handle{} : found->second;
    });
  }
  void tell(const std::string& name) {
    if (changed) changed(name);
  }

  Status load();
  Status go_back(StoredConsumer& record);
  Status save(Consumer& consumer);
  void park(Consumer& consumer, const std::vector<model::Position>& which, std::uint32_t attempts);
  json::object describe(Consumer& consumer);
  Settled settled(const Consumer& consumer) const {
    return {feed.at(consumer.state.floor()), consumer.state.in_flight(), 0};
  }
  bool is_ours(model::Sequence sequence) const { return feed.at(sequence.position) == sequence; }

  // Of these the ones that this consumer may settle; the others are passed over, but one that never
  // was on the bus is refused.
  Outcome<std::vector<model::Position>> known(const Consumer& consumer,
                                              const std::vector<model::Sequence>& sequences,
                                              std::string_view parameter) const;

  Outcome<Fetched> fetch(Consumer& consumer, const std::string& member, std::size_t max,
                         std::size_t max_bytes);
  // Runs `action(consumer, positions)` under its lock, saves, tells.
  template<class Action>
  Outcome<Settled> settle(const std::string& name, const std::vector<model::Sequence>& sequences,
                          std::string_view parameter, Action&& action);
};

[[nodiscard]] inline Refusal no_such(const std::string& name) {
  return refuse(Refusal::Cause::not_found, "there is no consumer '" + name + "'");
}

}  // namespace voxbus::bus
