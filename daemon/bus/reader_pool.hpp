// SPDX-License-Identifier: Apache-2.0
// A few journal readers that many threads share: each is lent to one at a time, a further borrower
// waits until one comes back. Owned by the feed; any thread.
#pragma once

#include <memory>
#include <vector>

#include "base/guarded.hpp"
#include "journal/journal.hpp"

namespace voxbus::bus {

class ReaderPool {
 public:
  ReaderPool(const journal::Journal& journal, std::size_t count) {
    free_.with([&](auto& free) {
      for (std::size_t i = 0; i < count; ++i) free.push_back(journal.reader());
    });
  }

  // Runs `work(reader)` with one of the readers and returns what it returns.
  template<class Work>
  auto borrow(Work&& work) {
    Loan loan{*this, take()};
    return std::forward<Work>(work)(*loan.reader);
  }

 private:
  using Readers = std::vector<std::unique_ptr<journal::Reader>>;

  // Gives the reader back also when the work throws.
  struct Loan {
    ReaderPool& pool;
    std::unique_ptr<journal::Reader> reader;
    ~Loan() { pool.put(std::move(reader)); }
  };

  std::unique_ptr<journal::Reader> take() {
    return free_.when([](const Readers& free) { return !free.empty(); },
                      [](Readers& free) {
                        auto reader = std::move(free.back());
                        free.pop_back();
                        return reader;
                      });
  }
  void put(std::unique_ptr<journal::Reader> reader) {
    free_.with([&](Readers& free) { free.push_back(std::move(reader)); });
    free_.notify_all();
  }

  Guarded<Readers> free_;
};

}  // namespace voxbus::bus
