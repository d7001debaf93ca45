// SPDX-License-Identifier: Apache-2.0
// Proves a journal whole, row by row, without changing a byte: the hash chain, the seals, unique
// ids, keys, cursors, holes. Works beside a running daemon (in short read transactions) and on a
// stopped journal. Any thread; takes as long as reading the file does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto.hpp"
#include "base/result.hpp"
#include "model/event.hpp"

namespace voxbus::journal {

struct Report {
  std::string installation;
  model::Sequence end;
  std::uint64_t epochs = 0;
  std::uint64_t rows = 0;
  std::uint64_t evidence = 0;       // rows with raw bytes beside them
  std::uint64_t evidence_gone = 0;  // rows that had some: lost with a damaged page, salvaged since
  std::uint64_t erased = 0;         // rows whose key or body was erased: their chain still verifies
  std::uint64_t known_lost = 0;     // positions that an earlier salvage could not bring back
  std::uint64_t channels = 0;       // cursors
  std::uint64_t problem_count = 0;
  std::vector<std::string> problems;  // the first hundred, one sentence each
  [[nodiscard]] bool whole() const { return problem_count == 0; }
};

// `progress(position, end)` now and then; may be empty. Errors: no journal here, no or a wrong
// master key, a newer format.
[[nodiscard]] Result<Report> verify(
    const std::filesystem::path& directory, const std::optional<Key>& master_key,
    const std::function<void(model::Position, model::Position)>& progress);

}  // namespace voxbus::journal
