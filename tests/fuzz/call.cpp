// SPDX-License-Identifier: Apache-2.0
// Each line of a Master.csv is a call whose record fits the schema, or is refused.

#include "asterisk_csv.hpp"
#include "check.hpp"
#include "voxbus/record_check.hpp"
#include "voxbus/text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const voxbus::phone::CallOptions kOptions{
      .zone = voxbus::kit::TimeZone::load("Europe/Berlin").value()};
  std::string_view text = bytes_of(data, size);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto call = voxbus::phone::parse_call(line, kOptions);
    if (!call) continue;
    demand(!call->native_id.empty() && call->native_id.size() <= 1024, "an id of 1 to 1024 bytes");
    demand(voxbus::is_utf8(call->native_id), "an id in UTF-8");
    const auto record = voxbus::Json::parse(call->record.json());
    demand(record.has_value(), "a record that is JSON");
    demand(voxbus::RecordCheck::check(*record).empty(), "a record that fits the schema");
  }
  return 0;
}
