// SPDX-License-Identifier: Apache-2.0
// The few questions we ask of Boost.JSON everywhere. Pure, any thread.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace voxbus::json {

using boost::json::array;
using boost::json::object;
using boost::json::serialize;
using boost::json::value;

// Strict RFC 8259, valid UTF-8, at most `max_depth` levels. `storage` makes many small parses
// cheap.
[[nodiscard]] Result<value> parse(std::string_view text, std::size_t max_depth = 32,
                                  boost::json::storage_ptr storage = {});

// The member when it is there and of that type, else nothing.
[[nodiscard]] std::optional<std::string_view> text_at(const object& in, std::string_view key);
[[nodiscard]] std::optional<std::int64_t> integer_at(const object& in, std::string_view key);
[[nodiscard]] bool flag_at(const object& in, std::string_view key);  // false when absent
[[nodiscard]] const object* object_at(const object& in, std::string_view key);
[[nodiscard]] const array* array_at(const object& in, std::string_view key);

// Whether an object of `parsed`, which was made of `text`, was given a member twice: readers differ
// in which one they take.
[[nodiscard]] bool has_repeated_keys(std::string_view text, const value& parsed);

// Appends `text` as a JSON string, quotes included.
void append_string(std::string& out, std::string_view text);

}  // namespace voxbus::json
