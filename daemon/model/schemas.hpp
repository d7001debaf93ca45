// SPDX-License-Identifier: Apache-2.0
// The JSON Schemas of all records (daemon/model/schemas), compiled in; served by the daemon and
// used by its tests. Immutable, any thread.
#pragma once

#include <span>
#include <string_view>

namespace voxbus::model {

struct Schema {
  std::string_view name;  // "interaction.v1"
  std::string_view text;  // the JSON document
};
[[nodiscard]] std::span<const Schema> schemas();

}  // namespace voxbus::model
