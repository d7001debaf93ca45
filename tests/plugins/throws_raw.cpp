// SPDX-License-Identifier: Apache-2.0
// Lets an exception cross the ABI, which no plugin may.

#include <stdexcept>

#include "raw_entry.hpp"

namespace {
voxbus_status poll_and_throw(voxbus_channel*, const voxbus_call*, voxbus_view) {
  throw std::runtime_error("thrown across the border");
}
constexpr voxbus_plugin throwing() {
  auto entry = raw::entry("org.example.throws_raw");
  entry.poll = poll_and_throw;
  return entry;
}
}  // namespace

const voxbus_plugin voxbus_plugin_entry = throwing();
