// SPDX-License-Identifier: Apache-2.0
// The journal's file, format 1: its tables, how it is made, and how rows and the small tables are
// read. Used by everything that opens `journal.db`; a connection and what is prepared on it belong
// to one thread.
//
// SQLite in WAL mode, pages of 8,192 bytes, application_id "VXJ1", user_version = format.
//   meta     one row per key: format, installation, created
//   epochs   from first_position on, positions belong to the epoch
//   gaps     positions that nobody may miss: a salvage lost them, or an epoch began behind them
//   names    event types (kind 0) and sources (kind 1), interned; names_copy says the same again,
//            because a name damaged would cost every row that uses it
//   entries  the rows (row.hpp); body is NULL once it was dropped
//   evidence raw bytes of some rows, sealed; the row is missing once they were dropped
//   channels one row per (name, plugin, origin): where the channel stands; position is the
//            journal's end when that was written
// No table but `entries` has an index of its own (entries_rare, for types that are few), so there
// is nothing else that could disagree with the rows.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "journal/intake.hpp"
#include "journal/journal.hpp"
#include "journal/row.hpp"
#include "journal/sqlite.hpp"

namespace voxbus::journal {

inline constexpr std::int64_t kFormat = 1;
inline constexpr std::string_view kFileName = "journal.db";

struct Name {
  std::int64_t id = 0;
  std::int64_t kind = 0;  // 0 type, 1 source
  std::string text;
};

// Both ways; what it gives stays valid while it lives.
class Names {
 public:
  void add(const Name& name);
  [[nodiscard]] const std::string* text(std::int64_t id) const;
  [[nodiscard]] std::int64_t id(std::string_view text) const;  // 0: unknown
  [[nodiscard]] std::int64_t next_id() const { return next_; }
  [[nodiscard]] std::vector<std::string> texts() const;

 private:
  std::unordered_map<std::int64_t, std::string> by_id_;
  std::unordered_map<std::string_view, std::int64_t> by_text_;
  std::int64_t next_ = 1;
};

struct Gap {
  model::Position first = 0, last = 0;
};

struct StoredMark {
  std::int64_t id = 0;
  model::ChannelIdentity identity;
  TimePoint opened, begin;
  model::Position position = 0;
  std::string sealed_cursor;  // empty: none
};

// Everything but the rows.
struct Frame {
  std::string installation;
  std::vector<EpochStart> epochs;
  std::vector<Gap> gaps;
  std::vector<Name> names;
  std::vector<StoredMark> marks;
};

[[nodiscard]] model::Epoch epoch_of(const std::vector<EpochStart>& epochs,
                                    model::Position position);
// The number of an epoch that begins at `when`: its second since 1970. Counting would give the same
// number again when the same backup is put back twice.
[[nodiscard]] constexpr model::Epoch epoch_begun(TimePoint when) {
  const auto second = std::chrono::floor<std::chrono::seconds>(when).time_since_epoch().count();
  return second < 1 ? 1 : static_cast<model::Epoch>(second);
}
// Whether every position from `first` to `last` is a known gap.
[[nodiscard]] bool is_gap(const std::vector<Gap>& gaps, model::Position first,
                          model::Position last);

// Makes an empty journal with this frame, synced, ready to be renamed into place.
[[nodiscard]] Status create_file(const std::filesystem::path& file, const Frame& frame,
                                 TimePoint now);
// The two halves of that, for whoever has rows to add: an empty journal within a transaction, and
// the small tables.
[[nodiscard]] Status create_tables(Connection& connection);
[[nodiscard]] Status write_frame(Connection& connection, const Frame& frame, TimePoint now);
// Ends the transaction and syncs.
[[nodiscard]] Status finish_file(Connection connection);
[[nodiscard]] Result<Frame> read_frame(const Connection& connection);
[[nodiscard]] Status read_names(const Connection& connection, Names& names);

enum class Format { absent, ours, newer, damaged };
// Without touching a byte or making a file.
[[nodiscard]] Format probe_format(const std::filesystem::path& file);

// The columns of entries in the order that read_row() and insert_row() expect.
[[nodiscard]] std::string_view row_columns();
// False when the row is not of the form we write, or names something unknown.
[[nodiscard]] bool read_row(const Statement& statement, const Names& names, Row& out);
[[nodiscard]] Result<Statement> prepare_insert(const Connection& connection);
[[nodiscard]] int insert_row(Statement& insert, const Row& row);

[[nodiscard]] constexpr std::int64_t to_micros(TimePoint time) {
  return time.time_since_epoch().count();
}
[[nodiscard]] constexpr TimePoint from_micros(std::int64_t micros) {
  return TimePoint(microseconds(micros));
}

}  // namespace voxbus::journal
