// SPDX-License-Identifier: Apache-2.0
// What one durable consumer has settled and what it still owes, without I/O and without a clock:
// events are offered in order, leases run out when the caller says what time it is. Everything up
// to `head` was looked at; of that, all is settled but the entries in `open`. The floor is where
// the first open one begins. Owned by Consumers, used by one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "model/event.hpp"

namespace voxbus::bus {

struct DeliveryRules {
  std::size_t max_in_flight = 1000;
  std::chrono::milliseconds ack_within{30'000};
  std::uint32_t max_deliver = 5;
  bool group = false;  // events of one key go to one member at a time
  bool operator==(const DeliveryRules&) const = default;
};

struct Delivery {
  model::Position position = 0;
  std::uint32_t attempt = 1;
  bool operator==(const Delivery&) const = default;
};

class ConsumerState {
 public:
  using Time = std::chrono::steady_clock::time_point;

  struct Open {
    model::Position position = 0;
    std::uint32_t attempts = 0;  // deliveries that were made
    std::uint64_t key = 0;
    bool operator==(const Open&) const = default;
  };
  // What is kept on disk.
  struct Snapshot {
    model::Position head = 0;
    model::Position floor = 0;  // only grows, also when parked events are taken up again
    std::vector<Open> open;     // ascending
  };

  ConsumerState(DeliveryRules rules, const Snapshot& snapshot);

  void set_rules(DeliveryRules rules) { rules_ = rules; }
  [[nodiscard]] const DeliveryRules& rules() const { return rules_; }
  [[nodiscard]] Snapshot snapshot() const;
  [[nodiscard]] model::Position head() const { return head_; }
  [[nodiscard]] model::Position floor() const { return floor_; }
  [[nodiscard]] std::size_t in_flight() const { return leased_; }
  [[nodiscard]] std::size_t open() const { return open_.size(); }

  // --- delivering ---
  // Ends leases that ran out by `now`. Gives the positions that were delivered max_deliver times:
  // they are parked, that is settled here and to be kept by the caller.
  [[nodiscard]] std::vector<model::Position> expire(Time now);
  // Open events that wait for another delivery and may go to `member`, oldest first; they are in
  // flight afterwards.
  [[nodiscard]] std::vector<Delivery> redeliver(std::string_view member, std::size_t max, Time now);
  // Whether offer() may be called with a matching event.
  [[nodiscard]] bool has_room() const;
  // The next event after head, whose partition is `key` (0: none). True: it is delivered to
  // `member` (attempt 1). False: it is kept for the member that holds its key.
  [[nodiscard]] bool offer(model::Position position, std::uint64_t key, std::string_view member,
                           Time now);
  // Everything up to `position` was looked at; what was not offered is none of this consumer's.
  void pass(model::Position position);
  // When, after `now`, the next lease ends or the next delayed event is due; nothing while there
  // is none.
  [[nodiscard]] std::optional<Time> next_due(Time now) const;

  // --- settling ---
  enum class Acked {
    now,     // it was open
    before,  // settled already, or none of this consumer's
    never_delivered,
  };
  [[nodiscard]] Acked ack(model::Position position);
  // Settles everything that was delivered up to `position`; false when that is after head.
  [[nodiscard]] bool ack_through(model::Position position);
  // Gives it back: it is delivered again after `delay`, or true: parked, as in expire().
  [[nodiscard]] bool nack(model::Position position, std::chrono::milliseconds delay, Time now);
  // Gives back what could not be handed over: the attempt does not count.
  void undo(model::Position position);
  // Whether reopen() may be called.
  [[nodiscard]] bool has_room_again() const { return open_.size() < 2 * rules_.max_in_flight; }
  // A parked event of the partition `key` again, from the first attempt.
  void reopen(model::Position position, std::uint64_t key, Time now);
  // It can never be delivered any more: its row is gone.
  void drop(model::Position position);

 private:
  struct Entry {
    std::uint32_t attempts = 0;
    std::uint64_t key = 0;
    bool leased = false;
    Time due{};          // leased: when the lease ends; else: when it may be delivered again
    std::string member;  // leased: to whom
  };
  struct Holder {
    std::string member;
    std::size_t leases = 0;
  };
  using Entries = std::map<model::Position, Entry>;

  [[nodiscard]] bool may_have(std::uint64_t key, std::string_view member) const;
  void lease(Entry& entry, std::string_view member, Time now);
  void end_lease(Entry& entry);
  Entries::iterator settle(Entries::iterator entry);
  void raise_floor();

  DeliveryRules rules_;
  model::Position head_ = 0, floor_ = 0;
  Entries open_;
  std::size_t leased_ = 0;
  std::unordered_map<std::uint64_t, Holder> holders_;  // of keys with leases, in groups
};

}  // namespace voxbus::bus
