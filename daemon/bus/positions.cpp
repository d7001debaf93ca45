// SPDX-License-Identifier: Apache-2.0
#include "bus/positions.hpp"

#include <sqlite3.h>

#include "base/guarded.hpp"
#include "base/log.hpp"
#include "base/posix.hpp"
#include "base/time.hpp"
#include "journal/sqlite.hpp"

namespace voxbus::bus {
namespace {

using journal::Connection;
using journal::Statement;

constexpr std::int64_t kFormat = 1;
constexpr const char* kSchema = R"(
CREATE TABLE consumers(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
                       created TEXT NOT NULL, spec TEXT NOT NULL, epoch INTEGER NOT NULL,
                       head INTEGER NOT NULL, floor INTEGER NOT NULL, open BLOB NOT NULL) STRICT;
CREATE TABLE parked(consumer INTEGER NOT NULL REFERENCES consumers(id) ON DELETE CASCADE,
                    position INTEGER NOT NULL, attempts INTEGER NOT NULL, since TEXT NOT NULL,
                    PRIMARY KEY(consumer, position)) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;)";

void append_number(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>(number | 0x80);
  out += static_cast<char>(number);
}

bool take_number(std::string_view& bytes, std::uint64_t& number) {
  number = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    number |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// The connection and its statements, which are finalised before it closes: the order of members.
struct Base {
  bool is_new = false;
  std::unique_ptr<Connection> connection;
  Statement load, insert, change_spec, save, park, take_up, remove, parked, count, is_parked,
      forget;
};

Status prepare(Base& base) {
  const std::pair<Statement*, const char*> all[] = {
      {&base.load,
       "SELECT id, name, created, spec, epoch, head, floor, open FROM consumers ORDER BY name"},
      {&base.insert,
       "INSERT INTO consumers(name, created, spec, epoch, head, floor, open) VALUES(?1, ?2, ?3, "
       "?4, ?5, ?6, ?7)"},
      {&base.change_spec, "UPDATE consumers SET spec = ?2 WHERE id = ?1"},
      {&base.save,
       "UPDATE consumers SET epoch = ?2, head = ?3, floor = ?4, open = ?5 WHERE id = ?1"},
      {&base.park,
       "INSERT OR REPLACE INTO parked(consumer, position, attempts, since) SELECT ?1, ?2, ?3, ?4 "
       "WHERE EXISTS(SELECT 1 FROM consumers WHERE id = ?1)"},
      {&base.take_up, "DELETE FROM parked WHERE consumer = ?1 AND position = ?2"},
      {&base.remove, "DELETE FROM consumers WHERE id = ?1"},
      {&base.parked,
       "SELECT position, attempts, since FROM parked WHERE consumer = ?1 AND position > ?2 ORDER "
       "BY position LIMIT ?3"},
      {&base.count, "SELECT count(*) FROM parked WHERE consumer = ?1"},
      {&base.is_parked, "SELECT count(*) FROM parked WHERE consumer = ?1 AND position = ?2"},
      {&base.forget, "DELETE FROM parked WHERE consumer = ?1 AND position > ?2"}};
  for (const auto& [statement, sql] : all) {
    auto made = Statement::prepare(*base.connection, sql);
    if (!made) return made.error();
    *statement = std::move(*made);
  }
  return {};
}

// `damage` says why SQLite cannot make sense of the file. Anything else (no permission, a full
// disk) is an error that a person must see.
struct Opened {
  Base base;
  std::string damage;
};

Status make_usable(Base& base) {
  auto& db = *base.connection;
  VOXBUS_TRY(format, db.number("PRAGMA user_version"));
  if (format > kFormat) {
    return permanent("cannot use " + db.file().string() +
                     ": it was written by a newer version (format " + std::to_string(format) + ")");
  }
  for (const char* setting : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL",
                              "PRAGMA wal_autocheckpoint = 1000", "PRAGMA foreign_keys = ON"}) {
    VOXBUS_CHECK(db.run(setting));
  }
  base.is_new = format == 0;
  if (base.is_new) VOXBUS_CHECK(db.run((std::string("BEGIN;") + kSchema + "COMMIT;").c_str()));
  return prepare(base);
}

constexpr const char* kIsWhole =
    "SELECT count(*) = 1 AND max(quick_check) = 'ok' FROM pragma_quick_check(2)";

Result<Opened> open_whole(const std::filesystem::path& file) {
  auto connection = Connection::open(file, Connection::Mode::create);
  if (!connection) return connection.error();
  Opened opened;
  opened.base.connection = std::make_unique<Connection>(std::move(*connection));
  auto& db = *opened.base.connection;
  const auto whole = db.number(kIsWhole);
  const auto usable = whole ? make_usable(opened.base) : Status(whole.error());
  if (whole && *whole != 1) {
    opened.damage = "its check found faults";
  } else if (!usable) {
    // A schema that lost a name is an SQL error to SQLite, and damage to us.
    const int code = sqlite3_errcode(db.get()) & 0xff;
    const bool damaged = db.trouble(code) == journal::Trouble::damaged || code == SQLITE_ERROR;
    if (!damaged) return usable.error();
    opened.damage = usable.error().message;
  }
  if (!opened.damage.empty()) opened.base = Base{};
  return opened;
}

Status set_aside(const std::filesystem::path& file, const std::string& why) {
  const auto stamp = ".damaged-" + format_rfc3339(std::chrono::floor<seconds>(SystemClock().now()));
  for (const char* part : {"", "-wal", "-shm"}) {
    std::error_code code;
    const auto from = file.string() + part;
    if (!std::filesystem::exists(from, code)) continue;
    std::filesystem::rename(from, file.string() + stamp + part, code);
    if (code) return system_error("set aside " + from, code.value());
  }
  log::warn(
      "the consumers' positions were damaged ({}) and set aside as {}: consumers are to be "
      "made again",
      why, file.string() + stamp);
  return {};
}

}  // namespace

std::optional<model::Sequence> highest_told(const std::filesystem::path& directory) {
  const auto file = directory / "positions.db";
  std::error_code code;
  if (!std::filesystem::exists(file, code)) return std::nullopt;
  auto connection = Connection::open(file, Connection::Mode::read);
  if (!connection) return std::nullopt;
  const auto whole = connection->number(kIsWhole);
  const auto format = connection->number("PRAGMA user_version");
  if (!whole || *whole != 1 || !format || *format != kFormat) return std::nullopt;
  // What no sequence can be was not written by us.
  auto highest = Statement::prepare(
      *connection,
      "SELECT epoch, head FROM consumers WHERE epoch BETWEEN 1 AND 4294967295 AND floor <= head "
      "AND head BETWEEN 0 AND 999999999999999999 ORDER BY epoch DESC, head DESC LIMIT 1");
  if (!highest || highest->step() != SQLITE_ROW) return std::nullopt;
  return model::Sequence{static_cast<model::Epoch>(highest->integer(0)),
                         static_cast<model::Position>(highest->integer(1))};
}

std::string encode_open(const std::vector<ConsumerState::Open>& open) {
  std::string out;
  model::Position before = 0;
  for (const auto& entry : open) {
    append_number(out, entry.position - before);
    append_number(out, entry.attempts);
    append_number(out, entry.key);
    before = entry.position;
  }
  return out;
}

Result<std::vector<ConsumerState::Open>> decode_open(std::string_view bytes) {
  std::vector<ConsumerState::Open> open;
  model::Position before = 0;
  while (!bytes.empty()) {
    std::uint64_t distance = 0, attempts = 0, key = 0;
    if (!take_number(bytes, distance) || !take_number(bytes, attempts) ||
        !take_number(bytes, key)) {
      return permanent("a list of positions is cut short");
    }
    before += distance;
    open.push_back({before, static_cast<std::uint32_t>(attempts), key});
  }
  return open;
}

struct Positions::Parts {
  Guarded<Base> base;
};

Positions::Positions(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Positions::~Positions() = default;

Result<std::unique_ptr<Positions>> Positions::open(const std::filesystem::path& directory) {
  VOXBUS_CHECK(make_directory(directory));
  const auto file = directory / "positions.db";
  VOXBUS_TRY(opened, open_whole(file));
  if (!opened.damage.empty()) {
    VOXBUS_CHECK(set_aside(file, opened.damage));
    VOXBUS_TRY(fresh, open_whole(file));
    if (!fresh.damage.empty())
      return permanent("cannot create " + file.string() + ": " + fresh.damage);
    opened = std::move(fresh);
    opened.base.is_new = false;  // it was said why
  }
  auto parts = std::make_unique<Parts>();
  parts->base.with([&](Base& base) { base = std::move(opened.base); });
  return std::unique_ptr<Positions>(new Positions(std::move(parts)));
}

bool Positions::is_new() const {
  return parts_->base.with([](const Base& base) { return base.is_new; });
}

namespace {

Status done(const Connection& connection, int code, std::string_view act) {
  if (code == SQLITE_OK || code == SQLITE_DONE) return {};
  return connection.error(act);
}

}  // namespace

Result<std::vector<StoredConsumer>> Positions::load() {
  return parts_->base.with([](Base& base) -> Result<std::vector<StoredConsumer>> {
    std::vector<StoredConsumer> all;
    int code = SQLITE_ROW;
    while ((code = base.load.step()) == SQLITE_ROW) {
      StoredConsumer consumer;
      consumer.id = base.load.integer(0);
      consumer.name = base.load.bytes(1);
      consumer.created = base.load.bytes(2);
      consumer.spec = base.load.bytes(3);
      consumer.epoch = static_cast<model::Epoch>(base.load.integer(4));
      consumer.state.head = static_cast<model::Position>(base.load.integer(5));
      consumer.state.floor = static_cast<model::Position>(base.load.integer(6));
      auto open = decode_open(base.load.bytes(7));
      if (!open)
        log::warn("consumer {}: {}; what was in flight is not delivered again", consumer.name,
                  open.error().message);
      else
        consumer.state.open = std::move(*open);
      all.push_back(std::move(consumer));
    }
    const auto status = done(*base.connection, code, "read the consumers' positions");
    base.load.reset();
    if (!status) return status.error();
    return all;
  });
}

Result<std::int64_t> Positions::insert(const StoredConsumer& consumer) {
  return parts_->base.with([&](Base& base) -> Result<std::int64_t> {
    const auto open = encode_open(consumer.state.open);
    base.insert.bind_text(1, consumer.name)
        .bind_text(2, consumer.created)
        .bind_text(3, consumer.spec);
    base.insert.bind(4, consumer.epoch).bind(5, static_cast<std::int64_t>(consumer.state.head));
    base.insert.bind(6, static_cast<std::int64_t>(consumer.state.floor)).bind_blob(7, open);
    VOXBUS_CHECK(done(*base.connection, base.insert.execute(), "keep consumer " + consumer.name));
    return static_cast<std::int64_t>(sqlite3_last_insert_rowid(base.connection->get()));
  });
}

Status Positions::change_spec(std::int64_t id, const std::string& spec) {
  return parts_->base.with([&](Base& base) {
    base.change_spec.bind(1, id).bind_text(2, spec);
    return done(*base.connection, base.change_spec.execute(), "change a consumer");
  });
}

Status Positions::save(std::int64_t id, model::Epoch epoch, const ConsumerState::Snapshot& state,
                       const std::vector<ParkedEvent>& parked,
                       const std::vector<model::Position>& taken_up) {
  return parts_->base.with([&](Base& base) -> Status {
    const bool several = !parked.empty() || !taken_up.empty();
    const auto write = [&]() -> Status {
      const auto open = encode_open(state.open);
      base.save.bind(1, id).bind(2, epoch).bind(3, static_cast<std::int64_t>(state.head));
      base.save.bind(4, static_cast<std::int64_t>(state.floor)).bind_blob(5, open);
      VOXBUS_CHECK(done(*base.connection, base.save.execute(), "keep a consumer's position"));
      for (const auto position : taken_up) {
        base.take_up.bind(1, id).bind(2, static_cast<std::int64_t>(position));
        VOXBUS_CHECK(done(*base.connection, base.take_up.execute(), "take up a parked event"));
      }
      for (const auto& event : parked) {
        base.park.bind(1, id).bind(2, static_cast<std::int64_t>(event.position));
        base.park.bind(3, event.attempts).bind_text(4, event.since);
        VOXBUS_CHECK(done(*base.connection, base.park.execute(), "park an event"));
      }
      return {};
    };
    if (!several) return write();
    VOXBUS_CHECK(base.connection->run("BEGIN IMMEDIATE"));
    auto status = write();
    if (status) status = base.connection->run("COMMIT");
    // What failed in the middle leaves nothing behind; there may be nothing left to roll back.
    if (!status && sqlite3_get_autocommit(base.connection->get()) == 0) {
      if (const auto back = base.connection->run("ROLLBACK"); !back)
        log::error("{}", back.error().message);
    }
    return status;
  });
}

Status Positions::remove(std::int64_t id) {
  return parts_->base.with([&](Base& base) {
    base.remove.bind(1, id);
    return done(*base.connection, base.remove.execute(), "remove a consumer");
  });
}

Result<std::vector<ParkedEvent>> Positions::parked(std::int64_t id, model::Position after,
                                                   std::size_t max) {
  return parts_->base.with([&](Base& base) -> Result<std::vector<ParkedEvent>> {
    std::vector<ParkedEvent> all;
    base.parked.bind(1, id)
        .bind(2, static_cast<std::int64_t>(after))
        .bind(3, static_cast<std::int64_t>(max));
    int code = SQLITE_ROW;
    while ((code = base.parked.step()) == SQLITE_ROW) {
      all.push_back({static_cast<model::Position>(base.parked.integer(0)),
                     static_cast<std::uint32_t>(base.parked.integer(1)),
                     std::string(base.parked.bytes(2))});
    }
    const auto status = done(*base.connection, code, "read parked events");
    base.parked.reset();
    if (!status) return status.error();
    return all;
  });
}

namespace {

Result<std::int64_t> number_of(const Connection& connection, Statement& statement) {
  const int code = statement.step();
  if (code != SQLITE_ROW) {
    auto error = connection.error("count parked events");
    statement.reset();
    return error;
  }
  const auto number = statement.integer(0);
  statement.reset();
  return number;
}

}  // namespace

Result<std::uint64_t> Positions::parked_count(std::int64_t id) {
  return parts_->base.with([&](Base& base) -> Result<std::uint64_t> {
    base.count.bind(1, id);
    VOXBUS_TRY(count, number_of(*base.connection, base.count));
    return static_cast<std::uint64_t>(count);
  });
}

Result<bool> Positions::is_parked(std::int64_t id, model::Position position) {
  return parts_->base.with([&](Base& base) -> Result<bool> {
    base.is_parked.bind(1, id).bind(2, static_cast<std::int64_t>(position));
    VOXBUS_TRY(count, number_of(*base.connection, base.is_parked));
    return count > 0;
  });
}

Status Positions::forget_parked_after(std::int64_t id, model::Position position) {
  return parts_->base.with([&](Base& base) {
    base.forget.bind(1, id).bind(2, static_cast<std::int64_t>(position));
    return done(*base.connection, base.forget.execute(), "forget parked events");
  });
}

}  // namespace voxbus::bus
