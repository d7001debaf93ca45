// SPDX-License-Identifier: Apache-2.0
// The rows' part of a salvage, in two passes: gather() collects every row that stands on any page
// and sorts proved from unproved into a staging file; carry_over() writes them in order, with a
// chain made anew. One thread, at start.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "journal/file.hpp"
#include "journal/keys.hpp"
#include "journal/pages.hpp"
#include "journal/witness.hpp"

namespace voxbus::journal {

// The small tables as far as they were found, and the names that rows proved.
struct Gathered {
  std::string installation;
  std::vector<EpochStart> epochs;
  std::vector<Gap> gaps;
  std::vector<Name> names;
  std::map<model::ChannelIdentity, StoredMark> marks;
};
[[nodiscard]] Result<Gathered> gather(const PageSource& source, const Keys& keys,
                                      const std::optional<Told>& told, Connection& staging);

struct Carried {
  std::uint64_t rows = 0;
  std::uint64_t evidence_lost = 0;
  model::Position last = 0;  // of the last row; 0 without one
  std::vector<Gap> gaps;     // before it, known ones included
};
// `target` is an empty journal within its transaction.
[[nodiscard]] Result<Carried> carry_over(const Connection& staging, const Keys& keys,
                                         const Gathered& found, Connection& target);

}  // namespace voxbus::journal
