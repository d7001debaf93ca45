// SPDX-License-Identifier: Apache-2.0
// A thread with a name and a wall: what is thrown out of its body is said in the log, and the
// process ends, because something that others rely on no longer runs. systemd starts it again.
#pragma once

#include <functional>
#include <string>
#include <thread>

namespace voxbus {

// The name is what `top -H` shows, at most 15 bytes.
[[nodiscard]] std::thread start_thread(const std::string& name, std::function<void()> body);

}  // namespace voxbus
