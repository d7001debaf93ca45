// SPDX-License-Identifier: Apache-2.0
//
// The part of a host's call that the kit needs: whether to stop, and a descriptor that says so.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>

#include "voxbus/channel.hpp"

namespace voxbus::kit::tests {

class FakeCall {
 public:
  FakeCall() : wake_{::eventfd(0, EFD_CLOEXEC)} {
    call_.base = {};
    call_.base.size = sizeof(voxbus_call);
    call_.base.stopping = [](const voxbus_call* call) -> std::int32_t {
      return reinterpret_cast<const Call*>(call)->self->stopped_;
    };
    call_.base.wake_fd = [](const voxbus_call* call) -> std::int32_t {
      return reinterpret_cast<const Call*>(call)->self->wake_;
    };
    call_.self = this;
  }
  ~FakeCall() { ::close(wake_); }

  Context context() { return Context{nullptr, &call_.base}; }
  void stop() {
    stopped_ = 1;
    ::eventfd_write(wake_, 1);
  }

 private:
  struct Call {
    voxbus_call base;
    FakeCall* self;
  };
  Call call_{};
  int wake_;
  std::atomic<std::int32_t> stopped_{0};
};

}  // namespace voxbus::kit::tests
