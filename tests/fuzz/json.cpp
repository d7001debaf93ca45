// SPDX-License-Identifier: Apache-2.0
// What the SDK's JSON reader takes, it writes and reads again as the same.

#include "voxbus/json.hpp"

#include "check.hpp"
#include "voxbus/record_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto json = voxbus::Json::parse(bytes_of(data, size));
  if (!json) return 0;
  const std::string text = json->dump();
  const auto again = voxbus::Json::parse(text);
  demand(again.has_value(), "its own output can be read");
  demand(again->dump() == text, "and is the same");
  (void)voxbus::RecordCheck::check(*json);
  return 0;
}
