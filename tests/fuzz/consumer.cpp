// SPDX-License-Identifier: Apache-2.0
// Any bytes are the body of PUT /v1/consumers/NAME, whose filter has one canonical form, or none;
// and any bytes are a list of open positions, or none.

#include "base/json.hpp"
#include "bus/consumers.hpp"
#include "bus/positions.hpp"
#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace voxbus;
  const auto bytes = bytes_of(data, size);
  if (const auto open = bus::decode_open(bytes)) {
    const auto again = bus::decode_open(bus::encode_open(*open));
    demand(again && *again == *open, "positions come back as they were written");
  }
  const auto body = json::parse(bytes);
  if (!body || !body->is_object()) return 0;
  const auto request = bus::read_consumer_request(body->get_object());
  if (!request) {
    demand(!request.error().detail.empty(), "a refusal says why");
    return 0;
  }
  const auto spec = request->applied_to({});
  const auto again = bus::Filter::from_json(spec.filter.to_json());
  demand(again && again->canonical() == spec.filter.canonical(), "one canonical form");
  return 0;
}
