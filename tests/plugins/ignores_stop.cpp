// SPDX-License-Identifier: Apache-2.0
// Emits one item and then never returns from poll, whoever asks.

#include <poll.h>

#include "voxbus/plugin.hpp"

class IgnoresStop final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.ignores_stop",
                                        .version = "1.0.0",
                                        .summary = "Never returns from poll",
                                        .stop_within = std::chrono::milliseconds{300}};
  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since,
                                     voxbus::Context& context) override {
    if (since.empty()) {
      (void)context.emit(voxbus::Item{.native_id = "1", .record = {.text = "before it hangs"}});
      (void)context.commit({"1"});
    }
    for (volatile bool forever = true; forever;) ::poll(nullptr, 0, 1000);
    return voxbus::Batch{};
  }
};

VOXBUS_PLUGIN(IgnoresStop);
