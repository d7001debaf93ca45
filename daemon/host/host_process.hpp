// SPDX-License-Identifier: Apache-2.0
// The inside of voxbus-host: one plugin, one channel, one socket to the daemon. What the daemon
// passed lies at fixed descriptors; nothing else is open.
#pragma once

#include <string>

#include "host/intake_port.hpp"

namespace voxbus::host {

inline constexpr int kSocketDescriptor = 3;  // to the daemon
inline constexpr int kPluginDescriptor = 4;  // the checked file
inline constexpr int kMarkDescriptor = 5;    // the crash mark

// Runs until the daemon says stop or goes away, and then leaves by _exit, because a plugin's
// destructors are not trusted with the way out. Returns an exit code only when it could not begin.
int run_host_process(const MakeIntake& make_intake, const std::string& build);

}  // namespace voxbus::host
