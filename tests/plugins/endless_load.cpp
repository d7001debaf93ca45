// SPDX-License-Identifier: Apache-2.0
// Never comes back from being loaded.

#include <poll.h>

#include "raw_entry.hpp"

namespace {
__attribute__((constructor)) void on_load() {
  for (volatile bool forever = true; forever;) ::poll(nullptr, 0, 1000);
}
}  // namespace

extern "C" {
extern VOXBUS_EXPORT const voxbus_plugin voxbus_plugin_entry;
const voxbus_plugin voxbus_plugin_entry{sizeof(voxbus_plugin),
                                        VOXBUS_ABI_MAJOR,
                                        VOXBUS_ABI_MINOR,
                                        "org.example.endless_load",
                                        "1.0.0",
                                        raw::describe,
                                        raw::create,
                                        raw::destroy,
                                        raw::poll,
                                        raw::stop,
                                        raw::capability};
}
