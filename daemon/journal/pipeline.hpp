// SPDX-License-Identifier: Apache-2.0
// Where the journal's threads meet: hosts fill the intake, the sequencer takes from it and puts one
// decided group into the slot, the writer commits it. All of it under one lock, held for moments.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/guarded.hpp"
#include "base/pulse.hpp"
#include "journal/file.hpp"
#include "journal/index.hpp"
#include "journal/intake.hpp"
#include "journal/row.hpp"

namespace voxbus::journal {

// What one transaction holds, ready to be written; made by the sequencer, spent by the writer.
struct Group {
  struct Answer {
    std::promise<Result<model::Sequence>> done;
    model::Sequence sequence;
  };
  std::uint64_t number = 0;
  std::vector<Row> rows;
  std::vector<Name> names;        // used for the first time
  std::vector<StoredMark> marks;  // cursors whose batches end here
  IndexBatch index;
  std::vector<Credit> credits;
  std::vector<Answer> answers;

  [[nodiscard]] bool writes_nothing() const {
    return rows.empty() && names.empty() && marks.empty();
  }
};

struct PipelineState {
  explicit PipelineState(Intake queues) : intake(std::move(queues)) {}

  Intake intake;
  std::unique_ptr<Group> slot;  // decided, not yet begun
  bool writer_busy = false;
  std::uint64_t written = 0;         // the last group that is in the journal and in the index
  bool waiting_for_space = false;    // channels wait, facts go through the reserve
  bool keys_wait_for_space = false;  // no block of keys could be written; what needs one waits
  bool stopping = false;             // nothing new is taken in
  bool sequencer_done = false;
  bool writer_gone = false;  // nothing is committed any more
  bool failed = false;

  // While the writer syncs, what arrives gathers; a group worth its overhead need not wait for it.
  static constexpr std::size_t kOverlapItems = 256;
  static constexpr std::size_t kOverlapBytes = 1u << 20;
  [[nodiscard]] bool has_work() const {
    return !failed && !writer_gone && intake.has_work(waiting_for_space);
  }
  [[nodiscard]] bool may_decide() const {
    return has_work() && !slot &&
           (!writer_busy || intake.queued_items() >= kOverlapItems ||
            intake.queued_bytes() >= kOverlapBytes);
  }
};
using Pipeline = Guarded<PipelineState>;

// Counted by whoever sees it happen, read by stats().
struct Counters {
  std::map<std::string, ChannelStats> channels;
  Stats totals;
};
using SharedCounters = Guarded<Counters>;

// What all threads of the journal share. Made before the first of them and gone after the last.
struct Shared {
  Shared(Intake intake, const Clock& time) : pipeline(std::move(intake)), clock(time) {}

  Pipeline pipeline;
  SharedCounters counters;
  const Clock& clock;
  std::atomic<model::Position> end{0};  // newest committed
  std::atomic<std::uint64_t> unreadable{0};
  std::atomic<KeyId> next_key{1};  // as of the last group decided
  Pulse writing, deciding;         // while a group is in their hands
  std::vector<EpochStart> epochs;  // ascending, at least one; fixed before the first thread
  // Ends all work and tells the caller, once. `mark` names a file to leave behind for the next
  // start (kSuspect, kIndexSuspect), or is empty.
  std::function<void(const Error& error, std::string_view mark)> fail;
};

// Files that tell the next start to repair before it trusts.
inline constexpr std::string_view kSuspect = "suspect";
// Left by a person: the directory is a copy that was put back.
inline constexpr std::string_view kRestored = "restored";
inline constexpr std::string_view kIndexSuspect = "index-suspect";

}  // namespace voxbus::journal
