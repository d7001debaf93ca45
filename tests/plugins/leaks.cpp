// SPDX-License-Identifier: Apache-2.0
// Takes memory without end and gives none back.

#include <cstdlib>
#include <cstring>

#include "voxbus/plugin.hpp"

class Leaks final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.leaks",
                                        .version = "1.0.0",
                                        .summary = "Takes memory without end",
                                        .memory = voxbus::Size::mebibytes(256)};
  struct Settings {
    voxbus::Size step = voxbus::Size::mebibytes(16);
    voxbus::Size most = voxbus::Size::gibibytes(10);
    void fields(auto& field) {
      field("step", step, "Bytes taken at a time");
      field("most", most, "Bytes after which it stops taking more");
    }
  };
  explicit Leaks(Settings settings) : settings_{settings} {}

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context& context) override {
    for (; taken_ < settings_.most.bytes && !context.stopping(); taken_ += settings_.step.bytes) {
      void* block = std::malloc(settings_.step.bytes);
      if (!block) throw std::bad_alloc{};
      std::memset(block, 1, settings_.step.bytes);
      last_ = block;  // the one before is lost
    }
    return voxbus::Batch{};
  }

 private:
  Settings settings_;
  std::uint64_t taken_ = 0;
  void* volatile last_ = nullptr;
};

VOXBUS_PLUGIN(Leaks);
