// SPDX-License-Identifier: Apache-2.0
// Waits in its poll, hangs there, or says that a part of it does not work, as its settings say, and
// answers a probe meanwhile.

#include <poll.h>

#include <array>

#include "voxbus/plugin.hpp"

class Moods final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.moods",
                                        .version = "1.0.0",
                                        .summary = "Waits or hangs, and answers a probe",
                                        .isolation = voxbus::Isolation::kProcessOrInline,
                                        .stop_within = std::chrono::milliseconds{300}};
  struct Settings {
    std::string trouble;
    std::string part;
    bool hangs = false, probe_hangs = false, probe_fails = false;
    void fields(auto& field) {
      field("trouble", trouble, "What the probe says; nothing: all is well");
      field("hangs", hangs, "Never return from poll and say nothing, until stop");
      field("probe_hangs", probe_hangs, "The same of the probe");
      field("probe_fails", probe_fails, "Fail the probe without a word");
      field("part", part, "What of it does not work, though each poll goes on");
    }
  };
  explicit Moods(Settings settings) : settings_{std::move(settings)} {}

  voxbus::Result<void> probe(voxbus::Context& context) {
    if (settings_.probe_hangs) hang(context.wake_fd());
    if (settings_.probe_fails) return voxbus::Error::retry("");
    if (settings_.trouble.empty()) return {};
    return voxbus::Error::retry(settings_.trouble);
  }

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor&, voxbus::Context& context) override {
    if (!settings_.part.empty()) {
      context.trouble(settings_.part);
    } else if (settings_.hangs) {
      hang(context.wake_fd());
    } else {
      (void)context.wait(std::chrono::hours{1});
    }
    return voxbus::Batch{};
  }

 private:
  static void hang(int wake) {
    std::array<pollfd, 1> watched{{{wake, POLLIN, 0}}};
    ::poll(watched.data(), watched.size(), -1);
  }
  const Settings settings_;
};

VOXBUS_PLUGIN(Moods);
