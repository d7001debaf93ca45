// SPDX-License-Identifier: Apache-2.0
#include "journal/examine.hpp"

#include <sqlite3.h>

#include "journal/bytes.hpp"
#include "journal/proof.hpp"

namespace voxbus::journal {
namespace {

// Every row up to here is proved at start; of a longer journal the newest.
constexpr model::Position kNewest = 4096;
constexpr std::size_t kNewestBytes = 64u << 20;
// Below this SQLite checks its own trees too, which takes well under a second.
constexpr std::uintmax_t kSmall = 32u << 20;

// Whether the last failure on this connection is the file's fault and not the machine's.
bool says_damage(const Connection& db) {
  const int code = sqlite3_extended_errcode(db.get());
  switch (code & 0xff) {
    case SQLITE_IOERR:
      return code == SQLITE_IOERR_SHORT_READ;
    case SQLITE_NOMEM:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_FULL:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
    case SQLITE_INTERRUPT:
      return false;
    default:
      return true;
  }
}

Result<Examined> damaged(std::string why) { return Examined{std::nullopt, std::move(why)}; }
Result<Examined> failed(const Connection& db, const Error& error) {
  if (says_damage(db)) return damaged(error.message);
  return error;
}

std::uintmax_t size_of(const std::filesystem::path& file) {
  std::error_code code;
  const auto size = std::filesystem::file_size(file, code);
  return code ? 0 : size;
}

std::string check_frame(const Connection& db, const Frame& frame, const Keys& keys) {
  if (frame.installation.empty() || frame.epochs.empty()) return "its small tables are not whole";
  for (std::size_t i = 1; i < frame.epochs.size(); ++i) {
    const auto& before = frame.epochs[i - 1];
    if (frame.epochs[i].epoch <= before.epoch || frame.epochs[i].first < before.first) {
      return "its epochs are not in order";
    }
  }
  if (!names_agree(db)) return "the two copies of its names differ";
  Prover prover(keys);
  for (const auto& mark : frame.marks) {
    if (!prover.cursor_opens(keys, mark.identity, mark.sealed_cursor)) {
      return "the cursor of channel " + mark.identity.name + " was altered";
    }
  }
  return {};
}

// Proves the newest rows and fills in where they end. Nothing: all is well.
Result<std::string> check_newest(const Connection& db, const Keys& keys, Standing& standing) {
  VOXBUS_TRY(last, Statement::prepare(db,
                                      "SELECT coalesce(max(position), 0), "
                                      "coalesce(min(position), 1) FROM entries"));
  if (last.step() != SQLITE_ROW) return db.error("read");
  const auto newest = static_cast<model::Position>(last.integer(0));
  standing.oldest = static_cast<model::Position>(last.integer(1));
  last.reset();

  auto previous = newest > kNewest ? newest - kNewest : 0;
  VOXBUS_TRY(before, chain_at(db, previous));
  auto chain = before;
  VOXBUS_TRY(rows,
             Statement::prepare(db, "SELECT " + std::string(row_columns()) +
                                        " FROM entries WHERE position > ?1 ORDER BY position"));
  VOXBUS_TRY(evidence, Statement::prepare(db, "SELECT body FROM evidence WHERE position = ?1"));
  rows.bind(1, static_cast<std::int64_t>(previous));
  Prover prover(keys);
  std::size_t bytes = 0;  // opened so far; beyond the limit the chain alone has to do
  int code;
  while ((code = rows.step()) == SQLITE_ROW) {
    Row row;
    const auto at = std::to_string(rows.integer(0));
    if (!read_row(rows, standing.names, row)) return "row " + at + " is malformed";
    const auto position = row.header.position;
    if (position != previous + 1 && !is_gap(standing.frame.gaps, previous + 1, position - 1)) {
      return "rows before " + at + " are missing";
    }
    bytes += row.body.size();
    if (bytes < kNewestBytes && prover.seal(row) == Seal::altered)
      return "row " + at + " was altered";
    if (!prover.chained(row, chain)) return "row " + at + " does not follow from the one before";
    if (row.evidence_hash && bytes < kNewestBytes) {
      evidence.bind(1, rows.integer(0));
      const int found = evidence.step();
      if (found == SQLITE_ROW && !prover.evidence_fits(row, evidence.bytes(0))) {
        return "the evidence of row " + at + " was altered";
      }
      if (found == SQLITE_ROW) bytes += evidence.bytes(0).size();
      if (found != SQLITE_ROW && found != SQLITE_DONE) return db.error("read");
      evidence.reset();
    }
    previous = position;
    chain = row.chain;
    standing.recorded = from_micros(row.header.recorded);
  }
  if (code != SQLITE_DONE) return db.error("read");
  standing.chain = chain;
  standing.end = std::max(newest, standing.frame.epochs.back().first - 1);
  if (standing.end > newest && !is_gap(standing.frame.gaps, newest + 1, standing.end)) {
    return std::string("its last rows are missing");
  }
  return std::string();
}

std::string check_end(const Connection& db, const Standing& standing, const Told& told) {
  if (told.end.position > standing.end || told.end.epoch > standing.frame.epochs.back().epoch) {
    return "it ends at " + std::to_string(standing.end) + ", but " +
           std::to_string(told.end.position) + " was already told";
  }
  const auto chain = chain_at(db, told.end.position);
  if (!chain || *chain != told.chain) {
    return "at " + std::to_string(told.end.position) + " it is not what was told";
  }
  return {};
}

}  // namespace

Result<Digest> chain_at(const Connection& db, model::Position position) {
  VOXBUS_TRY(statement, Statement::prepare(db,
                                           "SELECT chain FROM entries WHERE position <= ?1 "
                                           "ORDER BY position DESC LIMIT 1"));
  statement.bind(1, static_cast<std::int64_t>(position));
  Digest chain{};
  const int code = statement.step();
  if (code == SQLITE_DONE) return chain;
  if (code != SQLITE_ROW) return db.error("read");
  if (!assign(chain, statement.bytes(0))) return permanent("a row has no chain");
  return chain;
}

Result<Examined> examine(const std::filesystem::path& directory, const Keys& keys,
                         const std::optional<Told>& told, const std::string& vfs) {
  const auto file = directory / kFileName;
  VOXBUS_TRY(db, Connection::open(file, Connection::Mode::read, vfs));
  if (size_of(file) + size_of(file.string() + "-wal") <= kSmall) {
    auto check = Statement::prepare(db, "PRAGMA integrity_check(1)");
    if (!check) return failed(db, check.error());
    if (check->step() != SQLITE_ROW) return failed(db, db.error("check"));
    if (check->bytes(0) != "ok") return damaged(std::string(check->bytes(0)));
  }
  Standing standing;
  auto frame = read_frame(db);
  if (!frame) return failed(db, frame.error());
  standing.frame = std::move(*frame);
  for (const auto& name : standing.frame.names) standing.names.add(name);
  if (auto why = check_frame(db, standing.frame, keys); !why.empty()) {
    return damaged(std::move(why));
  }
  const auto newest = check_newest(db, keys, standing);
  if (!newest) return failed(db, newest.error());
  if (!newest->empty()) return damaged(*newest);
  if (told) {
    if (auto why = check_end(db, standing, *told); !why.empty()) return damaged(std::move(why));
  }
  const auto type = standing.names.id(model::type::kQuarantined);
  auto count =
      Statement::prepare(db, "SELECT count(*) FROM entries WHERE type = ?1 AND flags & 16 <> 0");
  if (!count) return failed(db, count.error());
  if (count->bind(1, type).step() != SQLITE_ROW) return failed(db, db.error("read"));
  standing.quarantined = static_cast<std::uint64_t>(count->integer(0));
  return Examined{std::move(standing), {}};
}

bool names_agree(const Connection& db) {
  for (const char* sql :
       {"SELECT count(*) FROM (SELECT * FROM names EXCEPT SELECT * FROM names_copy)",
        "SELECT count(*) FROM (SELECT * FROM names_copy EXCEPT SELECT * FROM names)"}) {
    auto statement = Statement::prepare(db, sql);
    if (!statement || statement->step() != SQLITE_ROW || statement->integer(0) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace voxbus::journal
