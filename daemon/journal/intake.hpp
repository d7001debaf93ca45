// SPDX-License-Identifier: Apache-2.0
// What waits to be decided: one bounded queue per channel, taken by deficit round robin, and facts,
// which go first. Also who may submit (leases) and where each channel stands (its cursor). A value
// without thread or file; the pipeline guards it.
#pragma once

#include <cstdint>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "journal/journal.hpp"
#include "model/item.hpp"

namespace voxbus::journal {

// What a channel's items need to know of it; fixed at its opening.
struct ChannelRun {
  model::ChannelIdentity identity;
  std::string source;  // "urn:voxbus:<installation>/channels/<name>"
  std::uint64_t lease = 0;
  TimePoint begin;
};
using ChannelRunRef = std::shared_ptr<const ChannelRun>;

struct PendingFact {
  Fact fact;
  std::promise<Result<model::Sequence>> done;
};

// Given back to a channel's sink once its group is committed.
struct Credit {
  ChannelRunRef channel;
  std::size_t batches = 0, items = 0, bytes = 0;
};

// A channel's line in the journal; written with the group it comes in.
struct ChannelMark {
  model::ChannelIdentity identity;
  TimePoint opened, begin;
  std::string cursor;
};

// The makings of one group, in the order in which they are decided.
struct Taken {
  struct Entry {
    ChannelRunRef channel;
    model::Item item;
  };
  std::vector<PendingFact> facts;
  std::vector<Entry> items;
  std::vector<ChannelMark> marks;
  std::vector<Credit> credits;
  [[nodiscard]] bool empty() const {
    return facts.empty() && items.empty() && marks.empty() && credits.empty();
  }
};

class Intake {
 public:
  // What an empty item costs in a turn, and what a channel may take in its turn.
  static constexpr std::size_t kQuantum = 64u << 10;
  static constexpr std::size_t kMostFacts = 256;

  Intake(std::string installation, std::size_t queue_bytes)
      : installation_(std::move(installation)), queue_bytes_(queue_bytes) {}

  void know(ChannelMark mark);  // as the journal holds it, before anything else

  [[nodiscard]] Opening open(const model::ChannelIdentity& identity, Begin begin, TimePoint now);
  [[nodiscard]] Submit submit(const std::string& channel, std::uint64_t lease, model::Batch batch);
  void close(const std::string& channel, std::uint64_t lease);
  void add(PendingFact fact) { facts_.push_back(std::move(fact)); }

  // At most `items` of at most `bytes` together, or one larger item. What is taken counts as
  // committed from here on: the next opening of the channel gets its cursor. With `facts_only`
  // channels wait.
  [[nodiscard]] Taken take(std::size_t items, std::size_t bytes, bool facts_only);

  [[nodiscard]] bool has_work(bool facts_only) const {
    return !facts_.empty() || (!facts_only && (!active_.empty() || !new_marks_.empty()));
  }
  [[nodiscard]] std::size_t queued_items() const { return queued_items_ + facts_.size(); }
  [[nodiscard]] std::size_t queued_bytes() const { return queued_bytes_; }
  [[nodiscard]] std::size_t queued_bytes(const std::string& channel) const;
  [[nodiscard]] std::deque<PendingFact> abandon();  // the facts that nobody will decide

 private:
  struct QueuedBatch {
    std::vector<model::Item> items;
    std::optional<std::string> cursor;
    std::size_t next = 0;     // the first undecided item
    std::size_t bytes = 0;    // of all items, for the credit
    std::size_t charged = 0;  // in the queue's count
  };
  struct Channel {
    ChannelRunRef run;  // none: closed
    std::deque<QueuedBatch> queue;
    std::size_t bytes = 0;
    std::size_t deficit = 0;
    bool active = false;   // stands in active_
    bool in_turn = false;  // got its quantum for this turn
  };
  void drop_queue(Channel& channel);
  // Takes what the deficit allows; false when the group is full.
  bool take_turn(Channel& channel, Taken& out, std::size_t items, std::size_t bytes,
                 std::size_t& weight);
  void finish_batch(Channel& channel, Taken& out);

  std::string installation_;
  std::size_t queue_bytes_;
  std::uint64_t last_lease_ = 0;
  std::map<std::string, Channel> channels_;
  std::map<model::ChannelIdentity, ChannelMark> known_;
  std::vector<model::ChannelIdentity> new_marks_;  // opened for the first time, not yet taken
  std::deque<Channel*> active_;                    // with work, in the order of their turns
  std::deque<PendingFact> facts_;
  std::size_t queued_items_ = 0, queued_bytes_ = 0;
};

}  // namespace voxbus::journal
