// SPDX-License-Identifier: Apache-2.0
// The look at a journal before it is trusted: the small tables, the newest rows (all of a small
// journal), and whether it ends where we said it does. Reads only; called once at start, under the
// lock.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "journal/file.hpp"
#include "journal/keys.hpp"
#include "journal/witness.hpp"

namespace voxbus::journal {

// What the threads start from.
struct Standing {
  Frame frame;
  Names names;
  model::Position oldest = 1;
  model::Position end = 0;  // the last position that is given away, by a row or a gap
  TimePoint recorded{};     // of the last row
  Digest chain{};           // likewise
  std::uint64_t quarantined = 0;
};

struct Examined {
  std::optional<Standing> standing;  // nothing: it must be salvaged
  std::string damage;                // why
};

// Errors: only such as say nothing about the journal (no memory, no descriptor, no permission).
[[nodiscard]] Result<Examined> examine(const std::filesystem::path& directory, const Keys& keys,
                                       const std::optional<Told>& told, const std::string& vfs);

// Whether the names and their copy can be read and are the same.
[[nodiscard]] bool names_agree(const Connection& connection);

// The chain of the last row at or before a position; zeros before the first.
[[nodiscard]] Result<Digest> chain_at(const Connection& connection, model::Position position);

}  // namespace voxbus::journal
