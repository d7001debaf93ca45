// SPDX-License-Identifier: Apache-2.0
#include "kit/access.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace voxbus::kit {
namespace {

Error cannot(const char* act, const std::filesystem::path& path, int code) {
  std::string message = std::string{"cannot "} + act + " " + path.string() + ": " +
                        std::generic_category().message(code);
  if (code == EACCES) {
    message += "; let the service's user read it, by its group or an ACL (setfacl -m u:voxbus:rX)";
    return Error::permanent(std::move(message));
  }
  return Error::retry(std::move(message));  // it may yet appear
}

Result<void> can_open(const std::filesystem::path& path, const char* act, bool folder) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return cannot(act, path, errno);
  struct stat status {};
  const int code = ::fstat(fd, &status) == 0 ? 0 : errno;
  ::close(fd);
  if (code != 0) return cannot(act, path, code);
  if (folder != S_ISDIR(status.st_mode)) return cannot(act, path, folder ? ENOTDIR : EISDIR);
  if (!folder && !S_ISREG(status.st_mode))
    return Error::retry(path.string() + " is not a regular file");
  return {};
}

}  // namespace

Result<void> can_read_file(const std::filesystem::path& file) {
  return can_open(file, "read", false);
}
Result<void> can_list_folder(const std::filesystem::path& folder) {
  return can_open(folder, "look into", true);
}

}  // namespace voxbus::kit
