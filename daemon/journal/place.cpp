// SPDX-License-Identifier: Apache-2.0
#include "journal/place.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/posix.hpp"

namespace voxbus::journal {
namespace {

constexpr std::string_view kPlace = "place";

}  // namespace

bool is_copy(const std::filesystem::path& directory) {
  const auto place = open_file(directory / kPlace, O_RDONLY);
  struct stat status {};
  if (!place || ::fstat(place->get(), &status) != 0) return false;
  const auto text = read_file(directory / kPlace, 64);
  return text && !text->empty() && *text != std::to_string(status.st_ino);
}

Status note_place(const std::filesystem::path& directory) {
  VOXBUS_TRY(place, open_file(directory / kPlace, O_RDWR | O_CREAT, 0600));
  struct stat status {};
  if (::fstat(place.get(), &status) != 0) return system_error("look at the journal's place", errno);
  const auto text = std::to_string(status.st_ino);
  char buffer[64];
  const auto size = ::pread(place.get(), buffer, sizeof buffer, 0);
  if (size >= 0 && std::string_view(buffer, static_cast<std::size_t>(size)) == text) return {};
  if (::ftruncate(place.get(), 0) != 0 ||
      ::pwrite(place.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::fsync(place.get()) != 0) {
    return system_error("write the journal's place", errno);
  }
  return {};
}

}  // namespace voxbus::journal
