// SPDX-License-Identifier: Apache-2.0
// The durable, named consumers: who has read how far, what is in flight, what is parked. Each has a
// lock of its own, so that one that reads from the disk keeps no other waiting. Owned by the
// daemon, gone before the feed. Every function may be called from any thread and may read and write
// the disk.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "bus/consumer_state.hpp"
#include "bus/feed.hpp"
#include "bus/refusal.hpp"

namespace voxbus::bus {

inline constexpr std::size_t kMaxConsumers = 1000;

struct ConsumerSpec {
  Filter filter;
  DeliveryRules rules;
};

// What PUT /v1/consumers/NAME carries: where a new consumer begins, and what is wanted of its
// specification. What is absent stays as it is, and is the default for a new one.
struct ConsumerRequest {
  std::string from = "now";
  std::optional<Filter> filter;
  std::optional<std::size_t> max_in_flight;
  std::optional<std::chrono::milliseconds> ack_within;
  std::optional<std::uint32_t> max_deliver;
  std::optional<bool> group;

  [[nodiscard]] ConsumerSpec applied_to(ConsumerSpec spec) const;
};
// {"from", "filter", "max_in_flight", "ack_within", "max_deliver", "group"}, all optional.
[[nodiscard]] Outcome<ConsumerRequest> read_consumer_request(const json::object& body);
[[nodiscard]] bool is_consumer_name(std::string_view name);

struct Fetched {
  struct Item {
    SharedEvent event;
    std::uint32_t attempt = 1;
  };
  std::vector<Item> items;
  model::Sequence floor;
  // Nothing was found yet, but not everything was looked at: ask again at once.
  bool more = false;
  // When something in flight or delayed may become due; nothing: only news can help.
  std::optional<std::chrono::steady_clock::time_point> due;
};

struct Settled {
  model::Sequence floor;
  std::size_t in_flight = 0;
  // Sequences that settled nothing, because this consumer is not known to have had them: of a lost
  // tail of the journal, or given just before a power cut. What there is of them comes again.
  std::size_t passed_over = 0;
};

class Consumers {
 public:
  // `directory` is "<state>/positions". `feed` and `clock` outlive the consumers.
  [[nodiscard]] static Result<std::unique_ptr<Consumers>> open(
      const std::filesystem::path& directory, Feed& feed, const Clock& clock);
  // Keeps what was not yet kept.
  ~Consumers();

  struct Put {
    bool created = false;
    json::object consumer;
  };
  // The same again changes nothing, and neither does what the request leaves out: an administrator
  // may have set it since. Anything else that differs is a conflict, unless `update`.
  [[nodiscard]] Outcome<Put> put(const std::string& name, const ConsumerRequest& request,
                                 bool update);
  [[nodiscard]] Outcome<json::object> show(const std::string& name);
  [[nodiscard]] json::array list();
  [[nodiscard]] Outcome<bool> remove(const std::string& name);

  // At most `max` events and `max_bytes` of JSON (but one event in any case), leased to `member`.
  // Looks at a bounded number of events; never waits for new ones.
  [[nodiscard]] Outcome<Fetched> fetch(const std::string& name, const std::string& member,
                                       std::size_t max, std::size_t max_bytes);
  // Events that were fetched and could not be handed over: as if they had not been.
  void undo(const std::string& name, const std::vector<model::Position>& positions);

  // All four: sequences that this consumer is not known to have had are passed over and counted;
  // one that never was on the bus refuses them all.
  [[nodiscard]] Outcome<Settled> ack(const std::string& name,
                                     const std::vector<model::Sequence>& sequences);
  [[nodiscard]] Outcome<Settled> ack_through(const std::string& name, model::Sequence sequence);
  [[nodiscard]] Outcome<Settled> nack(const std::string& name,
                                      const std::vector<model::Sequence>& sequences,
                                      std::chrono::milliseconds delay);

  // Events that were fetched and not looked at, as when a program ends: free for others at once,
  // and the delivery does not count.
  [[nodiscard]] Outcome<Settled> release(const std::string& name,
                                         const std::vector<model::Sequence>& sequences);

  // {"parked": [{"sequence", "attempts", "since", "event"}]}, ascending, at most `max`.
  [[nodiscard]] Outcome<json::object> parked(const std::string& name, std::size_t max);
  // Parked events for delivery again; nothing given: all. How many were taken up.
  [[nodiscard]] Outcome<std::size_t> redeliver_parked(
      const std::string& name, const std::optional<std::vector<model::Sequence>>& which);

  // `listener(name)` after something of this consumer may have become free for another member. On
  // the calling thread, so it must only signal. Set once, before the first call.
  void on_change(std::function<void(const std::string& name)> listener);

 private:
  struct Parts;
  explicit Consumers(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace voxbus::bus
