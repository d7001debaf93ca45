// SPDX-License-Identifier: Apache-2.0
// Lets an exception cross the ABI, which no plugin may.

#include <stdexcept>

#include "raw_entry.hpp"

namespace {
voxbus_status poll_and_throw(voxbus_channel*, const voxbus_call*, voxbus_view) {
  throw std::runtime_error("thrown across the border");
}
}  // namespace

extern "C" {
extern VOXBUS_EXPORT const voxbus_plugin voxbus_plugin_entry;
const voxbus_plugin voxbus_plugin_entry{
    sizeof(voxbus_plugin), VOXBUS_ABI_MAJOR, VOXBUS_ABI_MINOR, "org.example.throws_raw", "1.0.0",
    raw::describe,         raw::create,      raw::destroy,     poll_and_throw,           raw::stop,
    raw::capability};
}
