// SPDX-License-Identifier: Apache-2.0
// Exports more than its entry.

#include "raw_entry.hpp"

extern "C" {
extern VOXBUS_EXPORT const voxbus_plugin voxbus_plugin_entry;
const voxbus_plugin voxbus_plugin_entry{sizeof(voxbus_plugin),
                                        VOXBUS_ABI_MAJOR,
                                        VOXBUS_ABI_MINOR,
                                        "org.example.second_symbol",
                                        "1.0.0",
                                        raw::describe,
                                        raw::create,
                                        raw::destroy,
                                        raw::poll,
                                        raw::stop,
                                        raw::capability};

VOXBUS_EXPORT int second_symbol_is_one_too_many() { return 2; }
}
