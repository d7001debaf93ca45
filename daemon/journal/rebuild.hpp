// SPDX-License-Identifier: Apache-2.0
// Brings the index level with the journal at start: reads the rows behind its marker, or all of
// them when it is lost, damaged, ahead or of another journal. One thread, before any other.
#pragma once

#include <filesystem>
#include <memory>

#include "journal/examine.hpp"
#include "journal/index.hpp"
#include "journal/keys.hpp"

namespace voxbus::journal {

struct LevelIndex {
  std::unique_ptr<Index> index;
  KeyId next_key = 1;           // the first that no row uses
  std::uint64_t rows_read = 0;  // to bring it level
  bool made_anew = false;
};
[[nodiscard]] Result<LevelIndex> level_index(const std::filesystem::path& directory,
                                             const Standing& standing, const Keys& keys,
                                             const std::string& vfs);

}  // namespace voxbus::journal
