// SPDX-License-Identifier: Apache-2.0
#include "journal/checkpointer.hpp"

#include <sqlite3.h>

#include "base/log.hpp"
#include "journal/threads.hpp"

namespace voxbus::journal {

Checkpointer::Checkpointer(Connection connection, Witness& witness, Shared& shared,
                           std::uint64_t ceiling)
    : connection_(std::move(connection)), witness_(witness), shared_(shared), ceiling_(ceiling) {
  thread_ = start_thread("journal-checkpt", shared_, [this] { run(); });
}

bool Checkpointer::due(const State& state) const {
  // The WAL started again when it is shorter than it was.
  const auto before = state.wal_bytes < state.done_at ? 0 : state.done_at;
  return state.wal_bytes >= before + ceiling_ / 8;
}

void Checkpointer::committed(std::uint64_t wal_bytes) {
  const bool wake = state_.with([&](State& state) {
    state.wal_bytes = wal_bytes;
    return due(state);
  });
  if (wake) state_.notify_all();
}

bool Checkpointer::take_restart() {
  return state_.with([](State& state) { return std::exchange(state.restart, false); });
}

void Checkpointer::stop() {
  state_.with([](State& state) { state.stopping = true; });
  state_.notify_all();
  if (thread_.joinable()) thread_.join();
  // Closing moves the whole WAL into the file; not after a failure, when nobody knows what the
  // kernel still believes to be written.
  const bool failed =
      shared_.pipeline.with([](const PipelineState& state) { return state.failed; });
  if (failed) {
    sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
}

void Checkpointer::run() {
  for (;;) {
    const bool go_on = state_.when([&](const State& state) { return state.stopping || due(state); },
                                   [](State& state) {
                                     state.done_at = state.wal_bytes;
                                     return !state.stopping;
                                   });
    if (!go_on) return;
    int frames = 0, moved = 0;
    const int code = sqlite3_wal_checkpoint_v2(connection_.get(), nullptr,
                                               SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
    if (code != SQLITE_OK) {
      const auto error = connection_.error("checkpoint");
      switch (connection_.trouble(code)) {
        case Trouble::busy:
          break;
        case Trouble::full:
          log::warn("{}; tried again later", error.message);
          break;
        case Trouble::damaged:
          shared_.fail(error, kSuspect);
          return;
        case Trouble::broken:
          shared_.fail(error, {});
          return;
      }
      continue;
    }
    if (const auto synced = witness_.sync(); !synced) {
      shared_.fail(synced.error(), {});
      return;
    }
    state_.with([&](State& state) {
      if (state.wal_bytes > ceiling_) state.restart = true;
    });
  }
}

}  // namespace voxbus::journal
