// SPDX-License-Identifier: Apache-2.0
// Throws in every poll; the SDK makes a status of it.

#include <stdexcept>

#include "voxbus/plugin.hpp"

class Throws final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.throws",
                                        .version = "1.0.0",
                                        .summary = "Throws in every poll",
                                        .isolation = voxbus::Isolation::kProcessOrInline};
  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context&) override {
    throw std::runtime_error("the tape ran out");
  }
};

VOXBUS_PLUGIN(Throws);
