// SPDX-License-Identifier: Apache-2.0
// Moves committed pages from the WAL into the file, on a thread and a connection of its own, so
// that commits do not wait for it. Passive checkpoints do nearly all; they cannot make the WAL
// start again while the writer never rests, so above the ceiling the writer is asked to do that one
// short step itself, between two transactions. Owned by the journal.
#pragma once

#include <thread>

#include "base/guarded.hpp"
#include "journal/pipeline.hpp"
#include "journal/sqlite.hpp"
#include "journal/witness.hpp"

namespace voxbus::journal {

class Checkpointer {
 public:
  Checkpointer(Connection connection, Witness& witness, Shared& shared, std::uint64_t ceiling);
  ~Checkpointer() { stop(); }
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  // From the writer, after each commit: how long the WAL is now.
  void committed(std::uint64_t wal_bytes);
  // From the writer, before each transaction: true once whenever the WAL should start again.
  [[nodiscard]] bool take_restart();
  void stop();

 private:
  struct State {
    std::uint64_t wal_bytes = 0;
    std::uint64_t done_at = 0;  // the length at the last checkpoint
    bool restart = false;
    bool stopping = false;
  };
  void run();
  [[nodiscard]] bool due(const State& state) const;

  Connection connection_;
  Witness& witness_;
  Shared& shared_;
  std::uint64_t ceiling_;
  Guarded<State> state_;
  std::jthread thread_;
};

}  // namespace voxbus::journal
