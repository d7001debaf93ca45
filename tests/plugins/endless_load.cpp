// SPDX-License-Identifier: Apache-2.0
// Never comes back from being loaded.

#include <poll.h>

#include "raw_entry.hpp"

namespace {
__attribute__((constructor)) void on_load() {
  for (volatile bool forever = true; forever;) ::poll(nullptr, 0, 1000);
}
}  // namespace

const voxbus_plugin voxbus_plugin_entry = raw::entry("org.example.endless_load");
