// SPDX-License-Identifier: Apache-2.0
#include "journal/decider.hpp"

namespace voxbus::journal {

Outcome judge(const Candidate& item, const std::optional<NativeState>& latest) {
  if (item.fact) return latest ? Outcome::duplicate : Outcome::first;
  // What came since is newer than any reading of the old evidence.
  if (item.reparsed && latest && latest->position != *item.reparsed) return Outcome::duplicate;
  const bool was_withdrawn = latest && (latest->flags & kWithdrawn);
  const bool was_quarantined = latest && (latest->flags & kQuarantined);
  if (latest) {
    // The digest is of what the plugin gave, so a quarantined record that a fix makes readable has
    // the same one: it is news. The opposite is not: what was read once stays read.
    const bool same = latest->content == item.content && was_withdrawn == item.withdrawn;
    if (same && (!was_quarantined || item.quarantined)) return Outcome::duplicate;
    const bool comparable = item.version && latest->version;
    if (was_withdrawn && !(comparable && *item.version > *latest->version)) {
      // Only a version that says so brings back what was withdrawn.
      return item.withdrawn ? Outcome::duplicate : Outcome::late;
    }
    if (comparable && *item.version < *latest->version) return Outcome::out_of_order;
  }
  if (item.quarantined) return Outcome::quarantined;
  if (item.withdrawn) return Outcome::withdrawn;
  return latest && (item.reparsed || (latest->flags & kReceived)) ? Outcome::revised
                                                                  : Outcome::first;
}

Decider::Decider(Start start, std::function<bool(KeyId)> usable)
    : usable_(std::move(usable)),
      last_position_(start.last_position),
      recorded_(start.last_recorded),
      next_key_(start.next_key) {}

std::optional<ClockStep> Decider::begin_group(std::uint64_t group, std::uint64_t written,
                                              TimePoint now) {
  while (!generations_.empty() && generations_.front().group <= written) generations_.pop_front();
  generations_.emplace_back().group = group;
  if (now >= recorded_) {
    recorded_ = now;
    step_said_ = false;
    return std::nullopt;
  }
  if (step_said_ || recorded_ - now <= std::chrono::hours(1)) return std::nullopt;
  step_said_ = true;
  return ClockStep{recorded_, now};
}

std::optional<NativeState> Decider::latest(const Candidate& candidate) const {
  for (auto at = generations_.rbegin(); at != generations_.rend(); ++at) {
    if (const auto found = at->natives.find(candidate.native); found != at->natives.end()) {
      return found->second;
    }
  }
  return candidate.stored;
}

KeyId Decider::key_for(const Candidate& candidate, const std::optional<NativeState>& before) {
  if (!candidate.author) {
    // A withdrawal seldom names its author; it stays with what it withdraws.
    return before && before->key != kSystemKey && usable_(before->key) ? before->key : kSystemKey;
  }
  std::optional<KeyId> known = candidate.author_key;
  for (auto at = generations_.rbegin(); at != generations_.rend(); ++at) {
    if (const auto found = at->authors.find(*candidate.author); found != at->authors.end()) {
      known = found->second;
      break;
    }
  }
  if (known && usable_(*known)) return *known;
  // A new author, or one who was erased and speaks again. Slots that rotted before their first use
  // are passed over.
  while (!usable_(next_key_)) ++next_key_;
  generations_.back().authors[*candidate.author] = next_key_;
  return next_key_++;
}

Decision Decider::decide(const Candidate& candidate) {
  const auto before = latest(candidate);
  Decision decision;
  decision.outcome = judge(candidate, before);
  decision.recorded = recorded_;
  if (!is_stored(decision.outcome)) {
    decision.state = *before;
    return decision;
  }
  auto& state = decision.state;
  state.revision = before ? before->revision + 1 : 1;
  state.key = key_for(candidate, before);
  state.position = ++last_position_;
  state.content = candidate.content;
  state.version = candidate.version;
  if (before && before->version) {
    state.version = std::max(candidate.version.value_or(0), *before->version);
  }
  state.flags = before ? before->flags & kReceived : 0;
  if (candidate.withdrawn) state.flags |= kWithdrawn;
  if (candidate.quarantined) state.flags |= kQuarantined;
  const bool readable = decision.outcome == Outcome::first || decision.outcome == Outcome::revised;
  if (readable && !candidate.fact) state.flags |= kReceived;
  generations_.back().natives[candidate.native] = state;
  return decision;
}

}  // namespace voxbus::journal
