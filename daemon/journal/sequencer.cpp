// SPDX-License-Identifier: Apache-2.0
#include "journal/sequencer.hpp"

#include <cassert>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "journal/body.hpp"
#include "model/interaction.hpp"

namespace voxbus::journal {
namespace {

// Slots beyond a group's need, for those that rotted before their first use.
constexpr KeyId kSpareKeys = 64;
// Of the authors who wrote last: to read one from the file takes as long as to seal a row.
constexpr std::size_t kKeysKept = 32'768;

Hmac keyed(const Keys& keys, std::string_view purpose) {
  return Hmac(as_text(keys.purpose(purpose)));
}

std::string_view type_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::revised:
      return model::type::kRevised;
    case Outcome::withdrawn:
      return model::type::kWithdrawn;
    case Outcome::quarantined:
      return model::type::kQuarantined;
    default:
      return model::type::kReceived;
  }
}

bool is_rare(std::string_view type) {
  return type != model::type::kReceived && type != model::type::kRevised &&
         type != model::type::kWithdrawn;
}

void refuse(std::vector<PendingFact>& facts, const Error& error) {
  for (auto& fact : facts) fact.done.set_value(error);
}

}  // namespace

Sequencer::Sequencer(Start start, const Keys& keys, const Index& index, KeyMaker& maker,
                     Shared& shared, std::size_t group_items, std::size_t group_bytes)
    : prefix_("urn:voxbus:" + start.installation + "/"),
      ring_(keys, kKeysKept),
      decider_({start.last_position, start.last_recorded, start.next_key},
               [this](KeyId id) {
                 Key key;
                 return id > keys_.made() || ring_.get(id, key) == KeyState::usable;
               }),
      chain_(start.chain),
      names_(std::move(start.names)),
      mark_ids_(std::move(start.mark_ids)),
      keys_(keys),
      index_(index),
      maker_(maker),
      shared_(shared),
      group_items_(group_items),
      group_bytes_(group_bytes),
      ids_(keyed(keys, "ids")),
      natives_(keyed(keys, "natives")),
      contents_(keyed(keys, "contents")),
      authors_(keyed(keys, "authors")),
      partitions_(keyed(keys, "partitions")),
      message_hash_(keys),
      messages_(index) {
  for (const auto& [identity, id] : mark_ids_) last_mark_id_ = std::max(last_mark_id_, id);
}

void Sequencer::run() {
  for (;;) {
    std::uint64_t written = 0;
    auto taken = shared_.pipeline.when(
        [](const PipelineState& state) {
          return state.failed || state.writer_gone || state.may_decide() ||
                 (state.stopping && !state.has_work());
        },
        [&](PipelineState& state) -> std::optional<Taken> {
          if (!state.may_decide()) return std::nullopt;
          written = state.written;
          return state.intake.take(group_items_, group_bytes_, state.waiting_for_space);
        });
    shared_.deciding.beat();
    auto group = taken ? decide(std::move(*taken), written) : nullptr;
    shared_.deciding.rest();
    const bool done = !group;
    shared_.pipeline.with([&](PipelineState& state) {
      if (group) state.slot = std::move(group);
      if (done) state.sequencer_done = true;
    });
    shared_.pipeline.notify_all();
    if (done) return;
  }
}

Sequencer::Work Sequencer::work_for(const ChannelRun& channel, const model::Item& item) {
  Work work;
  work.channel = &channel;
  work.item = &item;
  work.source = channel.source;
  work.native_id = item.native_id;
  auto& candidate = work.candidate;
  candidate.native = natives_.add_field(channel.source).add_field(item.native_id).finish_short();
  candidate.content = contents_.add_field(as_text(item.digest)).finish_short();
  if (!item.author.empty()) candidate.author = authors_.add_field(item.author).finish_short();
  candidate.version = item.version;
  candidate.withdrawn = item.withdrawn;
  candidate.quarantined = item.quarantined;
  candidate.reparsed = item.reparsed;
  if (!item.message_id.empty()) work.message = message_hash_.of(item.message_id);
  for (const auto& id : item.quoted_ids) work.quoted.push_back(message_hash_.of(id));
  return work;
}

Sequencer::Work Sequencer::work_for(PendingFact& pending) {
  auto& fact = pending.fact;
  if (fact.dedupe_key.empty()) fact.dedupe_key = random_token(16);
  Work work;
  work.fact = &pending;
  work.source = prefix_ + fact.source;
  work.native_id = fact.dedupe_key;
  auto& candidate = work.candidate;
  candidate.fact = true;
  natives_.add_field(work.source).add_field(fact.type).add_field(fact.dedupe_key);
  candidate.native = natives_.finish_short();
  return work;
}

Status Sequencer::look_up(std::vector<Work>& works, std::uint64_t written) {
  std::vector<Mac> natives, authors, messages;
  natives.reserve(works.size());
  for (const auto& work : works) {
    natives.push_back(work.candidate.native);
    if (work.candidate.author) authors.push_back(*work.candidate.author);
    if (work.message) messages.push_back(*work.message);
    messages.insert(messages.end(), work.quoted.begin(), work.quoted.end());
  }
  VOXBUS_CHECK(messages_.begin_group(last_group_, written, messages));
  VOXBUS_TRY(states, index_.natives(natives));
  VOXBUS_TRY(keys, index_.authors(authors));
  std::size_t author = 0;
  for (std::size_t i = 0; i < works.size(); ++i) {
    works[i].candidate.stored = states[i];
    if (works[i].candidate.author) works[i].candidate.author_key = keys[author++];
  }
  return {};
}

bool Sequencer::name_quoted(const Work& work, std::string& record) const {
  std::map<std::string_view, std::string> events;
  for (std::size_t i = 0; i < work.quoted.size(); ++i) {
    if (const auto event = messages_.event_of(work.quoted[i]))
      events.emplace(work.item->quoted_ids[i], to_hex(as_text(*event)));
  }
  if (events.empty()) return false;
  record = model::with_quoted_events(work.item->record, events);
  return true;
}

std::string_view Sequencer::name(Group& group, std::int64_t kind, std::string_view text,
                                 std::int64_t& id) {
  id = names_.id(text);
  if (id == 0) {
    Name added{names_.next_id(), kind, std::string(text)};
    id = added.id;
    names_.add(added);
    group.names.push_back(std::move(added));
  }
  return *names_.text(id);
}

Status Sequencer::store(Group& group, Work& work, const Decision& decision) {
  auto& row = group.rows.emplace_back();
  auto& header = row.header;
  const auto& state = decision.state;
  header.position = state.position;
  header.type =
      name(group, 0, work.fact ? work.fact->fact.type : type_of(decision.outcome), row.type_id);
  header.source = name(group, 1, work.source, row.source_id);
  header.recorded = to_micros(decision.recorded);
  header.key = state.key;
  header.flags = state.flags;
  if (is_rare(header.type)) header.flags |= kRare;
  header.revision = state.revision;
  header.version = state.version;
  header.native = work.candidate.native;
  header.content = state.content;
  header.author = work.candidate.author;
  ids_.add_field(work.source).add_field(work.native_id).add_number(state.revision);
  header.id = ids_.add_field(header.type).finish_short();

  assert(work.item || work.fact);  // work_for() gives one of them
  const auto& conversation = work.item ? work.item->conversation : work.fact->fact.conversation;
  if (!conversation.empty()) {
    const std::string_view scope = work.item ? work.channel->identity.name : std::string_view{};
    header.partition = partitions_.add_field(scope).add_field(conversation).finish_short();
  }
  body_.clear();
  std::string_view evidence;
  if (work.item) {
    const auto& item = *work.item;
    evidence = item.raw;
    Placed placed{work.channel->identity.name, work.channel->identity.plugin};
    placed.revision = state.revision;
    placed.historic = item.backfill || (item.occurred && *item.occurred < work.channel->begin);
    placed.recorded = decision.recorded;
    if (placed.historic) header.flags |= kHistoric;
    const auto reference = format(model::Sequence{shared_.epochs.back().epoch, state.position});
    if (!evidence.empty()) placed.raw = reference;
    placed.record = name_quoted(work, record_) ? record_ : item.record;
    append_item_body(body_, item, placed);
    const bool readable = (header.flags & (kWithdrawn | kQuarantined)) == 0;
    if (readable && work.message && messages_.claim(*work.message, header.id)) {
      header.flags |= kFirstOfMessage;
      group.index.messages.emplace_back(*work.message, header.id);
    }
  } else {
    append_fact_body(body_, work.fact->fact, decision.recorded);
  }
  Key key;
  if (ring_.get(header.key, key) != KeyState::usable) {
    return permanent("key " + std::to_string(header.key) + " cannot be read back");
  }
  sealer_.seal(row, key, body_, evidence, chain_);
  chain_ = row.chain;
  group.index.natives.emplace_back(header.native, state);
  if (header.author && work.candidate.author_key != header.key)
    group.index.authors.emplace_back(*header.author, header.key);
  return {};
}

void Sequencer::count(const Work& work, Outcome outcome) {
  if (!work.item) return;
  auto& channel = counted_[work.channel->identity.name];
  ++channel.received;
  if (is_stored(outcome)) ++channel.stored;
  switch (outcome) {
    case Outcome::first:
      break;
    case Outcome::revised:
      ++channel.revisions;
      break;
    case Outcome::withdrawn:
      ++channel.withdrawn;
      break;
    case Outcome::quarantined:
      ++channel.quarantined;
      break;
    case Outcome::duplicate:
      ++channel.duplicates;
      break;
    case Outcome::late:
      ++channel.late;
      break;
    case Outcome::out_of_order:
      ++channel.out_of_order;
      break;
  }
}

void Sequencer::add_clock_step(const ClockStep& step, std::vector<PendingFact>& facts) {
  log::warn("the clock went back from {} to {}; recorded times stand still until it catches up",
            format_rfc3339(step.from), format_rfc3339(step.to));
  PendingFact pending;
  pending.fact.source = "journal";
  pending.fact.type = model::type::kClockStepped;
  pending.fact.schema = "clock.v1";
  pending.fact.data = R"({"from":")" + format_rfc3339(step.from) + R"(","to":")" +
                      format_rfc3339(step.to) + R"("})";
  // One step is told once, even by several starts.
  pending.fact.dedupe_key = format_rfc3339(step.from);
  facts.insert(facts.begin(), std::move(pending));
}

std::unique_ptr<Group> Sequencer::decide(Taken taken, std::uint64_t written) {
  auto group = std::make_unique<Group>();
  group->number = ++last_group_;
  const auto step = decider_.begin_group(group->number, written, shared_.clock.now());
  if (step) add_clock_step(*step, taken.facts);

  std::vector<Work> works;
  works.reserve(taken.facts.size() + taken.items.size());
  for (auto& fact : taken.facts) works.push_back(work_for(fact));
  for (const auto& entry : taken.items) works.push_back(work_for(*entry.channel, entry.item));
  const auto most_keys = static_cast<KeyId>(taken.items.size());
  if (!maker_.ensure(decider_.next_key() + most_keys + kSpareKeys)) {
    refuse(taken.facts, retry("the journal stops"));
    return nullptr;
  }
  if (const auto found = look_up(works, written); !found) {
    refuse(taken.facts, found.error());
    shared_.fail(found.error(), kIndexSuspect);
    return nullptr;
  }
  group->rows.reserve(works.size());
  for (auto& work : works) {
    const auto decision = decider_.decide(work.candidate);
    count(work, decision.outcome);
    if (is_stored(decision.outcome)) {
      if (const auto stored = store(*group, work, decision); !stored) {
        refuse(taken.facts, stored.error());
        shared_.fail(stored.error(), {});
        return nullptr;
      }
    }
    if (work.fact) {
      const auto position = decision.state.position;
      group->answers.push_back(
          {std::move(work.fact->done), {epoch_of(shared_.epochs, position), position}});
    }
  }
  for (const auto& mark : taken.marks) {
    auto& id = mark_ids_[mark.identity];
    if (id == 0) id = ++last_mark_id_;
    StoredMark stored{id, mark.identity, mark.opened, mark.begin, decider_.last_position(), {}};
    if (!mark.cursor.empty()) {
      stored.sealed_cursor = sealer_.seal_cursor(keys_.system(), mark.identity, mark.cursor);
    }
    group->marks.push_back(std::move(stored));
  }
  group->credits = std::move(taken.credits);
  group->index.marker = {decider_.last_position(), chain_, decider_.next_key()};
  shared_.counters.with([&](Counters& counters) {
    for (auto& [channel, counted] : counted_) {
      auto& total = counters.channels[channel];
      total.received += counted.received;
      total.stored += counted.stored;
      total.duplicates += counted.duplicates;
      total.revisions += counted.revisions;
      total.withdrawn += counted.withdrawn;
      total.quarantined += counted.quarantined;
      total.late += counted.late;
      total.out_of_order += counted.out_of_order;
      counters.totals.quarantined_total += counted.quarantined;
    }
  });
  counted_.clear();
  shared_.next_key.store(decider_.next_key(), std::memory_order_relaxed);
  return group;
}

}  // namespace voxbus::journal
