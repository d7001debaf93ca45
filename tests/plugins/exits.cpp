// SPDX-License-Identifier: Apache-2.0
// Ends its process when a channel is made.

#include <cstdlib>

#include "voxbus/plugin.hpp"

class Exits final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.exits",
                                        .version = "1.0.0",
                                        .summary = "Ends its process when a channel is made"};
  Exits() { std::exit(0); }
  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context&) override {
    return voxbus::Batch{};
  }
};

VOXBUS_PLUGIN(Exits);
