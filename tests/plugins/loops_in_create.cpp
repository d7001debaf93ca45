// SPDX-License-Identifier: Apache-2.0
// Never comes back from making a channel.

#include "voxbus/plugin.hpp"

class LoopsInCreate final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.loops_in_create",
                                        .version = "1.0.0",
                                        .summary = "Never comes back from making a channel"};
  LoopsInCreate() {
    for (volatile bool forever = true; forever;) {
    }
  }
  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context&) override {
    return voxbus::Batch{};
  }
};

VOXBUS_PLUGIN(LoopsInCreate);
