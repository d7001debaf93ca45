// SPDX-License-Identifier: Apache-2.0
//
// Durations and sizes as administrators write them: "30s", "4MiB". A number without a unit is
// refused, except 0. Pure functions; the daemon reads its own files by the same rules.
#ifndef VOXBUS_UNITS_HPP
#define VOXBUS_UNITS_HPP

#include <charconv>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

namespace voxbus {

// A number of bytes.
struct Size {
  std::uint64_t bytes = 0;

  static constexpr Size kibibytes(std::uint64_t n) { return {n << 10}; }
  static constexpr Size mebibytes(std::uint64_t n) { return {n << 20}; }
  static constexpr Size gibibytes(std::uint64_t n) { return {n << 30}; }
  friend constexpr bool operator==(const Size&, const Size&) = default;
  friend constexpr bool operator<(const Size& a, const Size& b) { return a.bytes < b.bytes; }
};

namespace detail {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
// In milliseconds and in bytes; for printing, the first that divides the number.
inline constexpr Unit kDurationUnits[] = {
    {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
inline constexpr Unit kSizeUnits[] = {{"GiB", std::uint64_t{1} << 30},
                                      {"MiB", std::uint64_t{1} << 20},
                                      {"KiB", std::uint64_t{1} << 10},
                                      {"GB", 1'000'000'000},
                                      {"MB", 1'000'000},
                                      {"kB", 1'000},
                                      {"B", 1}};

template<std::size_t N>
std::optional<std::uint64_t> parse_with_unit(std::string_view text, const Unit (&units)[N]) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  const std::string_view name{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  if (name.empty() && number == 0) return 0;
  for (const Unit& unit : units) {
    if (name != unit.name) continue;
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (number > kMost / unit.factor) return std::nullopt;
    return number * unit.factor;
  }
  return std::nullopt;
}

template<std::size_t N>
std::string show_with_unit(std::uint64_t number, const Unit (&units)[N], std::string_view none) {
  if (number == 0) return std::string{none};
  for (const Unit& unit : units) {
    if (number % unit.factor == 0) {
      return std::to_string(number / unit.factor) + std::string{unit.name};
    }
  }
  return {};
}

}  // namespace detail

inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto count = detail::parse_with_unit(text, detail::kDurationUnits);
  if (!count) return std::nullopt;
  return std::chrono::milliseconds{static_cast<std::int64_t>(*count)};
}
inline std::string show(std::chrono::milliseconds duration) {
  return detail::show_with_unit(static_cast<std::uint64_t>(duration.count()),
                                detail::kDurationUnits, "0s");
}

inline std::optional<Size> parse_size(std::string_view text) {
  const auto count = detail::parse_with_unit(text, detail::kSizeUnits);
  if (!count) return std::nullopt;
  return Size{*count};
}
inline std::string show(Size size) {
  return detail::show_with_unit(size.bytes, detail::kSizeUnits, "0B");
}

}  // namespace voxbus

#endif  // VOXBUS_UNITS_HPP
