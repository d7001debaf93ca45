// SPDX-License-Identifier: Apache-2.0
// Turns what was taken from the intake into a group that is ready to be written: names things by
// keyed hash, asks the index, lets the decider decide, builds and seals the rows, links the chain.
// decide() is for one thread; run() is that thread's body.
#pragma once

#include <map>

#include "journal/decider.hpp"
#include "journal/key_maker.hpp"
#include "journal/messages.hpp"
#include "journal/pipeline.hpp"
#include "journal/sealer.hpp"

namespace voxbus::journal {

class Sequencer {
 public:
  struct Start {
    std::string installation;
    model::Position last_position = 0;
    TimePoint last_recorded{};
    Digest chain{};
    KeyId next_key = 1;
    Names names;
    std::map<model::ChannelIdentity, std::int64_t> mark_ids;
  };
  Sequencer(Start start, const Keys& keys, const Index& index, KeyMaker& maker, Shared& shared,
            std::size_t group_items, std::size_t group_bytes);

  // Until the journal stops and nothing is left to decide, or it fails.
  void run();
  // Nothing when the journal stops or fails; the facts' promises are answered then.
  [[nodiscard]] std::unique_ptr<Group> decide(Taken taken, std::uint64_t written);

 private:
  // An item or a fact with what the rules need of it.
  struct Work {
    Candidate candidate;
    std::optional<Mac> message;  // what it is quoted by
    std::vector<Mac> quoted;     // of the item's quoted_ids, in their order
    std::string source;          // belongs to the row's name
    std::string_view native_id;  // of the item or the fact's key
    const ChannelRun* channel = nullptr;
    const model::Item* item = nullptr;
    PendingFact* fact = nullptr;
  };
  Work work_for(const ChannelRun& channel, const model::Item& item);
  Work work_for(PendingFact& fact);
  [[nodiscard]] Status look_up(std::vector<Work>& works, std::uint64_t written);
  // The item's record with the events that its quotes repeat; false when none is held.
  bool name_quoted(const Work& work, std::string& record) const;
  [[nodiscard]] Status store(Group& group, Work& work, const Decision& decision);
  void count(const Work& work, Outcome outcome);
  void add_clock_step(const ClockStep& step, std::vector<PendingFact>& facts);
  std::string_view name(Group& group, std::int64_t kind, std::string_view text, std::int64_t& id);

  std::string prefix_;  // "urn:voxbus:<installation>/"
  KeyRing ring_;
  Decider decider_;
  Digest chain_;
  Names names_;
  std::map<model::ChannelIdentity, std::int64_t> mark_ids_;
  const Keys& keys_;
  const Index& index_;
  KeyMaker& maker_;
  Shared& shared_;
  std::size_t group_items_, group_bytes_;
  std::uint64_t last_group_ = 0;
  std::int64_t last_mark_id_ = 0;
  Sealer sealer_;
  Hmac ids_, natives_, contents_, authors_, partitions_;
  MessageHash message_hash_;
  Messages messages_;
  std::string body_;
  std::string record_;
  std::map<std::string, ChannelStats> counted_;  // of the group at hand
};

}  // namespace voxbus::journal
