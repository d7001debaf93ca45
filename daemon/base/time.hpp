// SPDX-License-Identifier: Apache-2.0
// Points in time as the records know them (microseconds, UTC), their RFC 3339 form, and the clock
// that code asks instead of the system, so that tests can set it. Any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace voxbus {

using TimePoint = std::chrono::sys_time<std::chrono::microseconds>;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;
  // Never goes back, unrelated to the calendar.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override;
  [[nodiscard]] std::chrono::steady_clock::time_point steady() const override;
};

// The years that RFC 3339 can write, 0001 to 9999.
inline constexpr TimePoint kEarliest = std::chrono::sys_days{std::chrono::year{1} / 1 / 1};
[[nodiscard]] bool is_writable(TimePoint time);
// "2026-11-22T17:43:08.000123Z"; the fraction is left out when it is zero. Only for a writable
// time.
[[nodiscard]] std::string format_rfc3339(TimePoint time);
void append_rfc3339(std::string& out, TimePoint time);
// RFC 3339 with any offset; "2026-11-22" alone is midnight UTC.
[[nodiscard]] Result<TimePoint> parse_rfc3339(std::string_view text);

}  // namespace voxbus
