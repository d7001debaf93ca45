// SPDX-License-Identifier: Apache-2.0
// The little of SQLite that the journal uses: connections, statements, and what a failure means for
// us. A connection and its statements belong to one thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.hpp"
#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace voxbus::journal {

// Pages of every journal file. A fact of format 1: the salvage relies on it when the header is
// gone.
inline constexpr std::size_t kPageSize = 8192;

enum class Trouble {
  full,     // no space left: wait
  busy,     // somebody else reads or writes: try again
  damaged,  // the file is not what SQLite wrote
  broken,   // the device, the memory or we are: stop
};

class Connection {
 public:
  enum class Mode {
    create,     // writes, makes the file
    write,      // writes
    read,       // reads beside a writer; never checkpoints, not even when it is the last to close
    immutable,  // reads the main file alone and touches nothing at all, no lock, no WAL
  };
  [[nodiscard]] static Result<Connection> open(const std::filesystem::path& file, Mode mode,
                                               const std::string& vfs = {});
  ~Connection();
  Connection(Connection&& other) noexcept;
  Connection& operator=(Connection&& other) noexcept;

  [[nodiscard]] Status run(const char* sql);
  [[nodiscard]] Result<std::int64_t> number(const char* sql);  // the first column of the first row
  [[nodiscard]] sqlite3* get() const { return db_; }
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }

  // What the last failed call on this connection means.
  [[nodiscard]] Trouble trouble(int code) const;
  [[nodiscard]] Error error(std::string_view act) const;

 private:
  Connection(sqlite3* db, std::filesystem::path file) : db_(db), file_(std::move(file)) {}
  sqlite3* db_ = nullptr;
  std::filesystem::path file_;
};

class Statement {
 public:
  Statement() = default;
  [[nodiscard]] static Result<Statement> prepare(const Connection& connection,
                                                 std::string_view sql);
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;

  // Columns are counted from 1. Text and blobs are not copied: they live until reset().
  Statement& bind(int at, std::int64_t value);
  Statement& bind_text(int at, std::string_view text);
  Statement& bind_blob(int at, std::string_view bytes);
  Statement& bind_null(int at);
  template<class Array>
  Statement& bind_array(int at, const std::optional<Array>& bytes) {
    return bytes ? bind_blob(at, as_text(*bytes)) : bind_null(at);
  }

  [[nodiscard]] int step();     // SQLite's code
  [[nodiscard]] int execute();  // steps to the end, resets; SQLITE_OK or the failure
  void reset();

  // Columns are counted from 0; views live until the next step.
  [[nodiscard]] std::int64_t integer(int at) const;
  [[nodiscard]] std::string_view bytes(int at) const;  // of text as well
  [[nodiscard]] bool null(int at) const;

 private:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace voxbus::journal
