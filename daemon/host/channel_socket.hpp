// SPDX-License-Identifier: Apache-2.0
// One end of the socket pair between the daemon and a channel's process: whole frames with the
// descriptors that carry large payloads. The host's end blocks; the daemon's end is fed by its
// event loop and never waits: a process that stops reading is at fault. Sending may be called from
// several threads (frames are not interleaved), receiving from one.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/posix.hpp"
#include "base/result.hpp"
#include "host/wire.hpp"

namespace voxbus::host {

struct Frame {
  FrameType type{};
  std::string payload;
};

class ChannelSocket {
 public:
  enum class End { host, daemon };
  ChannelSocket(FileDescriptor fd, End end) : fd_(std::move(fd)), end_(end) {}

  // Hands the frame to the kernel; the host's end waits for room, the daemon's end fails instead.
  // An Error::retry says that the other side is gone, as receive() does. A payload above
  // kInlineLimit (of the daemon: above what a socket takes at once) goes as a
  // sealed memory file.
  [[nodiscard]] Status send(FrameType type, std::string_view payload);

  // Reads once what the kernel has (blocks only if the descriptor does). Error: the other side is
  // gone, or what it sends is malformed.
  [[nodiscard]] Status receive();
  // The next whole frame of what was received, nothing when more bytes are needed.
  [[nodiscard]] Result<std::optional<Frame>> next();

  [[nodiscard]] int descriptor() const { return fd_.get(); }

 private:
  [[nodiscard]] Result<std::string> read_memory(std::size_t length);

  FileDescriptor fd_;
  End end_;
  std::mutex sending_;
  std::string buffer_;
  std::size_t consumed_ = 0;
  std::vector<FileDescriptor> memory_files_;  // received, in order, not yet read
};

}  // namespace voxbus::host
