// SPDX-License-Identifier: Apache-2.0
// Never comes back from making a channel.

#include "voxbus/plugin.hpp"

class EndlessCreate final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.endless_create",
                                        .version = "1.0.0",
                                        .summary = "Never comes back from making a channel"};
  EndlessCreate() {
    for (volatile bool forever = true; forever;) {
    }
  }
  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context&) override {
    return voxbus::Batch{};
  }
};

VOXBUS_PLUGIN(EndlessCreate);
