// SPDX-License-Identifier: Apache-2.0
#include "journal/sqlite.hpp"

#include <sqlite3.h>

#include <cerrno>
#include <utility>

namespace voxbus::journal {
namespace {

// A path as a file: URI, in which ? # and % would mean something else.
std::string uri_of(const std::filesystem::path& file) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "file:";
  for (const char c : file.string()) {
    if (c == '?' || c == '#' || c == '%') {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

Result<Connection> Connection::open(const std::filesystem::path& file, Mode mode,
                                    const std::string& vfs) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_URI;
  auto name = uri_of(file);
  switch (mode) {
    case Mode::create:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
    case Mode::write:
    case Mode::read:  // the WAL's index is written by readers
      flags |= SQLITE_OPEN_READWRITE;
      break;
    case Mode::immutable:
      flags |= SQLITE_OPEN_READONLY;
      name += "?immutable=1";
      break;
  }
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &db, flags, vfs.empty() ? nullptr : vfs.c_str());
  Connection connection(db, file);
  if (code != SQLITE_OK) return connection.error("open");
  sqlite3_busy_timeout(db, 2000);
  sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 256 << 20);
  if (mode == Mode::read) {
    int on = 0;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &on);
    VOXBUS_CHECK(connection.run("PRAGMA query_only=1; PRAGMA wal_autocheckpoint=0;"));
  }
  // A damaged schema must not make us believe its text.
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return connection;
}

Connection::~Connection() {
  if (db_) sqlite3_close_v2(db_);
}
Connection::Connection(Connection&& other) noexcept
    : db_(std::exchange(other.db_, nullptr)), file_(std::move(other.file_)) {}
Connection& Connection::operator=(Connection&& other) noexcept {
  std::swap(db_, other.db_);
  std::swap(file_, other.file_);
  return *this;
}

Status Connection::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return error("use");
  return {};
}

Result<std::int64_t> Connection::number(const char* sql) {
  VOXBUS_TRY(statement, Statement::prepare(*this, sql));
  if (statement.step() != SQLITE_ROW) return error("read");
  return statement.integer(0);
}

Trouble Connection::trouble(int code) const {
  switch (code & 0xff) {
    case SQLITE_FULL:
      return Trouble::full;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Trouble::busy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Trouble::damaged;
    case SQLITE_IOERR: {
      // Growing the WAL's index reports a full disk as an I/O error; a failed sync is never that.
      const int system = sqlite3_system_errno(db_);
      const bool sync = code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC;
      return !sync && (system == ENOSPC || system == EDQUOT) ? Trouble::full : Trouble::broken;
    }
    default:
      return Trouble::broken;
  }
}

Error Connection::error(std::string_view act) const {
  const int code = db_ ? sqlite3_extended_errcode(db_) : SQLITE_NOMEM;
  const auto kind = db_ ? trouble(code) : Trouble::broken;
  const std::string message = "cannot " + std::string(act) + " " + file_.string() + ": " +
                              (db_ ? sqlite3_errmsg(db_) : "out of memory") + " (SQLite " +
                              std::to_string(code) + ")";
  return kind == Trouble::full || kind == Trouble::busy ? retry(message) : permanent(message);
}

Result<Statement> Statement::prepare(const Connection& connection, std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return connection.error("query");
  }
  return Statement(statement);
}

Statement::~Statement() { sqlite3_finalize(statement_); }
Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)) {}
Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(statement_, other.statement_);
  return *this;
}

Statement& Statement::bind(int at, std::int64_t value) {
  sqlite3_bind_int64(statement_, at, value);
  return *this;
}
Statement& Statement::bind_text(int at, std::string_view text) {
  sqlite3_bind_text(statement_, at, text.data() ? text.data() : "", static_cast<int>(text.size()),
                    SQLITE_STATIC);
  return *this;
}
Statement& Statement::bind_blob(int at, std::string_view bytes) {
  sqlite3_bind_blob(statement_, at, bytes.data() ? bytes.data() : "",
                    static_cast<int>(bytes.size()), SQLITE_STATIC);
  return *this;
}
Statement& Statement::bind_null(int at) {
  sqlite3_bind_null(statement_, at);
  return *this;
}

int Statement::step() { return sqlite3_step(statement_); }
int Statement::execute() {
  int code = SQLITE_ROW;
  while (code == SQLITE_ROW) code = sqlite3_step(statement_);
  sqlite3_reset(statement_);
  return code == SQLITE_DONE ? SQLITE_OK : code;
}
void Statement::reset() { sqlite3_reset(statement_); }

std::int64_t Statement::integer(int at) const { return sqlite3_column_int64(statement_, at); }
std::string_view Statement::bytes(int at) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, at));
  return {data, data ? static_cast<std::size_t>(sqlite3_column_bytes(statement_, at)) : 0};
}
bool Statement::null(int at) const { return sqlite3_column_type(statement_, at) == SQLITE_NULL; }

}  // namespace voxbus::journal
