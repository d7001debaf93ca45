// SPDX-License-Identifier: Apache-2.0
// When something that is at work was last heard of: what tells waiting from hanging. Beats and
// rests on the thread that works, is asked from any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace voxbus {

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
  // Rests as long as it lives: the silence is somebody else's.
  class Pause {
   public:
    explicit Pause(Pulse& pulse) : pulse_(pulse) { pulse_.rest(); }
    ~Pause() { pulse_.beat(); }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;

   private:
    Pulse& pulse_;
  };

 private:
  static std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
  std::atomic<std::int64_t> last_ = 0;  // steady nanoseconds; 0: not at work, or waiting
};

}  // namespace voxbus
