// SPDX-License-Identifier: Apache-2.0
#include "base/units.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>

namespace voxbus {
namespace {

template<std::size_t N>
Result<std::uint64_t> scaled(std::string_view text,
                             const std::pair<std::string_view, std::uint64_t> (&units)[N],
                             std::string_view example) {
  const auto wrong = [&] {
    return permanent("'" + std::string(text.substr(0, 64)) + "' has no known unit: write " +
                     std::string(example));
  };
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc{}) return wrong();
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (unit.empty() && number == 0) return std::uint64_t{0};
  for (const auto& [name, factor] : units) {
    if (unit != name) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / factor) {
      return permanent("'" + std::string(text) + "' is too large");
    }
    return number * factor;
  }
  return wrong();
}

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  static constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  VOXBUS_TRY(count, scaled(text, kUnits, "250ms, 30s, 5m, 2h or 7d"));
  return std::chrono::milliseconds(static_cast<std::int64_t>(count));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  static constexpr std::pair<std::string_view, std::uint64_t> kUnits[] = {{"B", 1},
                                                                          {"KiB", 1ull << 10},
                                                                          {"MiB", 1ull << 20},
                                                                          {"GiB", 1ull << 30},
                                                                          {"TiB", 1ull << 40},
                                                                          {"kB", 1'000},
                                                                          {"MB", 1'000'000},
                                                                          {"GB", 1'000'000'000}};
  return scaled(text, kUnits, "512B, 64KiB, 32MiB or 1GiB");
}

std::string format_duration(std::chrono::milliseconds duration) {
  const auto count = duration.count();
  if (count < 1000) return fmt::format("{}ms", count);
  const auto total = count / 1000;
  if (total < 60) return fmt::format("{}s", total);
  if (total < 3600)
    return total % 60 ? fmt::format("{}m {}s", total / 60, total % 60)
                      : fmt::format("{}m", total / 60);
  if (total < 86'400) {
    const auto minutes = total % 3600 / 60;
    return minutes ? fmt::format("{}h {}m", total / 3600, minutes)
                   : fmt::format("{}h", total / 3600);
  }
  const auto hours = total % 86'400 / 3600;
  return hours ? fmt::format("{}d {}h", total / 86'400, hours) : fmt::format("{}d", total / 86'400);
}

std::string format_size(std::uint64_t bytes) {
  static constexpr const char* kNames[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kNames); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kNames[unit]);
}

}  // namespace voxbus
