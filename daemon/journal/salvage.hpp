// SPDX-License-Identifier: Apache-2.0
// Brings what is readable of a damaged journal into a new file under a new epoch. The old file is
// kept as `journal.damaged-<time>`. Called at start, under the lock, before any thread.
//
// The new epoch begins behind everything that anybody may have been told, so no position ever means
// two things; positions that did not come back are listed in `gaps`. Where rows were lost, cursors
// written after the first of them are forgotten: the plugin fetches again, and what we still hold
// is dropped as duplicate.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/time.hpp"
#include "journal/keys.hpp"
#include "journal/witness.hpp"

namespace voxbus::journal {

struct Salvaged {
  std::uint64_t rows = 0;      // brought over
  std::uint64_t lost = 0;      // positions that did not come back
  std::uint64_t evidence = 0;  // raw bytes that did not come back
  std::filesystem::path kept;  // the old file; empty: there was none
};

// `installation` is used when nothing in the old file tells it.
[[nodiscard]] Result<Salvaged> salvage(const std::filesystem::path& directory, const Keys& keys,
                                       const std::optional<Told>& told,
                                       const std::string& installation, TimePoint now);

// Puts a finished salvage in the old file's place; the second half of salvage(), done again at the
// next start if a crash came between. Nothing when there was none, else where the old file is kept;
// empty when there was no old file.
[[nodiscard]] Result<std::optional<std::filesystem::path>> finish_salvage(
    const std::filesystem::path& directory, TimePoint now);

}  // namespace voxbus::journal
