// SPDX-License-Identifier: Apache-2.0
#include "journal/space.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

namespace voxbus::journal {

Reserve::Reserve(std::filesystem::path file, std::uint64_t size,
                 std::function<std::uint64_t()> free_space)
    : file_(std::move(file)), size_(size), free_space_(std::move(free_space)) {
  if (!free_space_) {
    free_space_ = [directory = file_.parent_path()] {
      struct statvfs about {};
      if (::statvfs(directory.c_str(), &about) != 0) return std::uint64_t{0};
      return static_cast<std::uint64_t>(about.f_bavail) * about.f_frsize;
    };
  }
}

bool Reserve::restore() {
  struct stat about {};
  if (::stat(file_.c_str(), &about) == 0 && static_cast<std::uint64_t>(about.st_size) >= size_) {
    return true;
  }
  if (free_space_() < 2 * size_) return false;
  auto file = open_file(file_, O_RDWR | O_CREAT);
  if (!file) return false;
  if (::posix_fallocate(file->get(), 0, static_cast<off_t>(size_)) != 0) {
    ::unlink(file_.c_str());
    return false;
  }
  return true;
}

bool Reserve::release() { return ::unlink(file_.c_str()) == 0; }

Result<FileDescriptor> lock_directory(const std::filesystem::path& directory) {
  const auto path = directory / "lock";
  VOXBUS_TRY(file, open_file(path, O_RDWR | O_CREAT));
  struct stat owner {};
  if (::stat(directory.c_str(), &owner) == 0 && owner.st_uid != ::geteuid() &&
      ::fchown(file.get(), owner.st_uid, owner.st_gid) != 0) {
    return system_error("give " + path.string() + " to its folder's owner", errno);
  }
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock " + path.string(), errno);
    const auto holder = read_file(path, 64);
    return permanent("another voxbusd (pid " + (holder ? *holder : std::string("unknown")) +
                     ") holds " + directory.string());
  }
  const auto pid = std::to_string(::getpid());
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) < 0) {
    // The lock holds without it; only the message to a second daemon is poorer.
    errno = 0;
  }
  return file;
}

}  // namespace voxbus::journal
