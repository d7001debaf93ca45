// SPDX-License-Identifier: Apache-2.0
// How we look at what a plugin hands over, and how we come back to it: nothing beyond the sizes
// that the ABI promised, and no exception into its frames. Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "voxbus/abi.h"

namespace voxbus::host {

// Sizes that structs of the plugin's had in ABI 0.1: what may be read whatever is appended later.
inline constexpr std::uint32_t kItem01 = 88, kAttachment01 = 56, kFailure01 = 32, kProbe01 = 16,
                               kReread01 = 16;
static_assert(sizeof(voxbus_item) == kItem01 && sizeof(voxbus_attachment) == kAttachment01 &&
              sizeof(voxbus_failure) == kFailure01 && sizeof(voxbus_probe_1) == kProbe01 &&
              sizeof(voxbus_reread_1) == kReread01);

// Whether a view can be looked at.
[[nodiscard]] inline bool is_sound(voxbus_view view) {
  return view.size == 0 || view.data != nullptr;
}
[[nodiscard]] inline std::string_view text_of(voxbus_view view) {
  return {view.data, static_cast<std::size_t>(view.size)};
}

// Nothing that we call may throw into the plugin's C frames.
template<class Action>
voxbus_status guarded_status(Action&& action) noexcept {
  try {
    return action();
  } catch (...) {
    return VOXBUS_RETRY;
  }
}

}  // namespace voxbus::host
