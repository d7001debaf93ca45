// SPDX-License-Identifier: Apache-2.0
// Dies while it is loaded.

#include <csignal>

#include "raw_entry.hpp"

namespace {
__attribute__((constructor)) void on_load() { std::raise(SIGSEGV); }
}  // namespace

const voxbus_plugin voxbus_plugin_entry = raw::entry("org.example.crashes_on_load");
