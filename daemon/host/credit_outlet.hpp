// SPDX-License-Identifier: Apache-2.0
// The outlet that both kinds of channels use: gathers items into batches, and keeps no more bytes
// under way than the daemon gave credit for. Like Nagle's algorithm, a commit leaves at once while
// nothing is under way, and otherwise waits for the next answer or a full batch: batches grow with
// the load and a lone interaction never waits. emit() and commit() come from one lane at a time,
// committed() and stop() from any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string_view>

#include "base/guarded.hpp"
#include "host/channel_run.hpp"
#include "model/item.hpp"

namespace voxbus::host {

class CreditOutlet : public Outlet {
 public:
  // At most `credit` bytes (Item::weight) under way, but always one batch.
  explicit CreditOutlet(std::uint64_t credit) : credit_(credit) {}

  [[nodiscard]] bool wait_for_credit() override;
  [[nodiscard]] bool emit(model::Item item) override;
  [[nodiscard]] bool commit(std::string_view cursor) override;
  void polled(const Outcome& outcome) override;
  void reread(const Outcome& outcome) override;
  void stop() override;

  // So many of the oldest batches became durable.
  void committed(std::uint64_t batches);

 protected:
  // Sends one batch on its way, in order; called under this object's lock, must not block for long.
  virtual void deliver(model::Batch batch) = 0;
  virtual void report(const Outcome& outcome) = 0;
  virtual void report_reread(const Outcome& outcome) = 0;

 private:
  struct Gathered {
    model::Batch batch;
    std::size_t weight = 0;
    std::deque<std::size_t> under_way;  // weights of delivered batches, oldest first
    std::uint64_t under_way_weight = 0;
    bool stopped = false;
  };
  // The batch must leave before another item fits into it.
  [[nodiscard]] static bool is_full(const Gathered& gathered);
  [[nodiscard]] bool has_room(const Gathered& gathered) const;
  [[nodiscard]] bool has_credit(const Gathered& gathered) const {
    return gathered.under_way.empty() || gathered.under_way_weight < credit_;
  }
  // Never throws: a batch that is lost between here and the journal must not be followed by
  // another, and a process that ends is fetched for again.
  void flush(Gathered& gathered) noexcept;

  const std::uint64_t credit_;
  Guarded<Gathered> gathered_;
};

}  // namespace voxbus::host
