// SPDX-License-Identifier: Apache-2.0
#include "host/credit_outlet.hpp"

namespace voxbus::host {
namespace {

constexpr std::size_t kFullItems = 1024, kFullWeight = 512 << 10;
constexpr std::size_t kBatchWeight = 128;  // an empty batch is not free either

}  // namespace

void CreditOutlet::flush(Gathered& gathered) noexcept {
  if (gathered.batch.items.empty() && !gathered.batch.cursor) return;
  gathered.weight += kBatchWeight + (gathered.batch.cursor ? gathered.batch.cursor->size() : 0);
  gathered.under_way.push_back(gathered.weight);
  gathered.under_way_weight += gathered.weight;
  gathered.weight = 0;
  deliver(std::exchange(gathered.batch, {}));
}

bool CreditOutlet::is_full(const Gathered& gathered) {
  return gathered.batch.items.size() >= kFullItems || gathered.weight >= kFullWeight;
}

bool CreditOutlet::has_room(const Gathered& gathered) const {
  return gathered.stopped || !is_full(gathered) || has_credit(gathered);
}

bool CreditOutlet::wait_for_credit() {
  return gathered_.when([this](const Gathered& gathered) { return has_room(gathered); },
                        [](const Gathered& gathered) { return !gathered.stopped; });
}

bool CreditOutlet::emit(model::Item item) {
  return gathered_.when([this](const Gathered& gathered) { return has_room(gathered); },
                        [&](Gathered& gathered) {
                          if (gathered.stopped) return false;
                          if (is_full(gathered)) flush(gathered);
                          gathered.weight += item.weight();
                          gathered.batch.items.push_back(std::move(item));
                          return true;
                        });
}

bool CreditOutlet::commit(std::string_view cursor) {
  return gathered_.with([&](Gathered& gathered) {
    if (gathered.stopped) return false;
    gathered.batch.cursor = std::string(cursor);
    if (gathered.under_way.empty()) flush(gathered);
    return true;
  });
}

void CreditOutlet::polled(const Outcome& outcome) {
  gathered_.with([&](Gathered& gathered) {
    if (!gathered.stopped && has_credit(gathered)) flush(gathered);
  });
  report(outcome);
}

// Without credit as well: its one item may be more under way than was agreed, as one batch always
// may, and whoever asked is told only when it is.
void CreditOutlet::reread(const Outcome& outcome) {
  gathered_.with([&](Gathered& gathered) {
    if (!gathered.stopped) flush(gathered);
  });
  report_reread(outcome);
}

void CreditOutlet::committed(std::uint64_t batches) {
  gathered_.with([&](Gathered& gathered) {
    for (; batches > 0 && !gathered.under_way.empty(); --batches) {
      gathered.under_way_weight -= gathered.under_way.front();
      gathered.under_way.pop_front();
    }
    if (!gathered.stopped && has_credit(gathered)) flush(gathered);
  });
  gathered_.notify_all();
}

void CreditOutlet::stop() {
  gathered_.with([](Gathered& gathered) { gathered.stopped = true; });
  gathered_.notify_all();
}

}  // namespace voxbus::host
