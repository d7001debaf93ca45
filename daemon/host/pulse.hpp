// SPDX-License-Identifier: Apache-2.0
// When the plugin's code was last heard of: what tells a poll that waits from one that hangs.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace voxbus::host {

// When a lane was last heard of, while the plugin's code runs and is not waiting. Any thread.
class Pulse {
 public:
  void beat() { last_ = now(); }
  void rest() { last_ = 0; }
  [[nodiscard]] std::chrono::milliseconds quiet_for() const {
    const auto last = last_.load();
    if (last == 0) return {};
    return std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::nanoseconds(now() - last));
  }
  // While the host works or blocks (a channel without credit), silence is not the plugin's.
  class Ours {
   public:
    explicit Ours(Pulse& pulse) : pulse_(pulse) { pulse_.rest(); }
    ~Ours() { pulse_.beat(); }
    Ours(const Ours&) = delete;
    Ours& operator=(const Ours&) = delete;

   private:
    Pulse& pulse_;
  };

 private:
  static std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
  std::atomic<std::int64_t> last_ = 0;  // steady nanoseconds; 0: not inside, or waiting
};

}  // namespace voxbus::host
