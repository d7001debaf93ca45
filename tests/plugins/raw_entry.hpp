// SPDX-License-Identifier: Apache-2.0
//
// For broken plugins that speak the ABI by hand and differ from a quiet one in a single thing:
//
//     const voxbus_plugin voxbus_plugin_entry = raw::entry("org.example.name");
#pragma once

#include "voxbus/abi.h"

extern "C" VOXBUS_EXPORT const voxbus_plugin voxbus_plugin_entry;

namespace raw {

inline voxbus_status describe(const voxbus_writer* writer) {
  writer->write(writer, {"{}", 2});
  return VOXBUS_OK;
}
inline voxbus_status create(const voxbus_host*, const voxbus_call*, voxbus_view,
                            voxbus_channel** channel) {
  static char the_channel;
  *channel = reinterpret_cast<voxbus_channel*>(&the_channel);
  return VOXBUS_OK;
}
inline void destroy(voxbus_channel*) {}
inline voxbus_status poll(voxbus_channel*, const voxbus_call*, voxbus_view) { return VOXBUS_OK; }
inline void stop(voxbus_channel*) {}
inline const void* capability(const char*) { return nullptr; }

constexpr voxbus_plugin entry(const char* id) {
  return {sizeof(voxbus_plugin),
          VOXBUS_ABI_MAJOR,
          VOXBUS_ABI_MINOR,
          id,
          "1.0.0",
          describe,
          create,
          destroy,
          poll,
          stop,
          capability};
}

}  // namespace raw
