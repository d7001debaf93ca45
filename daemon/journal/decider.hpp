// SPDX-License-Identifier: Apache-2.0
// The sequencer's rules, and nothing else: which item is new, a revision, a withdrawal, a duplicate
// or too late; which position, time and key its row gets. No thread, no file, no clock: what the
// index knows comes in with each item, and what was decided but may not be in the index yet is
// remembered here. One owner, the sequencer.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>

#include "base/time.hpp"
#include "journal/bytes.hpp"
#include "journal/index.hpp"

namespace voxbus::journal {

// An item as far as the rules need it.
struct Candidate {
  Mac native{};
  Mac content{};
  std::optional<Mac> author;
  std::optional<std::uint64_t> version;
  bool withdrawn = false;
  bool quarantined = false;
  // Made anew from the evidence of the row at this position.
  std::optional<model::Position> reparsed;
  bool fact = false;                  // no interaction: only its native id counts
  std::optional<NativeState> stored;  // what the index holds of the native id
  std::optional<KeyId> author_key;    // what the index holds of the author
};

enum class Outcome {
  first,  // the first interaction of its native id
  revised,
  withdrawn,
  quarantined,
  duplicate,    // equals the latest
  late,         // withdrawn before it came
  out_of_order  // an older version than the one we hold
};
[[nodiscard]] constexpr bool is_stored(Outcome outcome) { return outcome <= Outcome::quarantined; }

struct Decision {
  Outcome outcome = Outcome::duplicate;
  // With a stored outcome the state after it, else the state that spoke against it.
  NativeState state;
  TimePoint recorded;
};

// The clock went back by more than an hour; recorded times stand still until it has caught up.
struct ClockStep {
  TimePoint from;  // the newest recorded time
  TimePoint to;    // what the clock says
};

class Decider {
 public:
  struct Start {
    model::Position last_position = 0;
    TimePoint last_recorded{};
    KeyId next_key = 1;
  };
  // `usable`: whether a slot of the key file can still seal.
  Decider(Start start, std::function<bool(KeyId)> usable);

  // Starts a group. Everything up to group `written` is in the index by now. Says once when the
  // clock went back far.
  std::optional<ClockStep> begin_group(std::uint64_t group, std::uint64_t written, TimePoint now);
  [[nodiscard]] Decision decide(const Candidate& candidate);

  [[nodiscard]] model::Position last_position() const { return last_position_; }
  [[nodiscard]] TimePoint recorded() const { return recorded_; }
  [[nodiscard]] KeyId next_key() const { return next_key_; }

 private:
  struct Generation {
    std::uint64_t group = 0;
    std::unordered_map<Mac, NativeState, MacHash> natives;
    std::unordered_map<Mac, KeyId, MacHash> authors;
  };
  std::optional<NativeState> latest(const Candidate& candidate) const;
  KeyId key_for(const Candidate& candidate, const std::optional<NativeState>& before);

  std::function<bool(KeyId)> usable_;
  model::Position last_position_;
  TimePoint recorded_;
  KeyId next_key_;
  bool step_said_ = false;
  std::deque<Generation> generations_;  // oldest first; the hand-over keeps them at three at most
};

// The rules alone: what an item is, given the latest of its native id.
[[nodiscard]] Outcome judge(const Candidate& candidate, const std::optional<NativeState>& latest);

}  // namespace voxbus::journal
