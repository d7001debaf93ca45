// SPDX-License-Identifier: Apache-2.0
// The part of an event that is sealed: time, schema and data as one JSON object, put together from
// pieces that are JSON already. Pure; appends to the caller's buffer.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "journal/journal.hpp"
#include "model/item.hpp"

namespace voxbus::journal {

// What the journal adds to an item's record.
struct Placed {
  std::string_view channel;
  std::string_view plugin;
  std::string_view record;  // the item's, as it is stored
  std::uint32_t revision = 1;
  bool historic = false;
  TimePoint recorded;
  std::string_view raw;  // the row's own sequence when evidence is kept beside it, else empty
};
void append_item_body(std::string& out, const model::Item& item, const Placed& placed);
void append_fact_body(std::string& out, const Fact& fact, TimePoint recorded);

}  // namespace voxbus::journal
