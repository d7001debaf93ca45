// SPDX-License-Identifier: Apache-2.0
//
// "Sent from my iPhone", in some twenty-five languages: lines that devices and mail programs put
// below somebody's words. Pure, linear.
//
// Decision (2026-11-23): a line is a device's only where it names a device or a mail program and
// nothing else stands there but what always does ("on the … network", "for …", an apology for
// typos). "Sent via DHL, tracking number …" begins in the same way and is somebody's answer, and
// words that are lost weigh more than a line too many.
#pragma once

#include <string_view>

namespace voxbus::kit::mail {

bool is_device_line(std::string_view line);

}  // namespace voxbus::kit::mail
