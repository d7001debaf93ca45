// SPDX-License-Identifier: Apache-2.0
//
// Functions for broken plugins that speak the ABI by hand and only differ in one of them.
#pragma once

#include "voxbus/abi.h"

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

}  // namespace raw
