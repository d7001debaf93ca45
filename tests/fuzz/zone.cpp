// SPDX-License-Identifier: Apache-2.0
// Any bytes are a time zone with at least one moment for each local time, or none.

#include "check.hpp"
#include "kit/time_zone.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto zone = voxbus::kit::TimeZone::parse(bytes_of(data, size));
  if (!zone) return 0;
  for (const std::int64_t local :
       {std::int64_t{0}, std::int64_t{1'792'888'200}, std::int64_t{4'000'000'000}}) {
    demand(!zone->moments(local).empty(), "a moment for each local time");
  }
  return 0;
}
