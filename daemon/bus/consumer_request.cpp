// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/units.hpp"
#include "bus/consumers.hpp"

namespace voxbus::bus {
namespace {

using Cause = Refusal::Cause;

// A whole number between the bounds, or nothing.
std::optional<std::int64_t> number_within(const json::value& value, std::int64_t low,
                                          std::int64_t high) {
  std::int64_t number = 0;
  if (value.is_int64())
    number = value.get_int64();
  else if (value.is_uint64() && value.get_uint64() <= INT64_MAX)
    number = static_cast<std::int64_t>(value.get_uint64());
  else
    return std::nullopt;
  if (number < low || number > high) return std::nullopt;
  return number;
}

}  // namespace

bool is_consumer_name(std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 64 && plain(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return plain(c) || c == '.' || c == '_' || c == '-'; });
}

ConsumerSpec ConsumerRequest::applied_to(ConsumerSpec spec) const {
  if (filter) spec.filter = *filter;
  if (max_in_flight) spec.rules.max_in_flight = *max_in_flight;
  if (ack_within) spec.rules.ack_within = *ack_within;
  if (max_deliver) spec.rules.max_deliver = *max_deliver;
  if (group) spec.rules.group = *group;
  return spec;
}

Outcome<ConsumerRequest> read_consumer_request(const json::object& body) {
  ConsumerRequest request;
  for (const auto& [key, value] : body) {
    const std::string name(key.data(), key.size());
    const auto bad = [&](std::string_view why) {
      return refuse(Cause::invalid, name + ": " + std::string(why), name);
    };
    if (name == "from") {
      if (!value.is_string()) return bad("a text is expected");
      request.from.assign(value.get_string().data(), value.get_string().size());
    } else if (name == "filter") {
      if (!value.is_object()) return bad("an object is expected");
      auto filter = Filter::from_json(value.get_object());
      if (!filter) return refuse(Cause::invalid, filter.error().message, name);
      request.filter = std::move(*filter);
    } else if (name == "max_in_flight") {
      const auto number = number_within(value, 1, 10'000);
      if (!number) return bad("a number from 1 to 10000 is expected");
      request.max_in_flight = static_cast<std::size_t>(*number);
    } else if (name == "max_deliver") {
      const auto number = number_within(value, 1, 1000);
      if (!number) return bad("a number from 1 to 1000 is expected");
      request.max_deliver = static_cast<std::uint32_t>(*number);
    } else if (name == "ack_within") {
      const auto text = json::text_at(body, name);
      const auto duration =
          text ? parse_duration(*text)
               : Result<std::chrono::milliseconds>(permanent("a text such as 30s is expected"));
      if (!duration) return bad(duration.error().message);
      if (*duration < std::chrono::milliseconds(10) || *duration > std::chrono::hours(12)) {
        return bad("from 10ms to 12h are possible");
      }
      request.ack_within = *duration;
    } else if (name == "group") {
      if (!value.is_bool()) return bad("true or false is expected");
      request.group = value.get_bool();
    } else {
      return bad(
          "unknown member; known are from, filter, max_in_flight, ack_within, max_deliver, group");
    }
  }
  return request;
}

}  // namespace voxbus::bus
