// SPDX-License-Identifier: Apache-2.0
#include "journal/place.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "base/posix.hpp"
#include "journal/file.hpp"

namespace voxbus::journal {
namespace {

constexpr std::string_view kPlace = "place", kAnchor = "anchor";

// "ANCHOR CHANGED JOURNAL": inode, nanoseconds since 1970, inode. Empty where a file is missing.
std::string place_of(const std::filesystem::path& directory) {
  struct stat anchor {
  }, journal{};
  if (::stat((directory / kAnchor).c_str(), &anchor) != 0 ||
      ::stat((directory / kFileName).c_str(), &journal) != 0) {
    return {};
  }
  return fmt::format("{} {}{:09} {}\n", anchor.st_ino, anchor.st_ctim.tv_sec,
                     anchor.st_ctim.tv_nsec, journal.st_ino);
}

}  // namespace

bool is_copy(const std::filesystem::path& directory) {
  const auto noted = read_file(directory / kPlace, 128);
  return noted && !noted->empty() && *noted != place_of(directory);
}

Status note_place(const std::filesystem::path& directory) {
  VOXBUS_TRY(anchor, open_file(directory / kAnchor, O_RDONLY | O_CREAT, 0600));
  const auto place = place_of(directory);
  if (place.empty()) return system_error("look at the journal's place", errno);
  const auto noted = read_file(directory / kPlace, 128);
  if (noted && *noted == place) return {};
  return replace_file(directory / kPlace, place);
}

}  // namespace voxbus::journal
