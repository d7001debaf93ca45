// SPDX-License-Identifier: Apache-2.0
// Durations and sizes as administrators write them: always with a unit. Any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace voxbus {

// "250ms", "30s", "5m", "2h", "7d" or "0".
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// "512B", "64KiB", "32MiB", "1GiB", "10kB", "5MB", "2GB" or "0"; bytes.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);  // "1h 5m", "250ms"
[[nodiscard]] std::string format_size(std::uint64_t bytes);                     // "3.2 MiB"

}  // namespace voxbus
