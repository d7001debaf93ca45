// SPDX-License-Identifier: Apache-2.0
#include "bus/feed.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <thread>

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "bus/reader_pool.hpp"

namespace voxbus::bus {
namespace {

// Holds every event after `floor` up to `end`; positions that were lost are no holes in this sense.
struct Ring {
  std::deque<SharedEvent> events;
  model::Position floor = 0;
  model::Position end = 0;
  std::size_t bytes = 0;

  void push(SharedEvent event) {
    end = event->position();
    bytes += event->weight();
    events.push_back(std::move(event));
  }
  void shrink(std::size_t max_events, std::size_t max_bytes) {
    while (!events.empty() && (events.size() > max_events || bytes > max_bytes)) {
      floor = events.front()->position();
      bytes -= events.front()->weight();
      events.pop_front();
    }
  }
  void restart(model::Position at) {
    events.clear();
    bytes = 0;
    floor = end = at;
  }
};

// Takes events one by one and knows when the page is full.
class PageBuilder {
 public:
  PageBuilder(model::Position after, const Filter& filter, const PageLimits& limits)
      : filter_(filter), limits_(limits) {
    page_.next = after;
  }
  // False when the page is full; then `event` is not part of it.
  bool offer(const SharedEvent& event) {
    if (scanned_ >= limits_.scan_events || scanned_bytes_ >= limits_.scan_bytes) return false;
    if (filter_.matches(event->event(), [&]() -> const Facets& { return event->facets(); })) {
      const auto size = event->json().size();
      if (!page_.events.empty() &&
          (page_.events.size() >= limits_.events || bytes_ + size > limits_.bytes)) {
        return false;
      }
      bytes_ += size;
      page_.events.push_back(event);
    }
    ++scanned_;
    scanned_bytes_ += event->event().body.size();
    page_.next = event->position();
    return true;
  }
  [[nodiscard]] Page finish(bool at_end) {
    page_.at_end = at_end;
    return std::move(page_);
  }

 private:
  const Filter& filter_;
  const PageLimits& limits_;
  Page page_;
  std::size_t bytes_ = 0, scanned_ = 0, scanned_bytes_ = 0;
};

}  // namespace

struct Feed::Parts {
  // What the following thread waits for.
  struct News {
    model::Position committed = 0;
    bool stopping = false;
  };
  struct Subscribers {
    std::map<std::uint64_t, std::function<void()>> signals;
    std::uint64_t next_key = 1;
  };

  Parts(journal::Journal& the_journal, Options the_options)
      : journal(the_journal),
        options(the_options),
        readers(the_journal, the_options.readers),
        tail_reader(the_journal.reader()) {}

  journal::Journal& journal;
  const Options options;
  ReaderPool readers;
  std::unique_ptr<journal::Reader> tail_reader;  // of the following thread
  Guarded<News> news;
  Guarded<Ring> ring;
  Guarded<Subscribers> subscribers;
  std::thread follower;

  void follow();
  model::Position catch_up(model::Position tail, model::Position committed);
};

void Feed::Parts::follow() {
  model::Position tail = ring.with([](const Ring& r) { return r.end; });
  for (;;) {
    const auto seen = news.when([&](const News& n) { return n.stopping || n.committed > tail; },
                                [](const News& n) { return n; });
    if (seen.stopping) return;
    tail = catch_up(tail, seen.committed);
    subscribers.with([](const Subscribers& all) {
      for (const auto& [key, signal] : all.signals) signal();
    });
  }
}

// Brings the ring from `tail` up to `committed`, and gives the new tail.
model::Position Feed::Parts::catch_up(model::Position tail, model::Position committed) {
  const bool wanted = subscribers.with([](const Subscribers& all) { return !all.signals.empty(); });
  while (wanted && tail < committed) {
    auto events = tail_reader->read(tail, 1024, 4u << 20);
    if (!events) {
      // The journal has said it too. Readers go to the disk and get the error themselves.
      log::error("the bus cannot follow the journal: {}", events.error().message);
      break;
    }
    if (events->empty()) break;  // only lost positions are left
    ring.with([&](Ring& r) {
      for (auto& event : *events) r.push(std::make_shared<const Rendered>(std::move(event)));
      r.shrink(options.ring_events, options.ring_bytes);
      tail = r.end;
    });
  }
  if (tail < committed) {
    ring.with([&](Ring& r) { r.restart(committed); });
    tail = committed;
  }
  return tail;
}

Feed::Feed(journal::Journal& journal) : Feed(journal, Options{}) {}

Feed::Feed(journal::Journal& journal, Options options)
    : parts_(std::make_unique<Parts>(journal, options)) {
  auto& parts = *parts_;
  const auto position = journal.end().position;
  parts.ring.with([&](Ring& ring) { ring.restart(position); });
  journal.on_append([&parts](model::Sequence end) {
    parts.news.with([&](auto& news) { news.committed = std::max(news.committed, end.position); });
    parts.news.notify_all();
  });
  // What was committed before the listener stood.
  const auto now = journal.end().position;
  parts.news.with([&](auto& news) { news.committed = std::max(news.committed, now); });
  parts.follower = std::thread([&parts] { parts.follow(); });
}

Feed::~Feed() {
  parts_->journal.on_append({});
  parts_->news.with([](auto& news) { news.stopping = true; });
  parts_->news.notify_all();
  parts_->follower.join();
}

model::Sequence Feed::end() const { return parts_->journal.end(); }
model::Sequence Feed::oldest() const { return at(parts_->journal.oldest()); }

model::Sequence Feed::at(model::Position position) const {
  const auto& epochs = parts_->journal.epochs();
  model::Sequence sequence{epochs.empty() ? 1 : epochs.front().epoch, position};
  for (const auto& epoch : epochs) {
    if (epoch.first <= position) sequence.epoch = epoch.epoch;
  }
  return sequence;
}

bool Feed::was_lost(model::Sequence sequence) const {
  const auto& epochs = parts_->journal.epochs();
  if (epochs.empty() || sequence.epoch >= epochs.back().epoch) return false;
  const auto next = std::find_if(epochs.begin(), epochs.end(),
                                 [&](const auto& epoch) { return epoch.epoch > sequence.epoch; });
  if (next == epochs.begin()) return false;
  // A skipped epoch began nobody knows where; a known one at its first position, and what it has
  // before the next one's is held.
  const auto& named = *std::prev(next);
  return named.epoch != sequence.epoch || sequence.position >= next->first;
}

Start Feed::resolve(model::Sequence sequence) const {
  const auto& epochs = parts_->journal.epochs();
  const auto end = parts_->journal.end();
  const auto refused = [&](std::string_view why) {
    return Start{Start::Outcome::invalid, 0,
                 model::format(sequence) + std::string(why) + ": begin anew with now or beginning"};
  };
  // Epochs that the journal skipped were of a line that a restore undid, as a lost tail is.
  const auto next = std::find_if(epochs.begin(), epochs.end(),
                                 [&](const auto& epoch) { return epoch.epoch > sequence.epoch; });
  if (next == epochs.begin() || sequence.epoch > end.epoch)
    return refused(" is of another journal");
  const auto named = std::prev(next);
  Start start;
  start.after = sequence.position;
  if (next == epochs.end()) {
    // What is not there yet was never given: to take it for the end would pass over everything that
    // comes until then. The place before an epoch's first event is its beginning.
    if (sequence.position > end.position)
      return refused(" lies beyond this journal's end, so it is of another journal or a lost tail");
  } else if (sequence.epoch != named->epoch || sequence.position >= next->first) {
    // Beyond where its epoch was cut off: those events were lost, their successors were not read.
    start.after = next->first - 1;
  }
  if (sequence.epoch == named->epoch && sequence.position < named->first - 1)
    return refused(" is of another journal");
  if (start.after + 1 < parts_->journal.oldest()) start.outcome = Start::Outcome::gone;
  return start;
}

Start Feed::resolve(std::string_view from) {
  if (from == "now") return {Start::Outcome::found, end().position, {}};
  if (from == "beginning") return {Start::Outcome::found, parts_->journal.oldest() - 1, {}};
  if (const auto sequence = model::parse_sequence(from)) return resolve(*sequence);
  // A plus that a query string turned into a space.
  std::string text(from);
  if (const auto space = text.rfind(' '); space != text.npos && space > 10) text[space] = '+';
  const auto time = parse_rfc3339(text);
  if (!time) {
    return {
        Start::Outcome::invalid, 0,
        "expected now, beginning, a sequence such as 0001.000000000000000042, or an RFC 3339 time"};
  }
  const auto first =
      parts_->readers.borrow([&](journal::Reader& reader) { return reader.first_since(*time); });
  if (!first) return {Start::Outcome::failed, 0, first.error().message};
  return {Start::Outcome::found, std::max(*first, parts_->journal.oldest()) - 1, {}};
}

std::optional<Page> Feed::recent(model::Position after, const Filter& filter,
                                 const PageLimits& limits) const {
  std::vector<SharedEvent> events;
  bool more = false;
  const bool reaches = parts_->ring.with([&](const Ring& ring) {
    if (after < ring.floor) return false;
    auto from =
        std::upper_bound(ring.events.begin(), ring.events.end(), after,
                         [](model::Position p, const SharedEvent& e) { return p < e->position(); });
    const auto left = static_cast<std::size_t>(ring.events.end() - from);
    const auto count = std::min(left, filter.everything() ? limits.events : limits.scan_events);
    more = count < left;
    events.assign(from, from + static_cast<std::ptrdiff_t>(count));
    return true;
  });
  if (!reaches) return std::nullopt;
  // Filtering and rendering happen outside the lock.
  PageBuilder builder(after, filter, limits);
  for (const auto& event : events) {
    if (!builder.offer(event)) return builder.finish(false);
  }
  return builder.finish(!more);
}

Result<Page> Feed::page(model::Position after, const Filter& filter, const PageLimits& limits) {
  if (auto page = recent(after, filter, limits)) {
    // The ring's end may be behind the journal's.
    if (page->next >= end().position) return std::move(*page);
    page->at_end = false;
    if (page->next > after) return std::move(*page);
  }
  // Who was overtaken by retention goes on with what is held.
  after = std::max(after, parts_->journal.oldest() - 1);
  const auto count =
      filter.everything() ? std::min(limits.events, limits.scan_events) : limits.scan_events;
  // Bodies are most of the JSON; without a filter nothing beyond the page is worth reading.
  const auto bytes =
      filter.everything() ? std::min(limits.bytes, limits.scan_bytes) : limits.scan_bytes;
  auto events = parts_->readers.borrow(
      [&](journal::Reader& reader) { return reader.read(after, count, bytes); });
  if (!events) return events.error();
  PageBuilder builder(after, filter, limits);
  std::size_t read_bytes = 0;
  const auto read = events->size();
  for (auto& event : *events) {
    read_bytes += event.body.size();
    if (!builder.offer(std::make_shared<const Rendered>(std::move(event))))
      return builder.finish(false);
  }
  return builder.finish(read < count && read_bytes < bytes);
}

Result<SharedEvent> Feed::event(model::Position position) {
  auto event = parts_->readers.borrow([&](journal::Reader& reader) { return reader.at(position); });
  if (!event) return event.error();
  return std::make_shared<const Rendered>(std::move(*event));
}

Result<std::string> Feed::evidence(model::Position position) {
  return parts_->readers.borrow([&](journal::Reader& reader) { return reader.evidence(position); });
}

Result<std::vector<Quarantined>> Feed::quarantined(model::Position after, std::size_t max) {
  using Found = std::vector<Quarantined>;
  return parts_->readers.borrow([&](journal::Reader& reader) -> Result<Found> {
    VOXBUS_TRY(events, reader.of_type(model::type::kQuarantined, after, max));
    Found found;
    for (auto& event : events) {
      VOXBUS_TRY(standing, reader.is_latest(event.sequence.position));
      found.push_back({std::make_shared<const Rendered>(std::move(event)), standing});
    }
    return found;
  });
}

Feed::Subscription Feed::subscribe(std::function<void()> signal) {
  Subscription subscription;
  subscription.feed_ = this;
  subscription.key_ = parts_->subscribers.with([&](auto& all) {
    all.signals.emplace(all.next_key, std::move(signal));
    return all.next_key++;
  });
  return subscription;
}

Feed::Subscription::Subscription(Subscription&& other) noexcept
    : feed_(std::exchange(other.feed_, nullptr)), key_(other.key_) {}
Feed::Subscription& Feed::Subscription::operator=(Subscription&& other) noexcept {
  if (this != &other) {
    reset();
    feed_ = std::exchange(other.feed_, nullptr);
    key_ = other.key_;
  }
  return *this;
}
void Feed::Subscription::reset() {
  if (auto* feed = std::exchange(feed_, nullptr)) {
    feed->parts_->subscribers.with([&](auto& all) { all.signals.erase(key_); });
  }
}

}  // namespace voxbus::bus
