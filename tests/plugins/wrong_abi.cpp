// SPDX-License-Identifier: Apache-2.0
// Made for a version of the ABI that does not exist.

#include "raw_entry.hpp"

namespace {
constexpr voxbus_plugin of_abi_99() {
  auto entry = raw::entry("org.example.wrong_abi");
  entry.abi_major = 99;
  return entry;
}
}  // namespace

const voxbus_plugin voxbus_plugin_entry = of_abi_99();
