// SPDX-License-Identifier: Apache-2.0
#include "journal/reader.hpp"

#include <sqlite3.h>

#include "journal/context.hpp"
#include "journal/sealer.hpp"

namespace voxbus::journal {
namespace {

// One read transaction copies no more than this: a few milliseconds.
constexpr std::size_t kRowsAtOnce = 1024;
constexpr std::size_t kBytesAtOnce = 8u << 20;
// A window of positions, when reading along for one type.
constexpr model::Position kWindow = 8192;

}  // namespace

struct Reader::Parts {
  explicit Parts(std::shared_ptr<const ReaderContext> with)
      : context(std::move(with)), ring(*context->keys) {}

  std::shared_ptr<const ReaderContext> context;
  KeyRing ring;
  Opener opener;
  Names names;
  std::optional<Connection> connection;
  // After the connection, so that they go before it.
  Statement after, one, evidence, rare, since;

  Status connect() {
    if (connection) return {};
    VOXBUS_TRY(db, Connection::open(context->file, Connection::Mode::read, context->vfs));
    const auto prepare = [&](Statement& out, const std::string& sql) -> Status {
      VOXBUS_TRY(statement, Statement::prepare(db, sql));
      out = std::move(statement);
      return {};
    };
    const std::string rows = "SELECT " + std::string(row_columns()) + " FROM entries ";
    VOXBUS_CHECK(read_names(db, names));
    VOXBUS_CHECK(
        prepare(after, rows + "WHERE position > ?1 AND position <= ?3 ORDER BY position LIMIT ?2"));
    VOXBUS_CHECK(prepare(one, rows + "WHERE position = ?1"));
    VOXBUS_CHECK(prepare(evidence, "SELECT codec, body FROM evidence WHERE position = ?1"));
    VOXBUS_CHECK(prepare(rare, rows + "WHERE type = ?1 AND position > ?2 AND flags & 16 <> 0 "
                                      "ORDER BY position LIMIT ?3"));
    VOXBUS_CHECK(prepare(since,
                         "SELECT position, recorded FROM entries WHERE position >= ?1 "
                         "ORDER BY position LIMIT 1"));
    connection = std::move(db);
    return {};
  }

  Error damage(const std::string& what) const {
    auto error = permanent("the journal is damaged: " + what +
                           "; restart the daemon, which salvages what is readable");
    if (context->damaged) context->damaged(error);
    return error;
  }
  Error failure() const {
    auto error = connection->error("read");
    const int code = sqlite3_extended_errcode(connection->get());
    if (connection->trouble(code) == Trouble::damaged && context->damaged) context->damaged(error);
    return error;
  }

  // Copies rows until the statement, the count or the bytes end, and lets the transaction go.
  Result<std::vector<Row>> copy(Statement& statement, std::size_t max_bytes) {
    std::vector<Row> rows;
    std::size_t bytes = 0;
    int code = SQLITE_DONE;
    std::string malformed;
    while (malformed.empty() && bytes < max_bytes && (code = statement.step()) == SQLITE_ROW) {
      auto& row = rows.emplace_back();
      const bool known = names.text(statement.integer(1)) && names.text(statement.integer(2));
      // A name that came into use since we looked.
      if (!known) VOXBUS_CHECK(read_names(*connection, names));
      if (!read_row(statement, names, row)) malformed = std::to_string(statement.integer(0));
      bytes += row.body.size();
    }
    if (malformed.empty() && code != SQLITE_DONE && code != SQLITE_ROW) {
      const auto error = failure();
      statement.reset();
      return error;
    }
    statement.reset();
    if (!malformed.empty()) return damage("row " + malformed + " is malformed");
    return rows;
  }

  Result<model::Event> event(const Row& row) {
    const auto& header = row.header;
    model::Event out;
    out.sequence = {epoch_of(context->epochs, header.position), header.position};
    out.id = header.id;
    out.source = header.source;
    out.type = header.type;
    out.recorded = from_micros(header.recorded);
    out.partition = header.partition;
    if (row.body.empty()) return out;
    Key key;
    const auto state = ring.get(header.key, key);
    if (state == KeyState::usable) {
      auto body = opener.body(key, header, row.body);
      if (!body) return damage("row " + std::to_string(header.position) + " was altered");
      out.body = std::move(*body);
    } else if (state != KeyState::erased) {
      context->unreadable->fetch_add(1, std::memory_order_relaxed);
    }
    return out;
  }
};

Reader::Reader(std::shared_ptr<const ReaderContext> context)
    : parts_(std::make_unique<Parts>(std::move(context))) {}
Reader::~Reader() = default;

Result<std::vector<model::Event>> Reader::read(model::Position after, std::size_t max_count,
                                               std::size_t max_bytes) {
  VOXBUS_CHECK(parts_->connect());
  std::vector<model::Event> out;
  std::size_t bytes = 0;
  while (out.size() < max_count && bytes < max_bytes) {
    const auto end = parts_->context->end->load(std::memory_order_acquire);
    const auto wanted = std::min(max_count - out.size(), kRowsAtOnce);
    parts_->after.bind(1, static_cast<std::int64_t>(after));
    // Not beyond what the witness knows, although SQLite shows it a moment earlier.
    parts_->after.bind(2, static_cast<std::int64_t>(wanted))
        .bind(3, static_cast<std::int64_t>(end));
    VOXBUS_TRY(rows, parts_->copy(parts_->after, std::min(max_bytes - bytes, kBytesAtOnce)));
    for (const auto& row : rows) {
      const auto position = row.header.position;
      if (position != after + 1 && !is_gap(parts_->context->gaps, after + 1, position - 1)) {
        return parts_->damage("rows before " + std::to_string(position) + " are missing");
      }
      VOXBUS_TRY(event, parts_->event(row));
      bytes += event.body.size();
      after = position;
      out.push_back(std::move(event));
      if (bytes >= max_bytes) break;
    }
    if (!rows.empty()) continue;
    if (after < end && !is_gap(parts_->context->gaps, after + 1, end)) {
      return parts_->damage("it ends at " + std::to_string(after) + " instead of " +
                            std::to_string(end));
    }
    break;
  }
  return out;
}

Result<model::Event> Reader::at(model::Position position) {
  VOXBUS_CHECK(parts_->connect());
  parts_->one.bind(1, static_cast<std::int64_t>(position));
  VOXBUS_TRY(rows, parts_->copy(parts_->one, kBytesAtOnce));
  if (rows.empty() || position > parts_->context->end->load(std::memory_order_acquire)) {
    return permanent("there is no event at position " + std::to_string(position));
  }
  return parts_->event(rows.front());
}

Result<std::string> Reader::evidence(model::Position position) {
  VOXBUS_CHECK(parts_->connect());
  const auto at = std::to_string(position);
  parts_->one.bind(1, static_cast<std::int64_t>(position));
  VOXBUS_TRY(rows, parts_->copy(parts_->one, kBytesAtOnce));
  if (rows.empty()) return permanent("there is no event at position " + at);
  auto& statement = parts_->evidence;
  const int code = statement.bind(1, static_cast<std::int64_t>(position)).step();
  const bool there = code == SQLITE_ROW;
  const auto codec = static_cast<std::uint8_t>(there ? statement.integer(0) : 0);
  const std::string sealed(there ? statement.bytes(1) : std::string_view{});
  if (!there && code != SQLITE_DONE) {
    const auto error = parts_->failure();
    statement.reset();
    return error;
  }
  statement.reset();
  if (!there) return permanent("no raw evidence is kept of the event at position " + at);
  Key key;
  const auto& header = rows.front().header;
  if (parts_->ring.get(header.key, key) != KeyState::usable) {
    return permanent("the raw evidence of the event at position " + at + " was erased");
  }
  auto raw = parts_->opener.evidence(key, header, codec, sealed);
  if (!raw) return permanent("the raw evidence of the event at position " + at + " is damaged");
  return std::move(*raw);
}

Result<bool> Reader::is_latest(model::Position position) {
  VOXBUS_CHECK(parts_->connect());
  parts_->one.bind(1, static_cast<std::int64_t>(position));
  VOXBUS_TRY(rows, parts_->copy(parts_->one, kBytesAtOnce));
  if (rows.empty()) return permanent("there is no event at position " + std::to_string(position));
  const Mac native = rows.front().header.native;
  VOXBUS_TRY(states, (*parts_->context->index)->natives({&native, 1}));
  // Not in the index yet: it is new.
  return !states.front() || states.front()->position <= position;
}

Result<std::vector<model::Event>> Reader::of_type(std::string_view type, model::Position after,
                                                  std::size_t max) {
  VOXBUS_CHECK(parts_->connect());
  VOXBUS_CHECK(read_names(*parts_->connection, parts_->names));
  std::vector<model::Event> out;
  const auto id = parts_->names.id(type);
  if (id == 0) return out;
  const bool ordinary = type == model::type::kReceived || type == model::type::kRevised ||
                        type == model::type::kWithdrawn;
  while (out.size() < max) {
    const auto end = parts_->context->end->load(std::memory_order_acquire);
    if (ordinary) {
      if (after >= end) break;
      VOXBUS_TRY(events, read(after, kWindow, kBytesAtOnce));
      after = events.empty() ? end : events.back().sequence.position;
      for (auto& event : events) {
        if (event.type == type && out.size() < max) out.push_back(std::move(event));
      }
      continue;
    }
    parts_->rare.bind(1, id).bind(2, static_cast<std::int64_t>(after));
    parts_->rare.bind(3, static_cast<std::int64_t>(std::min(max - out.size(), kRowsAtOnce)));
    parts_->rare.bind(4, static_cast<std::int64_t>(end));
    VOXBUS_TRY(rows, parts_->copy(parts_->rare, kBytesAtOnce));
    if (rows.empty()) break;
    for (const auto& row : rows) {
      VOXBUS_TRY(event, parts_->event(row));
      out.push_back(std::move(event));
    }
    after = rows.back().header.position;
  }
  return out;
}

Result<model::Position> Reader::first_since(TimePoint time) {
  VOXBUS_CHECK(parts_->connect());
  const auto end = parts_->context->end->load(std::memory_order_acquire);
  // The smallest position from which on everything was recorded at or after `time`: recorded times
  // never decrease.
  model::Position low = 1, high = end + 1;
  while (low < high) {
    const auto middle = low + (high - low) / 2;
    auto& statement = parts_->since;
    const int code = statement.bind(1, static_cast<std::int64_t>(middle)).step();
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
      const auto error = parts_->failure();
      statement.reset();
      return error;
    }
    const bool there = code == SQLITE_ROW;
    const auto position = there ? static_cast<model::Position>(statement.integer(0)) : 0;
    const bool late_enough = !there || statement.integer(1) >= to_micros(time);
    statement.reset();
    if (late_enough) {
      high = middle;
    } else {
      low = position + 1;
    }
  }
  return low;
}

}  // namespace voxbus::journal
