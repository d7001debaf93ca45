// SPDX-License-Identifier: Apache-2.0
// Closes every descriptor of its process, those of its host among them, and goes on as if nothing
// had happened.

#include <unistd.h>

#include "voxbus/plugin.hpp"

class ClosesDescriptors final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.closes_descriptors",
                                        .version = "1.0.0",
                                        .summary = "Closes every descriptor of its process"};
  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context&) override {
    for (int fd = 0; fd < 4096; ++fd) ::close(fd);
    return voxbus::Batch{.items = {{.native_id = "after", .record = {.text = "still here"}}},
                         .cursor = {"1"}};
  }
};

VOXBUS_PLUGIN(ClosesDescriptors);
