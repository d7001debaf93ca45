// SPDX-License-Identifier: Apache-2.0
#include "base/posix.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace voxbus {

void FileDescriptor::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<FileDescriptor> open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return system_error("open " + path.string(), errno);
  return FileDescriptor(fd);
}

Status write_all(int fd, std::string_view bytes, std::string_view object) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return system_error("write " + std::string(object), errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  // A FIFO in a file's place must not hold anybody up.
  VOXBUS_TRY(file, open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return system_error("look at " + path.string(), errno);
  if (!S_ISREG(status.st_mode))
    return permanent("cannot read " + path.string() + ": it is no regular file");
  std::string out;
  char buffer[65536];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return system_error("read " + path.string(), errno);
    }
    if (got == 0) return out;
    if (out.size() + static_cast<std::size_t>(got) > limit) {
      return permanent("cannot read " + path.string() + ": larger than " + std::to_string(limit) +
                       " bytes");
    }
    out.append(buffer, static_cast<std::size_t>(got));
  }
}

Status sync_directory(const std::filesystem::path& directory) {
  VOXBUS_TRY(folder, open_file(directory, O_RDONLY | O_DIRECTORY));
  if (::fsync(folder.get()) != 0) return system_error("sync " + directory.string(), errno);
  return {};
}

Status replace_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode) {
  const auto beside = path.string() + ".new";
  {
    VOXBUS_TRY(file, open_file(beside, O_WRONLY | O_CREAT | O_TRUNC, mode));
    VOXBUS_CHECK(write_all(file.get(), bytes, beside));
    if (::fsync(file.get()) != 0) return system_error("sync " + beside, errno);
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    return system_error("rename " + beside + " to " + path.string(), errno);
  }
  return sync_directory(path.has_parent_path() ? path.parent_path() : ".");
}

Status make_directory(const std::filesystem::path& path) {
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) return {};
  if (path.has_parent_path() && path.parent_path() != path) {
    VOXBUS_CHECK(make_directory(path.parent_path()));
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_error("create " + path.string(), errno);
  }
  return {};
}

}  // namespace voxbus
