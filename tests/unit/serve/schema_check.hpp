// SPDX-License-Identifier: Apache-2.0
// As much of JSON Schema 2020-12 as our own schemas use, for tests that hold records against them.
// Pure, any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/json.hpp"

namespace voxbus::test {

// What is wrong with `value` by the schema of that name; empty: nothing. An unknown keyword in the
// schema is a fault too, so that this check cannot fall behind.
[[nodiscard]] std::string schema_fault(std::string_view schema, const json::value& value);

}  // namespace voxbus::test
