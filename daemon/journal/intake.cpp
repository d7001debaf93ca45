// SPDX-License-Identifier: Apache-2.0
#include "journal/intake.hpp"

#include <algorithm>

namespace voxbus::journal {
namespace {

// A batch's own cost in the queue, so that batches of nothing but a cursor are bounded too.
constexpr std::size_t kBatchWeight = 128;

TimePoint begin_at(Begin begin, TimePoint now) {
  switch (begin.kind) {
    case Begin::Kind::now:
      return now;
    case Begin::Kind::all:
      return kEarliest;  // nothing is before it
    case Begin::Kind::date:
      return begin.date;
  }
  return now;
}

}  // namespace

void Intake::know(ChannelMark mark) { known_[mark.identity] = std::move(mark); }

Opening Intake::open(const model::ChannelIdentity& identity, Begin begin, TimePoint now) {
  auto& channel = channels_[identity.name];
  drop_queue(channel);
  Opening out;
  auto known = known_.find(identity);
  if (known == known_.end()) {
    out.new_origin = true;
    known = known_.emplace(identity, ChannelMark{identity, now, begin_at(begin, now), {}}).first;
    new_marks_.push_back(identity);
  }
  auto run = std::make_shared<ChannelRun>();
  run->identity = identity;
  run->source = "urn:voxbus:" + installation_ + "/channels/" + identity.name;
  run->lease = ++last_lease_;
  run->begin = known->second.begin;
  channel.run = run;
  out.lease = run->lease;
  out.cursor = known->second.cursor;
  out.begin = run->begin;
  return out;
}

Submit Intake::submit(const std::string& name, std::uint64_t lease, model::Batch batch) {
  const auto found = channels_.find(name);
  if (found == channels_.end() || !found->second.run || found->second.run->lease != lease) {
    return Submit::stale_lease;
  }
  auto& channel = found->second;
  QueuedBatch queued;
  for (const auto& item : batch.items) queued.bytes += item.weight();
  queued.charged = queued.bytes + kBatchWeight + (batch.cursor ? batch.cursor->size() : 0);
  if (channel.bytes + queued.charged > queue_bytes_) return Submit::over_limit;
  queued.items = std::move(batch.items);
  queued.cursor = std::move(batch.cursor);
  channel.bytes += queued.charged;
  queued_bytes_ += queued.charged;
  queued_items_ += std::max<std::size_t>(queued.items.size(), 1);
  channel.queue.push_back(std::move(queued));
  if (!channel.active) {
    channel.active = true;
    active_.push_back(&channel);
  }
  return Submit::taken;
}

void Intake::close(const std::string& name, std::uint64_t lease) {
  const auto found = channels_.find(name);
  if (found == channels_.end() || !found->second.run || found->second.run->lease != lease) return;
  drop_queue(found->second);
  found->second.run.reset();
}

void Intake::drop_queue(Channel& channel) {
  for (const auto& batch : channel.queue) {
    queued_bytes_ -= batch.charged;
    queued_items_ -= std::max<std::size_t>(batch.items.size() - batch.next, 1);
  }
  channel.queue.clear();
  channel.bytes = channel.deficit = 0;
  if (channel.active) std::erase(active_, &channel);
  channel.active = channel.in_turn = false;
}

void Intake::finish_batch(Channel& channel, Taken& out) {
  auto& batch = channel.queue.front();
  if (batch.items.empty()) --queued_items_;
  const auto credit =
      std::find_if(out.credits.begin(), out.credits.end(),
                   [&](const Credit& given) { return given.channel == channel.run; });
  auto& given = credit != out.credits.end() ? *credit : out.credits.emplace_back();
  given.channel = channel.run;
  ++given.batches;
  given.items += batch.items.size();
  given.bytes += batch.bytes;
  if (batch.cursor) {
    auto& mark = known_[channel.run->identity];
    // A poll that found nothing says where it stands again; that is not worth a sync.
    if (mark.cursor != *batch.cursor) {
      mark.cursor = std::move(*batch.cursor);
      std::erase_if(out.marks, [&](const auto& other) { return other.identity == mark.identity; });
      out.marks.push_back(mark);
    }
  }
  channel.bytes -= batch.charged;
  queued_bytes_ -= batch.charged;
  channel.queue.pop_front();
}

bool Intake::take_turn(Channel& channel, Taken& out, std::size_t items, std::size_t bytes,
                       std::size_t& weight) {
  while (!channel.queue.empty()) {
    auto& batch = channel.queue.front();
    if (batch.next == batch.items.size()) {  // nothing but a cursor
      finish_batch(channel, out);
      continue;
    }
    auto& item = batch.items[batch.next];
    const auto size = item.weight();
    if (size > channel.deficit) return true;
    if (out.items.size() >= items || (!out.items.empty() && weight + size > bytes)) return false;
    channel.deficit -= size;
    weight += size;
    out.items.push_back({channel.run, std::move(item)});
    --queued_items_;
    if (++batch.next == batch.items.size()) finish_batch(channel, out);
  }
  return true;
}

Taken Intake::take(std::size_t items, std::size_t bytes, bool facts_only) {
  Taken out;
  while (!facts_.empty() && out.facts.size() < kMostFacts) {
    out.facts.push_back(std::move(facts_.front()));
    facts_.pop_front();
  }
  if (facts_only) return out;
  for (const auto& identity : new_marks_) out.marks.push_back(known_[identity]);
  new_marks_.clear();
  std::size_t weight = 0;
  while (!active_.empty()) {
    auto* channel = active_.front();
    if (!channel->in_turn) {
      channel->deficit += kQuantum;
      channel->in_turn = true;
    }
    // Full: the channel keeps its turn for the next group.
    if (!take_turn(*channel, out, items, bytes, weight)) break;
    channel->in_turn = false;
    active_.pop_front();
    if (channel->queue.empty()) {
      channel->active = false;
      channel->deficit = 0;
    } else {
      active_.push_back(channel);
    }
  }
  return out;
}

std::size_t Intake::queued_bytes(const std::string& name) const {
  const auto found = channels_.find(name);
  return found == channels_.end() ? 0 : found->second.bytes;
}

std::deque<PendingFact> Intake::abandon() { return std::exchange(facts_, {}); }

}  // namespace voxbus::journal
