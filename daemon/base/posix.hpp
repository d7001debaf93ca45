// SPDX-License-Identifier: Apache-2.0
// Descriptors that close themselves, and files written so that they survive a crash. Any thread;
// one thread at a time for one object.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace voxbus {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { reset(); }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// open(2) with O_CLOEXEC added.
[[nodiscard]] Result<FileDescriptor> open_file(const std::filesystem::path& path, int flags,
                                               mode_t mode = 0600);
[[nodiscard]] Status write_all(int fd, std::string_view bytes, std::string_view object);
// A regular file of at most `limit` bytes; anything else is an error, and never waited for.
[[nodiscard]] Result<std::string> read_file(const std::filesystem::path& path,
                                            std::size_t limit = 64u << 20);
[[nodiscard]] Status sync_directory(const std::filesystem::path& directory);
// Writes beside, syncs, renames over, syncs the folder: the old content or the new, never a mix.
[[nodiscard]] Status replace_file(const std::filesystem::path& path, std::string_view bytes,
                                  mode_t mode = 0600);
// Creates the folder and its parents, 0700.
[[nodiscard]] Status make_directory(const std::filesystem::path& path);

}  // namespace voxbus
