// SPDX-License-Identifier: Apache-2.0
#include "host/channel_socket.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace voxbus::host {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
constexpr std::size_t kMaxFiles = 8;  // in one message
constexpr std::size_t kDaemonInlineLimit = 64 << 10;

Result<FileDescriptor> memory_file(std::string_view bytes) {
  FileDescriptor file(::memfd_create("voxbus-item", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file) return system_error("make a memory file", errno);
  VOXBUS_CHECK(write_all(file.get(), bytes, "a memory file"));
  if (::fcntl(file.get(), F_ADD_SEALS, kSeals) != 0)
    return system_error("seal a memory file", errno);
  return file;
}

Status send_bytes(int fd, std::string_view bytes, int passed, bool wait) {
  while (!bytes.empty()) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    if (passed >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      auto* head = CMSG_FIRSTHDR(&message);
      head->cmsg_level = SOL_SOCKET;
      head->cmsg_type = SCM_RIGHTS;
      head->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(head), &passed, sizeof passed);
    }
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EPIPE || errno == ECONNRESET) return retry("the other process is gone");
      if (errno == EAGAIN) return permanent("the process does not read what it is told");
      return system_error("send to the other process", errno);
    }
    passed = -1;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return {};
}

}  // namespace

Status ChannelSocket::send(FrameType type, std::string_view payload) {
  const bool wait = end_ == End::host;
  const bool in_memory = payload.size() > (wait ? kInlineLimit : kDaemonInlineLimit);
  FileDescriptor file;
  if (in_memory) {
    VOXBUS_TRY(made, memory_file(payload));
    file = std::move(made);
  }
  std::string head;
  append_header(head, {static_cast<std::uint32_t>(payload.size()), type,
                       in_memory ? kInMemory : std::uint8_t{0}});
  const std::scoped_lock lock(sending_);
  // One write for the common small frame.
  if (!in_memory && payload.size() <= 64 << 10) {
    head += payload;
    return send_bytes(fd_.get(), head, -1, wait);
  }
  VOXBUS_CHECK(send_bytes(fd_.get(), head, file.get(), wait));
  return in_memory ? Status() : send_bytes(fd_.get(), payload, -1, wait);
}

Status ChannelSocket::receive() {
  if (consumed_ > 0) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  constexpr std::size_t kChunk = 256 << 10;
  const auto before = buffer_.size();
  buffer_.resize(before + kChunk);
  iovec part{buffer_.data() + before, kChunk};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFiles)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  const int code = errno;
  buffer_.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got < 0) {
    if (code == EAGAIN) return {};  // the daemon's end: nothing more for now
    return system_error("receive from the other process", code);
  }
  for (auto* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int passed;
      std::memcpy(&passed, CMSG_DATA(head) + i * sizeof(int), sizeof passed);
      memory_files_.emplace_back(passed);
    }
  }
  if (got == 0) return retry("the other process closed the connection");
  if ((message.msg_flags & MSG_CTRUNC) != 0 || memory_files_.size() > kMaxFiles) {
    return permanent("the other process passed too many descriptors");
  }
  return {};
}

Result<std::optional<Frame>> ChannelSocket::next() {
  const std::string_view left = std::string_view(buffer_).substr(consumed_);
  if (left.size() < kHeaderSize) return std::optional<Frame>();
  VOXBUS_TRY(header, read_header(left.substr(0, kHeaderSize)));
  if (header.flags & kInMemory) {
    VOXBUS_TRY(payload, read_memory(header.length));
    consumed_ += kHeaderSize;
    return std::optional<Frame>({header.type, std::move(payload)});
  }
  if (left.size() < kHeaderSize + header.length) return std::optional<Frame>();
  consumed_ += kHeaderSize + header.length;
  return std::optional<Frame>({header.type, std::string(left.substr(kHeaderSize, header.length))});
}

Result<std::string> ChannelSocket::read_memory(std::size_t length) {
  if (memory_files_.empty())
    return permanent("the other process promised a descriptor and passed none");
  const FileDescriptor file = std::move(memory_files_.front());
  memory_files_.erase(memory_files_.begin());
  struct stat status {};
  // Unsealed, it could shrink under our read, or change after our check.
  const int seals = ::fcntl(file.get(), F_GET_SEALS);  // -1 for anything but a memory file
  if (seals < 0 || (seals & kSeals) != kSeals || ::fstat(file.get(), &status) != 0 ||
      static_cast<std::size_t>(status.st_size) != length) {
    return permanent("the other process passed a memory file that is not sealed");
  }
  std::string out(length, '\0');
  for (std::size_t at = 0; at < length;) {
    const ssize_t got = ::pread(file.get(), out.data() + at, length - at, static_cast<off_t>(at));
    if (got <= 0) return system_error("read a memory file", got == 0 ? EIO : errno);
    at += static_cast<std::size_t>(got);
  }
  return out;
}

}  // namespace voxbus::host
