// SPDX-License-Identifier: Apache-2.0
#include "journal/writer.hpp"

#include <sqlite3.h>

#include "base/log.hpp"

namespace voxbus::journal {
namespace {

// How long the writer lets readers finish before the WAL starts again; they need less than that.
constexpr int kReadersNeed = 100;
constexpr int kOthersNeed = 2000;  // milliseconds

int remember_length(void* out, sqlite3*, const char*, int pages) {
  // A frame is a page and its 24 bytes.
  *static_cast<std::uint64_t*>(out) = static_cast<std::uint64_t>(pages) * (kPageSize + 24);
  return SQLITE_OK;
}

}  // namespace

Result<std::unique_ptr<Writer>> Writer::open(Connection connection, Index& index, Witness& witness,
                                             Checkpointer& checkpointer, Reserve& reserve,
                                             SharedSinks& sinks, Shared& shared,
                                             std::chrono::milliseconds retry) {
  std::unique_ptr<Writer> writer(new Writer(std::move(connection), index, witness, checkpointer,
                                            reserve, sinks, shared, retry));
  auto& db = writer->connection_;
  VOXBUS_CHECK(
      db.run("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; "
             "PRAGMA cache_size=-16384; PRAGMA temp_store=MEMORY;"));
  // The checkpointer is the last to close and decides whether to tidy up.
  sqlite3_db_config(db.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_hook(db.get(), remember_length, &writer->wal_bytes_);
  const auto prepare = [&](Statement& out, const char* sql) -> Status {
    VOXBUS_TRY(statement, Statement::prepare(db, sql));
    out = std::move(statement);
    return {};
  };
  VOXBUS_CHECK(prepare(writer->begin_, "BEGIN IMMEDIATE"));
  VOXBUS_CHECK(prepare(writer->commit_, "COMMIT"));
  VOXBUS_CHECK(prepare(writer->rollback_, "ROLLBACK"));
  VOXBUS_CHECK(prepare(writer->evidence_, "INSERT INTO evidence VALUES(?1, ?2, ?3)"));
  VOXBUS_CHECK(prepare(writer->name_, "INSERT INTO names VALUES(?1, ?2, ?3)"));
  VOXBUS_CHECK(prepare(writer->name_copy_, "INSERT INTO names_copy VALUES(?1, ?2, ?3)"));
  VOXBUS_CHECK(prepare(writer->mark_,
                       "INSERT OR REPLACE INTO channels VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  VOXBUS_TRY(row, prepare_insert(db));
  writer->row_ = std::move(row);
  return writer;
}

void Writer::run() {
  while (auto group = next()) {
    shared_.writing.beat();
    const bool went_well = group->writes_nothing() || (commit(*group) && add_to_index(*group));
    const bool told = went_well && tell(*group);
    shared_.pipeline.with([&](PipelineState& state) {
      state.writer_busy = false;
      if (told) state.written = group->number;
      if (!told) state.writer_gone = true;
    });
    shared_.writing.rest();
    shared_.pipeline.notify_all();
    if (!told) return;
  }
}

std::unique_ptr<Group> Writer::next() {
  for (;;) {
    bool waiting = false, over = false;
    std::unique_ptr<Group> group;
    const auto ready = [](const PipelineState& state) {
      return state.slot || state.sequencer_done || state.failed;
    };
    const auto take = [&](PipelineState& state) {
      waiting = state.waiting_for_space;
      over = state.failed || (!state.slot && state.sequencer_done);
      if (over || !state.slot) return;
      group = std::move(state.slot);
      state.writer_busy = true;
    };
    const bool was_waiting =
        shared_.pipeline.with([](const PipelineState& state) { return state.waiting_for_space; });
    if (was_waiting) {
      shared_.pipeline.when_for(retry_, ready, [&](PipelineState& state, bool) { take(state); });
    } else {
      shared_.pipeline.when(ready, take);
    }
    shared_.pipeline.notify_all();
    if (over || group) return group;
    if (waiting) look_for_space();
  }
}

int Writer::transact(const Group& group) {
  int code = begin_.execute();
  if (code != SQLITE_OK) return code;
  for (const auto& added : group.names) {
    for (auto* statement : {&name_, &name_copy_}) {
      statement->bind(1, added.id).bind(2, added.kind).bind_text(3, added.text);
      if ((code = statement->execute()) != SQLITE_OK) return code;
    }
  }
  for (const auto& row : group.rows) {
    if ((code = insert_row(row_, row)) != SQLITE_OK) return code;
    if (!row.evidence) continue;
    evidence_.bind(1, static_cast<std::int64_t>(row.header.position)).bind(2, row.evidence_codec);
    if ((code = evidence_.bind_blob(3, *row.evidence).execute()) != SQLITE_OK) return code;
  }
  for (const auto& mark : group.marks) {
    mark_.bind(1, mark.id).bind_text(2, mark.identity.name).bind_text(3, mark.identity.plugin);
    mark_.bind_text(4, mark.identity.origin).bind(5, to_micros(mark.opened));
    mark_.bind(6, to_micros(mark.begin)).bind(7, static_cast<std::int64_t>(mark.position));
    mark.sealed_cursor.empty() ? mark_.bind_null(8) : mark_.bind_blob(8, mark.sealed_cursor);
    if ((code = mark_.execute()) != SQLITE_OK) return code;
  }
  return commit_.execute();
}

bool Writer::commit(const Group& group) {
  if (checkpointer_.take_restart() && !restart_wal()) return false;
  for (;;) {
    const auto started = shared_.clock.steady();
    const int code = transact(group);
    if (code == SQLITE_OK) {
      const auto took = std::chrono::duration_cast<microseconds>(shared_.clock.steady() - started);
      shared_.counters.with([&](Counters& counters) {
        auto& totals = counters.totals;
        ++totals.groups;
        totals.rows += group.rows.size();
        totals.last_commit = took;
        totals.longest_commit = std::max(totals.longest_commit, took);
        totals.wal_bytes = wal_bytes_;
        totals.waiting_for_lock = false;
      });
      checkpointer_.committed(wal_bytes_);
      return true;
    }
    if (after_failure(code) != Wrote::again) return false;
  }
}

Writer::Wrote Writer::after_failure(int code) {
  const auto trouble = connection_.trouble(code);
  const auto error = connection_.error("write");
  if (sqlite3_get_autocommit(connection_.get()) == 0) static_cast<void>(rollback_.execute());
  switch (trouble) {
    case Trouble::busy:
      log::warn("{}; trying again", error.message);
      shared_.counters.with([](Counters& counters) { counters.totals.waiting_for_lock = true; });
      shared_.writing.beat();  // it turns, and waits for somebody else
      return stops() ? Wrote::stopped : Wrote::again;
    case Trouble::full:
      return wait_for_space(error) ? Wrote::again : Wrote::stopped;
    case Trouble::damaged:
      shared_.fail(error, kSuspect);
      return Wrote::failed;
    case Trouble::broken:
      shared_.fail(error, {});
      return Wrote::failed;
  }
  return Wrote::failed;
}

bool Writer::stops() {
  return shared_.pipeline.with(
      [](const PipelineState& state) { return state.stopping || state.failed; });
}

bool Writer::wait_for_space(const Error& error) {
  const bool first = shared_.pipeline.with(
      [](PipelineState& state) { return !std::exchange(state.waiting_for_space, true); });
  if (first) log::error("{}; channels wait until there is space", error.message);
  shared_.writing.beat();
  // With the reserve's space what is decided already can go through at once.
  if (reserve_.release()) return true;
  return shared_.pipeline.when_for(
      retry_, [](const PipelineState& state) { return state.stopping || state.failed; },
      [](const PipelineState&, bool ends) { return !ends; });
}

void Writer::look_for_space() {
  if (!reserve_.restore()) return;
  log::info("there is space again; channels go on");
  shared_.pipeline.with([](PipelineState& state) { state.waiting_for_space = false; });
  shared_.pipeline.notify_all();
}

bool Writer::restart_wal() {
  sqlite3_busy_timeout(connection_.get(), kReadersNeed);
  const int code = sqlite3_wal_checkpoint_v2(connection_.get(), nullptr, SQLITE_CHECKPOINT_RESTART,
                                             nullptr, nullptr);
  sqlite3_busy_timeout(connection_.get(), kOthersNeed);
  if (code == SQLITE_OK) return true;
  const auto error = connection_.error("checkpoint");
  switch (connection_.trouble(code)) {
    case Trouble::busy:
      return true;  // a reader needs longer; the next checkpoint asks again
    case Trouble::full:
      log::warn("{}; tried again later", error.message);
      return true;
    case Trouble::damaged:
      shared_.fail(error, kSuspect);
      return false;
    case Trouble::broken:
      shared_.fail(error, {});
      return false;
  }
  return false;
}

bool Writer::add_to_index(const Group& group) {
  if (group.rows.empty()) return true;
  for (;;) {
    const auto written = index_.write(group.index);
    if (written) return true;
    if (written.error().kind == Error::Kind::permanent) {
      // The rows are safe; the next start makes the index anew from them.
      shared_.fail(written.error(), kIndexSuspect);
      return false;
    }
    if (!wait_for_space(written.error())) return false;
  }
}

bool Writer::tell(Group& group) {
  if (!group.rows.empty()) {
    const model::Sequence end{shared_.epochs.back().epoch, group.index.marker.position};
    if (const auto told = witness_.tell({end, group.index.marker.chain}); !told) {
      if (told.error().kind == Error::Kind::permanent) {
        shared_.fail(told.error(), {});
        return false;
      }
      log::warn("{}", told.error().message);
    }
    shared_.end.store(end.position, std::memory_order_release);
  }
  for (auto& answer : group.answers) answer.done.set_value(answer.sequence);
  sinks_.with([&](Sinks& sinks) {
    for (const auto& credit : group.credits) {
      const auto found = sinks.channels.find(credit.channel->identity.name);
      if (found == sinks.channels.end() || found->second.lease != credit.channel->lease) continue;
      found->second.sink->committed(credit.channel->lease, credit.batches, credit.items,
                                    credit.bytes);
    }
    if (!group.rows.empty() && sinks.listener) {
      sinks.listener({shared_.epochs.back().epoch, group.index.marker.position});
    }
  });
  return true;
}

}  // namespace voxbus::journal
