// SPDX-License-Identifier: Apache-2.0
// A journal file read without SQLite, for the salvage: pages as the last whole commit left them,
// taken from the file and from every frame of the WAL that can be proved (SQLite stops at the first
// that cannot), and the rows that stand on a page, whether or not a tree still leads to them. What
// is found here is not trusted: rows prove themselves. Formats: sqlite.org/fileformat2.html.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/posix.hpp"
#include "base/result.hpp"

namespace voxbus::journal {

class PageSource {
 public:
  // A missing file or WAL is an empty one.
  [[nodiscard]] static Result<PageSource> open(const std::filesystem::path& file);

  [[nodiscard]] std::uint32_t count() const { return count_; }
  // Pages are counted from 1. Empty when it cannot be read.
  [[nodiscard]] std::string page(std::uint32_t number) const;
  // Pages of the WAL that are not what was written, or belong to no whole commit, as they stand:
  // most of their rows may still be.
  [[nodiscard]] std::size_t doubtful_count() const { return doubtful_.size(); }
  [[nodiscard]] std::string doubtful(std::size_t at) const;

 private:
  void read_wal();
  FileDescriptor file_, wal_;
  std::uint32_t count_ = 0;
  std::unordered_map<std::uint32_t, std::uint64_t> frames_;  // page to its place in the WAL
  std::vector<std::uint64_t> doubtful_;
};

struct Value {
  enum class Kind { null, integer, real, text, blob } kind = Kind::null;
  std::int64_t integer = 0;
  std::string bytes;
};
struct FoundRow {
  std::int64_t rowid = 0;
  std::vector<Value> columns;  // the rowid's own column is null
};
// Calls `found` for each row of at most `most_columns` that stands on a table's leaf page; some may
// be garbage.
void scan_page(const PageSource& source, std::string_view page, bool first_page,
               std::size_t most_columns, const std::function<void(FoundRow&)>& found);

}  // namespace voxbus::journal
