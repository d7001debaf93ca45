// SPDX-License-Identifier: Apache-2.0
// Made for a version of the ABI that does not exist.

#include "raw_entry.hpp"

extern "C" {
extern VOXBUS_EXPORT const voxbus_plugin voxbus_plugin_entry;
const voxbus_plugin voxbus_plugin_entry{sizeof(voxbus_plugin),
                                        99,
                                        0,
                                        "org.example.wrong_abi",
                                        "1.0.0",
                                        raw::describe,
                                        raw::create,
                                        raw::destroy,
                                        raw::poll,
                                        raw::stop,
                                        raw::capability};
}
