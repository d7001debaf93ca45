// SPDX-License-Identifier: Apache-2.0
#include "journal/rebuild.hpp"

#include <sqlite3.h>

#include "base/log.hpp"
#include "journal/bytes.hpp"
#include "journal/messages.hpp"
#include "journal/pipeline.hpp"
#include "journal/sealer.hpp"

namespace voxbus::journal {
namespace {

constexpr std::size_t kBatchRows = 4096;

// The index with its marker, when it speaks of this journal; nothing when it must be made anew.
Result<std::unique_ptr<Index>> usable(const std::filesystem::path& folder, const Connection& db,
                                      const Standing& standing, IndexMarker& marker) {
  auto index = Index::open(folder);
  if (!index) {
    if (index.error().kind == Error::Kind::retry) return index.error();
    log::warn("{}; it is made anew", index.error().message);
    return std::unique_ptr<Index>();
  }
  const auto found = (*index)->marker();
  if (!found) {
    log::warn("{}; it is made anew", found.error().message);
    return std::unique_ptr<Index>();
  }
  if (!*found) return std::move(*index);
  VOXBUS_TRY(chain, chain_at(db, (*found)->position));
  if ((*found)->position > standing.end || chain != (*found)->chain) {
    log::warn(
        "the journal's index at {} does not fit the journal, which ends at {}; it is made anew",
        (*found)->position, standing.end);
    return std::unique_ptr<Index>();
  }
  marker = **found;
  return std::move(*index);
}

// Finds out which message ids rows were the first to carry.
class MessageFinder {
 public:
  explicit MessageFinder(const Keys& keys) : ring_(keys), hash_(keys) {}

  // Nothing when the row's key was erased: nobody can quote it by name any more.
  std::optional<Mac> message_of(const Row& row) {
    Key key;
    if (ring_.get(row.header.key, key) != KeyState::usable) return std::nullopt;
    const auto body = opener_.body(key, row.header, row.body);
    const auto id = body ? message_id_of_body(*body) : std::string();
    return id.empty() ? std::nullopt : std::optional(hash_.of(id));
  }

 private:
  KeyRing ring_;
  Opener opener_;
  MessageHash hash_;
};

Status read_tail(const Connection& db, const Names& names, const Keys& keys, LevelIndex& level,
                 IndexMarker marker) {
  // Of bodies only those that say more than the columns.
  std::string columns(row_columns());
  columns.replace(columns.rfind("body"), 4,
                  "CASE WHEN flags & " + std::to_string(kFirstOfMessage) + " THEN body END");
  VOXBUS_TRY(rows, Statement::prepare(db, "SELECT " + columns +
                                              " FROM entries WHERE position > ?1 "
                                              "ORDER BY position"));
  rows.bind(1, static_cast<std::int64_t>(marker.position));
  MessageFinder finder(keys);
  IndexBatch batch;
  batch.marker = marker;
  int code;
  while ((code = rows.step()) == SQLITE_ROW) {
    Row row;
    if (!read_row(rows, names, row)) {
      return permanent("row " + std::to_string(rows.integer(0)) + " of the journal is malformed");
    }
    const auto& header = row.header;
    NativeState state;
    state.revision = header.revision;
    state.key = header.key;
    state.flags = header.flags & kStateFlags;
    state.version = header.version;
    state.position = header.position;
    state.content = header.content;
    batch.natives.emplace_back(header.native, state);
    if (header.author) batch.authors.emplace_back(*header.author, header.key);
    if ((header.flags & kFirstOfMessage) != 0) {
      if (const auto message = finder.message_of(row))
        batch.messages.emplace_back(*message, header.id);
    }
    batch.marker.position = header.position;
    batch.marker.chain = row.chain;
    batch.marker.next_key = std::max(batch.marker.next_key, header.key + 1);
    ++level.rows_read;
    if (batch.natives.size() < kBatchRows) continue;
    VOXBUS_CHECK(level.index->write(batch));
    batch.natives.clear();
    batch.authors.clear();
    batch.messages.clear();
  }
  if (code != SQLITE_DONE) return db.error("read");
  if (!batch.natives.empty()) VOXBUS_CHECK(level.index->write(batch));
  level.next_key = batch.marker.next_key;
  return {};
}

}  // namespace

Result<LevelIndex> level_index(const std::filesystem::path& directory, const Standing& standing,
                               const Keys& keys, const std::string& vfs) {
  const auto folder = directory / "index";
  const auto suspect = directory / kIndexSuspect;
  VOXBUS_TRY(db, Connection::open(directory / kFileName, Connection::Mode::read, vfs));
  LevelIndex level;
  IndexMarker marker;
  std::error_code code;
  if (!std::filesystem::exists(suspect, code)) {
    VOXBUS_TRY(index, usable(folder, db, standing, marker));
    level.index = std::move(index);
  }
  if (!level.index) {
    VOXBUS_CHECK(Index::drop(folder));
    std::filesystem::remove(suspect, code);
    VOXBUS_TRY(index, Index::open(folder));
    level.index = std::move(index);
    level.made_anew = true;
  }
  VOXBUS_CHECK(read_tail(db, standing.names, keys, level, marker));
  return level;
}

}  // namespace voxbus::journal
