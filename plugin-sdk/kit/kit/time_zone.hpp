// SPDX-License-Identifier: Apache-2.0
//
// Local times to UTC by the system's time zone files, without the process-wide state of the C
// library, so that two channels can have two zones. A value, immutable once loaded, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "voxbus/result.hpp"

namespace voxbus::kit {

class TimeZone {
 public:
  // UTC.
  TimeZone() = default;

  // A zone by its IANA name ("Europe/Berlin"), "UTC", or "local" for the system's own.
  static Result<TimeZone> load(const std::string& name);
  // A zone from the content of a TZif file (RFC 8536).
  static Result<TimeZone> parse(std::string_view tzif);

  // The moments, in seconds since 1970 UTC and in order, at which local clocks showed this time,
  // itself given as if it were UTC: one, or two where clocks were put back. Where they were put
  // forward over it, the one moment that the old offset gives.
  std::vector<std::int64_t> moments(std::int64_t local) const;

  // Seconds east of UTC at a moment.
  std::int32_t offset_at(std::int64_t utc) const;

 private:
  struct Change {
    std::int64_t at;
    std::int32_t offset;
  };
  void extend(std::string_view rule);

  std::int32_t first_offset_ = 0;
  std::vector<Change> changes_;
};

// Days since 1970-01-01 of a date of the Gregorian calendar.
std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day);

}  // namespace voxbus::kit
