// SPDX-License-Identifier: Apache-2.0
#include "journal/file.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/posix.hpp"
#include "journal/bytes.hpp"

namespace voxbus::journal {
namespace {

// Root pages follow from the order of these statements.
constexpr const char* kTables = R"sql(
CREATE TABLE meta(id INTEGER PRIMARY KEY, key TEXT NOT NULL, value TEXT NOT NULL) STRICT;
CREATE TABLE epochs(epoch INTEGER PRIMARY KEY, first_position INTEGER NOT NULL,
  opened_at INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;
CREATE TABLE gaps(first_position INTEGER PRIMARY KEY, last_position INTEGER NOT NULL) STRICT;
CREATE TABLE names(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL) STRICT;
CREATE TABLE names_copy(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL) STRICT;
CREATE TABLE entries(position INTEGER PRIMARY KEY, type INTEGER NOT NULL, source INTEGER NOT NULL,
  recorded INTEGER NOT NULL, key_id INTEGER NOT NULL, codec INTEGER NOT NULL,
  flags INTEGER NOT NULL, revision INTEGER NOT NULL, version INTEGER, id BLOB NOT NULL,
  native BLOB NOT NULL, content BLOB NOT NULL, author BLOB, partition BLOB,
  body_hash BLOB NOT NULL, evidence_hash BLOB, chain BLOB NOT NULL, body BLOB) STRICT;
CREATE TABLE evidence(position INTEGER PRIMARY KEY, codec INTEGER NOT NULL,
  body BLOB NOT NULL) STRICT;
CREATE TABLE channels(id INTEGER PRIMARY KEY, name TEXT NOT NULL, plugin TEXT NOT NULL,
  origin TEXT NOT NULL, opened INTEGER NOT NULL, begin INTEGER NOT NULL,
  position INTEGER NOT NULL, cursor BLOB) STRICT;
CREATE INDEX entries_rare ON entries(type, position) WHERE flags & 16 <> 0;
)sql";
constexpr const char* kMarks = "PRAGMA application_id=1448626737; PRAGMA user_version=1;";

Status done(const Connection& connection, int code) {
  if (code != SQLITE_OK) return connection.error("write");
  return {};
}

constexpr std::size_t kHeadSize = 100;

std::string head_of(const std::filesystem::path& file) {
  auto descriptor = open_file(file, O_RDONLY);
  std::string head(kHeadSize, '\0');
  const auto got = descriptor ? ::pread(descriptor->get(), head.data(), kHeadSize, 0) : 0;
  head.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return head;
}

constexpr std::string_view kMagic{"SQLite format 3", 16};  // with its NUL

// Whether the fields of SQLite's header that never change are what we wrote. SQLite itself would
// take some of them for a wish: a read-only file, another size of page.
bool is_ours(std::string_view head) {
  struct Field {
    std::size_t at;
    std::string_view bytes;
  };
  using namespace std::string_view_literals;
  static constexpr Field kFields[] = {{0, kMagic},
                                      {16, "\x20\x00"sv},  // pages of 8,192 bytes
                                      {18, "\x02\x02"sv},
                                      {20, "\x00\x40\x20\x20"sv},  // WAL; fractions of a page
                                      {44, "\0\0\0\4"sv},
                                      {48, "\0\0\0\0\0\0\0\0"sv},  // schema format; no auto-vacuum
                                      {56, "\0\0\0\1"sv},
                                      {64, "\0\0\0\0VXJ1"sv},  // UTF-8; application id
                                      {72, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv}};
  for (const auto& [at, bytes] : kFields) {
    if (head.substr(at, bytes.size()) != bytes) return false;
  }
  return true;
}

// Ends the reading of a statement: everything was read, or an error.
Status ended(const Connection& connection, int code) {
  if (code != SQLITE_DONE) return connection.error("read");
  return {};
}

}  // namespace

void Names::add(const Name& name) {
  const auto [at, added] = by_id_.emplace(name.id, name.text);
  if (added) by_text_.emplace(at->second, name.id);
  next_ = std::max(next_, name.id + 1);
}
const std::string* Names::text(std::int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}
std::int64_t Names::id(std::string_view text) const {
  const auto found = by_text_.find(text);
  return found == by_text_.end() ? 0 : found->second;
}
std::vector<std::string> Names::texts() const {
  std::vector<std::string> out;
  for (const auto& [id, text] : by_id_) out.push_back(text);
  return out;
}

model::Epoch epoch_of(const std::vector<EpochStart>& epochs, model::Position position) {
  model::Epoch epoch = epochs.empty() ? 1 : epochs.front().epoch;
  for (const auto& start : epochs) {
    if (start.first <= position) epoch = start.epoch;
  }
  return epoch;
}

bool is_gap(const std::vector<Gap>& gaps, model::Position first, model::Position last) {
  for (const auto& gap : gaps) {  // ascending
    if (gap.first <= first && first <= gap.last) first = gap.last + 1;
  }
  return first > last;
}

Status create_tables(Connection& db) {
  VOXBUS_CHECK(db.run("PRAGMA page_size=8192; PRAGMA synchronous=FULL; BEGIN;"));
  VOXBUS_CHECK(db.run(kTables));
  return db.run(kMarks);
}

Status write_frame(Connection& db, const Frame& frame, TimePoint now) {
  VOXBUS_TRY(meta, Statement::prepare(db, "INSERT INTO meta(key, value) VALUES(?1, ?2)"));
  const std::pair<const char*, std::string> values[] = {{"format", std::to_string(kFormat)},
                                                        {"installation", frame.installation},
                                                        {"created", format_rfc3339(now)}};
  for (const auto& [key, value] : values) {
    VOXBUS_CHECK(done(db, meta.bind_text(1, key).bind_text(2, value).execute()));
  }
  VOXBUS_TRY(epoch, Statement::prepare(db, "INSERT INTO epochs VALUES(?1, ?2, ?3, ?4)"));
  for (const auto& start : frame.epochs) {
    epoch.bind(1, start.epoch).bind(2, static_cast<std::int64_t>(start.first));
    epoch.bind(3, to_micros(start.opened_at)).bind_text(4, start.reason);
    VOXBUS_CHECK(done(db, epoch.execute()));
  }
  VOXBUS_TRY(gap, Statement::prepare(db, "INSERT INTO gaps VALUES(?1, ?2)"));
  for (const auto& [first, last] : frame.gaps) {
    gap.bind(1, static_cast<std::int64_t>(first)).bind(2, static_cast<std::int64_t>(last));
    VOXBUS_CHECK(done(db, gap.execute()));
  }
  for (const char* sql :
       {"INSERT INTO names VALUES(?1, ?2, ?3)", "INSERT INTO names_copy VALUES(?1, ?2, ?3)"}) {
    VOXBUS_TRY(insert, Statement::prepare(db, sql));
    for (const auto& name : frame.names) {
      insert.bind(1, name.id).bind(2, name.kind).bind_text(3, name.text);
      VOXBUS_CHECK(done(db, insert.execute()));
    }
  }
  VOXBUS_TRY(channel,
             Statement::prepare(db, "INSERT INTO channels VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"));
  for (const auto& mark : frame.marks) {
    channel.bind(1, mark.id).bind_text(2, mark.identity.name).bind_text(3, mark.identity.plugin);
    channel.bind_text(4, mark.identity.origin).bind(5, to_micros(mark.opened));
    channel.bind(6, to_micros(mark.begin)).bind(7, static_cast<std::int64_t>(mark.position));
    mark.sealed_cursor.empty() ? channel.bind_null(8) : channel.bind_blob(8, mark.sealed_cursor);
    VOXBUS_CHECK(done(db, channel.execute()));
  }
  return {};
}

Status finish_file(Connection connection) {
  const auto file = connection.file();
  {
    auto db = std::move(connection);
    VOXBUS_CHECK(db.run("COMMIT; PRAGMA journal_mode=WAL;"));
  }
  VOXBUS_TRY(descriptor, open_file(file, O_RDONLY));
  if (::fsync(descriptor.get()) != 0) return system_error("sync " + file.string(), errno);
  return {};
}

Status create_file(const std::filesystem::path& file, const Frame& frame, TimePoint now) {
  VOXBUS_TRY(db, Connection::open(file, Connection::Mode::create));
  VOXBUS_CHECK(create_tables(db));
  VOXBUS_CHECK(write_frame(db, frame, now));
  return finish_file(std::move(db));
}

Status read_names(const Connection& connection, Names& names) {
  VOXBUS_TRY(statement, Statement::prepare(connection, "SELECT id, kind, name FROM names"));
  int code;
  while ((code = statement.step()) == SQLITE_ROW) {
    names.add({statement.integer(0), statement.integer(1), std::string(statement.bytes(2))});
  }
  return ended(connection, code);
}

Result<Frame> read_frame(const Connection& db) {
  Frame frame;
  int code;
  VOXBUS_TRY(meta, Statement::prepare(db, "SELECT key, value FROM meta"));
  std::string format;
  while ((code = meta.step()) == SQLITE_ROW) {
    if (meta.bytes(0) == "installation") frame.installation = meta.bytes(1);
    if (meta.bytes(0) == "format") format = meta.bytes(1);
  }
  VOXBUS_CHECK(ended(db, code));
  if (format != std::to_string(kFormat)) return permanent("the journal does not name its format");

  VOXBUS_TRY(epochs, Statement::prepare(db,
                                        "SELECT epoch, first_position, opened_at, reason FROM "
                                        "epochs ORDER BY epoch"));
  while ((code = epochs.step()) == SQLITE_ROW) {
    frame.epochs.push_back({static_cast<model::Epoch>(epochs.integer(0)),
                            static_cast<model::Position>(epochs.integer(1)),
                            from_micros(epochs.integer(2)), std::string(epochs.bytes(3))});
  }
  VOXBUS_CHECK(ended(db, code));
  VOXBUS_TRY(gaps,
             Statement::prepare(
                 db, "SELECT first_position, last_position FROM gaps ORDER BY first_position"));
  while ((code = gaps.step()) == SQLITE_ROW) {
    frame.gaps.push_back({static_cast<model::Position>(gaps.integer(0)),
                          static_cast<model::Position>(gaps.integer(1))});
  }
  VOXBUS_CHECK(ended(db, code));
  VOXBUS_TRY(names, Statement::prepare(db, "SELECT id, kind, name FROM names ORDER BY id"));
  while ((code = names.step()) == SQLITE_ROW) {
    frame.names.push_back({names.integer(0), names.integer(1), std::string(names.bytes(2))});
  }
  VOXBUS_CHECK(ended(db, code));
  VOXBUS_TRY(marks, Statement::prepare(db,
                                       "SELECT id, name, plugin, origin, opened, begin, "
                                       "position, cursor FROM channels ORDER BY id"));
  while ((code = marks.step()) == SQLITE_ROW) {
    StoredMark mark;
    mark.id = marks.integer(0);
    mark.identity = {std::string(marks.bytes(1)), std::string(marks.bytes(2)),
                     std::string(marks.bytes(3))};
    mark.opened = from_micros(marks.integer(4));
    mark.begin = from_micros(marks.integer(5));
    mark.position = static_cast<model::Position>(marks.integer(6));
    mark.sealed_cursor = marks.bytes(7);
    frame.marks.push_back(std::move(mark));
  }
  VOXBUS_CHECK(ended(db, code));
  return frame;
}

Format probe_format(const std::filesystem::path& file) {
  std::error_code gone;
  if (!std::filesystem::exists(file, gone)) return Format::absent;
  const auto head = head_of(file);
  if (head.size() < kHeadSize) return Format::damaged;
  if (!head.starts_with(kMagic)) return Format::damaged;
  const auto version = big32(head, 60);
  if (version > kFormat) {
    // Two places say it, so that a damaged byte is not taken for a newer format. Only here may the
    // file be read without its WAL: otherwise a checkpoint that was cut short would look like
    // damage.
    auto db = Connection::open(file, Connection::Mode::immutable);
    if (!db) return Format::newer;
    const auto said = db->number("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'format'");
    return said && *said == kFormat ? Format::damaged : Format::newer;
  }
  return version == kFormat && is_ours(head) ? Format::ours : Format::damaged;
}

std::string_view row_columns() {
  return "position, type, source, recorded, key_id, codec, flags, revision, version, id, native, "
         "content, author, partition, body_hash, evidence_hash, chain, body";
}

bool read_row(const Statement& in, const Names& names, Row& out) {
  auto& header = out.header;
  out.type_id = in.integer(1);
  out.source_id = in.integer(2);
  const auto* type = names.text(out.type_id);
  const auto* source = names.text(out.source_id);
  if (!type || !source) return false;
  header.position = static_cast<model::Position>(in.integer(0));
  header.type = *type;
  header.source = *source;
  header.recorded = in.integer(3);
  header.key = static_cast<KeyId>(in.integer(4));
  header.codec = static_cast<std::uint8_t>(in.integer(5));
  header.flags = static_cast<std::uint8_t>(in.integer(6));
  header.revision = static_cast<std::uint32_t>(in.integer(7));
  header.version.reset();
  if (!in.null(8)) header.version = static_cast<std::uint64_t>(in.integer(8));
  bool good = assign(header.id, in.bytes(9)) && assign(header.native, in.bytes(10)) &&
              assign(header.content, in.bytes(11));
  header.author.reset();
  if (!in.null(12)) good = good && assign(header.author.emplace(), in.bytes(12));
  header.partition.reset();
  if (!in.null(13)) good = good && assign(header.partition.emplace(), in.bytes(13));
  good = good && assign(out.body_hash, in.bytes(14));
  out.evidence_hash.reset();
  if (!in.null(15)) good = good && assign(out.evidence_hash.emplace(), in.bytes(15));
  good = good && assign(out.chain, in.bytes(16));
  out.body = in.bytes(17);
  return good;
}

Result<Statement> prepare_insert(const Connection& connection) {
  return Statement::prepare(connection,
                            "INSERT INTO entries VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
                            "?11, ?12, ?13, ?14, ?15, "
                            "?16, ?17, ?18)");
}

int insert_row(Statement& insert, const Row& row) {
  const auto& header = row.header;
  insert.bind(1, static_cast<std::int64_t>(header.position)).bind(2, row.type_id);
  insert.bind(3, row.source_id).bind(4, header.recorded).bind(5, header.key);
  insert.bind(6, header.codec).bind(7, header.flags).bind(8, header.revision);
  header.version ? insert.bind(9, static_cast<std::int64_t>(*header.version)) : insert.bind_null(9);
  insert.bind_blob(10, as_text(header.id)).bind_blob(11, as_text(header.native));
  insert.bind_blob(12, as_text(header.content)).bind_array(13, header.author);
  insert.bind_array(14, header.partition).bind_blob(15, as_text(row.body_hash));
  insert.bind_array(16, row.evidence_hash).bind_blob(17, as_text(row.chain));
  row.body.empty() ? insert.bind_null(18) : insert.bind_blob(18, row.body);
  return insert.execute();
}

}  // namespace voxbus::journal
