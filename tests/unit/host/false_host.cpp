// SPDX-License-Identifier: Apache-2.0
// A stand-in for voxbus-host that runs no plugin. It says that it is ready, and hands over a batch
// of one good item and one that no normaliser would have let pass. With a setting 'dies' it ends at
// once instead, and leaves a process behind that holds its socket.
#include <unistd.h>

#include "host/channel_socket.hpp"
#include "host/host_process.hpp"

using namespace voxbus;
using namespace voxbus::host;

namespace {

model::Item item(std::string id, std::string record) {
  model::Item made;
  made.native_id = std::move(id);
  made.record = std::move(record);
  made.digest = sha256(made.native_id);
  return made;
}

// The next frame, or nothing once the daemon is gone.
std::optional<Frame> receive(ChannelSocket& socket) {
  for (;;) {
    auto frame = socket.next();
    if (!frame) return std::nullopt;
    if (*frame) return std::move(**frame);
    if (!socket.receive()) return std::nullopt;
  }
}

}  // namespace

int main() {
  ChannelSocket socket(FileDescriptor(kSocketDescriptor), ChannelSocket::End::host);
  const auto first = receive(socket);
  if (!first || first->type != FrameType::start) return 1;
  const auto start = decode<Start>(first->payload);
  if (!start || !socket.send(FrameType::loading, {})) return 1;
  if (!socket.send(FrameType::ready, encode(Ready{.id = start->plugin, .version = "1"}))) return 1;
  if (start->purpose != Start::Purpose::run) return 0;
  if (start->settings.find("dies") != std::string::npos) {
    if (::fork() == 0) ::pause();
    ::_exit(3);
  }
  model::Batch batch;
  batch.items = {
      item("good",
           R"({"kind":"message","direction":"inbound","audience":"public","text":"hello"})"),
      item("bad", R"({"kind":"letter","direction":"inbound","audience":"public","text":"hello"})")};
  batch.cursor = "1";
  if (!socket.send(FrameType::batch, encode(batch))) return 1;
  while (const auto frame = receive(socket)) {
    if (frame->type == FrameType::stop) return 0;
  }
  return 1;
}
