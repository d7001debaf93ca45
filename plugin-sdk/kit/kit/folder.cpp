// SPDX-License-Identifier: Apache-2.0
#include "kit/folder.hpp"

#include <dirent.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace voxbus::kit {
namespace {

struct Close {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

}  // namespace

Result<void> visit_folder(const std::filesystem::path& folder,
                          const std::function<bool(const std::string& name)>& visit) {
  const auto failed = [&](int error) {
    return Error::retry("cannot look into " + folder.string() + ": " + std::strerror(error) +
                        (error == EACCES ? ": let the service's user read it" : ""));
  };
  const std::unique_ptr<DIR, Close> open{::opendir(folder.c_str())};
  if (!open) return failed(errno);
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(open.get());
    if (!entry) break;
    const std::string name = entry->d_name;
    if (name != "." && name != ".." && !visit(name)) return {};
  }
  if (errno != 0) return failed(errno);
  return {};
}

}  // namespace voxbus::kit
