// SPDX-License-Identifier: Apache-2.0
//
// Emits numbered items and dies over one of them, each time anew, after it has asked to examine it.
// A host that quarantines the record lets it go on behind it.

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "voxbus/plugin.hpp"

class Crashes final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.crashes",
                                        .version = "1.0.0",
                                        .summary = "Dies over one record, each time"};
  enum class How { kSegv, kAbort, kExit, kHang, kKill, kThrow };
  struct Settings {
    std::uint32_t count = 10, at = 5;
    How how = How::kSegv;
    bool examine = true;
    void fields(auto& field) {
      field("count", count, "How many items there are");
      field("at", at, "Over which of them it dies, from 0");
      field("how", how, "The way it dies")
          .choices({{"segv", How::kSegv},
                    {"abort", How::kAbort},
                    {"exit", How::kExit},
                    {"hang", How::kHang},
                    {"kill", How::kKill},
                    {"throw", How::kThrow}});
      field("examine", examine,
            "Asks before it parses; without, nobody can know over what it died");
    }
  };
  explicit Crashes(Settings settings) : settings_{settings} {}

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since,
                                     voxbus::Context& context) override {
    for (auto i = since.empty() ? 0 : std::stoul(since.bytes); i < settings_.count; ++i) {
      const std::string id = "c-" + std::to_string(i);
      const std::string raw = "bytes of " + id;
      const auto examined = settings_.examine ? context.examine(id, raw) : voxbus::Examined::kParse;
      if (examined == voxbus::Examined::kStopped) return voxbus::Batch{};
      if (examined == voxbus::Examined::kParse) {
        if (i == settings_.at) die();
        if (!context.emit(voxbus::Item{.native_id = id, .record = {.text = raw}, .raw = raw})) {
          return voxbus::Batch{};
        }
      }
      if (!context.commit({std::to_string(i + 1)})) return voxbus::Batch{};
    }
    return voxbus::Batch{};
  }

 private:
  void die() const {
    switch (settings_.how) {
      case How::kSegv:
        std::signal(SIGSEGV, SIG_DFL);
        std::raise(SIGSEGV);
        break;
      case How::kAbort:
        std::abort();
      case How::kExit:
        std::_Exit(0);
      case How::kHang:
        for (volatile bool forever = true; forever;) {
        }
        break;
      case How::kKill:  // as the kernel does when memory runs out
        std::raise(SIGKILL);
        break;
      case How::kThrow:
        throw std::out_of_range("no such byte");
    }
  }

  Settings settings_;
};

VOXBUS_PLUGIN(Crashes);
