// SPDX-License-Identifier: Apache-2.0
// Committed events for everybody who reads along. One thread follows the journal's end and keeps
// the newest events in a bounded ring; who is near the end reads from there, who is behind reads
// pages from the disk through a few shared readers. A slow consumer costs disk reads, never memory.
// Owned by the daemon, gone before the journal. Every function may be called from any thread; those
// that may read from the disk say so.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "bus/filter.hpp"
#include "bus/rendered.hpp"
#include "journal/journal.hpp"

namespace voxbus::bus {

// Bounds of one page; `scan_*` also count what the filter passes over.
struct PageLimits {
  std::size_t events = 256;
  std::size_t bytes = 64 << 10;  // of JSON; one event is given even if it is larger
  std::size_t scan_events = 4096;
  std::size_t scan_bytes = 4 << 20;
};

struct Page {
  std::vector<SharedEvent> events;  // ascending
  model::Position next = 0;         // all up to here was looked at: ask for what is after it
  bool at_end = false;              // there was nothing further at that moment
};

// Something that a channel brought and could not be read.
struct Quarantined {
  SharedEvent event;
  bool standing = true;  // nothing newer of it came since
};

// Where a reader begins: after this position. Or why it cannot.
struct Start {
  enum class Outcome {
    found,
    gone,     // below retention: the events up to oldest() are no longer held
    invalid,  // not a place in this journal; `problem` says why
    failed,   // the disk failed; `problem` says how
  };
  Outcome outcome = Outcome::found;
  model::Position after = 0;
  std::string problem;
};

class Feed {
 public:
  struct Options {
    std::size_t ring_events = 16'384;
    std::size_t ring_bytes = 48u << 20;
    std::size_t readers = 3;  // of the disk at one time; a further one waits
  };
  Feed(journal::Journal& journal, Options options);
  explicit Feed(journal::Journal& journal);
  ~Feed();
  Feed(const Feed&) = delete;
  Feed& operator=(const Feed&) = delete;

  // --- places ---
  [[nodiscard]] model::Sequence end() const;  // newest committed
  [[nodiscard]] model::Sequence oldest() const;
  // The sequence of a position: its epoch is the one that was open when it was written.
  [[nodiscard]] model::Sequence at(model::Position position) const;
  // Whether a sequence may be of a line that a lost tail or a restore has ended: of an older epoch,
  // and not what stands at its position.
  [[nodiscard]] bool was_lost(model::Sequence sequence) const;
  // "now", "beginning", a sequence (what comes after it), an RFC 3339 time (from the first event
  // recorded then or later; reads from the disk). A sequence of a former epoch's lost tail, or of
  // an epoch that the journal skipped, stands for the beginning of the epoch that replaced it. One
  // of an unknown epoch or beyond the end is invalid: it is of another journal.
  [[nodiscard]] Start resolve(std::string_view from);
  [[nodiscard]] Start resolve(model::Sequence sequence) const;

  // --- events ---
  // What matches after `after`, up to the journal's end at this moment. From the ring if that has
  // it, else from the disk. Below retention: from the oldest on.
  [[nodiscard]] Result<Page> page(model::Position after, const Filter& filter,
                                  const PageLimits& limits);
  // The same without the disk, up to the ring's end, which may be a signal behind the journal's:
  // for subscribers. Nothing when the ring does not reach back to `after`.
  [[nodiscard]] std::optional<Page> recent(model::Position after, const Filter& filter,
                                           const PageLimits& limits) const;
  // One event; Error::permanent when there is none. Reads from the disk.
  [[nodiscard]] Result<SharedEvent> event(model::Position position);
  // The raw bytes kept beside an event. Reads from the disk.
  [[nodiscard]] Result<std::string> evidence(model::Position position);
  // What was quarantined after that position, ascending. Reads from the disk.
  [[nodiscard]] Result<std::vector<Quarantined>> quarantined(model::Position after,
                                                             std::size_t max);

  // --- news ---
  // `signal` is called after new events can be read, once for many; on the feed's thread, so it
  // must only signal. While nobody subscribes the ring stays empty and nothing is read ahead.
  class Subscription {
   public:
    Subscription() = default;
    ~Subscription() { reset(); }
    Subscription(Subscription&& other) noexcept;
    Subscription& operator=(Subscription&& other) noexcept;
    // After it returns `signal` is not called any more.
    void reset();

   private:
    friend class Feed;
    Feed* feed_ = nullptr;
    std::uint64_t key_ = 0;
  };
  [[nodiscard]] Subscription subscribe(std::function<void()> signal);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace voxbus::bus
