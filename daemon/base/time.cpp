// SPDX-License-Identifier: Apache-2.0
#include "base/time.hpp"

#include <cstdio>

namespace voxbus {

TimePoint SystemClock::now() const {
  return std::chrono::floor<microseconds>(std::chrono::system_clock::now());
}
std::chrono::steady_clock::time_point SystemClock::steady() const {
  return std::chrono::steady_clock::now();
}

namespace {

void append_padded(std::string& out, unsigned value, int width) {
  char digits[10];
  for (int at = width - 1; at >= 0; --at, value /= 10)
    digits[at] = static_cast<char>('0' + value % 10);
  out.append(digits, static_cast<std::size_t>(width));
}

// Reads exactly `width` digits at `at`; -1 when they are not there.
int number_at(std::string_view text, std::size_t at, std::size_t width) {
  if (at + width > text.size()) return -1;
  int value = 0;
  for (std::size_t i = at; i < at + width; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

Error not_a_time(std::string_view text) {
  return permanent("'" + std::string(text.substr(0, 64)) +
                   "' is not a time: write 2026-11-22 or 2026-11-22T17:43:08Z");
}

}  // namespace

bool is_writable(TimePoint time) {
  using namespace std::chrono;
  return time >= kEarliest && time < sys_days{year{9999} / December / 31};
}

void append_rfc3339(std::string& out, TimePoint time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  int year = static_cast<int>(date.year());
  if (year < 0) year = 0;
  append_padded(out, static_cast<unsigned>(year), 4);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.month()), 2);
  out += '-';
  append_padded(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_padded(out, static_cast<unsigned>(clock.hours().count()), 2);
  out += ':';
  append_padded(out, static_cast<unsigned>(clock.minutes().count()), 2);
  out += ':';
  append_padded(out, static_cast<unsigned>(clock.seconds().count()), 2);
  if (clock.subseconds().count() != 0) {
    out += '.';
    append_padded(out, static_cast<unsigned>(clock.subseconds().count()), 6);
  }
  out += 'Z';
}

std::string format_rfc3339(TimePoint time) {
  std::string out;
  out.reserve(27);
  append_rfc3339(out, time);
  return out;
}

Result<TimePoint> parse_rfc3339(std::string_view text) {
  const int year = number_at(text, 0, 4), month = number_at(text, 5, 2),
            day = number_at(text, 8, 2);
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (year < 0 || month < 0 || day < 0 || text[4] != '-' || text[7] != '-' || !date.ok()) {
    return not_a_time(text);
  }
  TimePoint time = std::chrono::sys_days{date};
  if (text.size() == 10) return time;

  const int hour = number_at(text, 11, 2), minute = number_at(text, 14, 2),
            second = number_at(text, 17, 2);
  const bool separators = text.size() >= 20 &&
                          (text[10] == 'T' || text[10] == 't' || text[10] == ' ') &&
                          text[13] == ':' && text[16] == ':';
  if (!separators || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
      second > 60) {
    return not_a_time(text);
  }
  time += std::chrono::hours(hour) + std::chrono::minutes(minute) + seconds(second);

  std::size_t at = 19;
  if (text[at] == '.') {
    int scale = 100'000;
    std::size_t digits = 0;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9';
         ++at, ++digits, scale /= 10) {
      time += microseconds((text[at] - '0') * scale);
    }
    if (digits == 0) return not_a_time(text);
  }
  const auto zone = text.substr(at);
  if (zone == "Z" || zone == "z") return time;
  const int zone_hour = number_at(zone, 1, 2), zone_minute = number_at(zone, 4, 2);
  if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' || zone_hour < 0 ||
      zone_hour > 23 || zone_minute < 0 || zone_minute > 59) {
    return not_a_time(text);
  }
  const auto offset = std::chrono::hours(zone_hour) + std::chrono::minutes(zone_minute);
  return zone[0] == '+' ? time - offset : time + offset;
}

}  // namespace voxbus
