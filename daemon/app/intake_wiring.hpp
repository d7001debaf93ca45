// SPDX-License-Identifier: Apache-2.0
// Ties host and intake together, which know nothing of each other. Any thread.
#pragma once

#include "host/intake_port.hpp"

namespace voxbus::app {

[[nodiscard]] host::Intake make_intake(const host::Start& start);

}  // namespace voxbus::app
