// SPDX-License-Identifier: Apache-2.0
// Exports more than its entry.

#include "raw_entry.hpp"

const voxbus_plugin voxbus_plugin_entry = raw::entry("org.example.second_symbol");

extern "C" VOXBUS_EXPORT int second_symbol_is_one_too_many() { return 2; }
