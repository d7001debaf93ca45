// SPDX-License-Identifier: Apache-2.0
//
// The files into which a log was rotated: FILE.1, FILE-20260101, STEM-20260101.EXT and the like,
// uncompressed, and their order. Any thread.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace voxbus::kit {

struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
struct FileLook {  // what stat(2) says
  FileIdentity identity;
  std::uint64_t size = 0;
  std::int64_t written = 0;  // nanoseconds since 1970
};
FileLook look_of(const struct stat& info);
struct RotatedFile {
  std::filesystem::path path;
  FileLook look;
  std::optional<std::uint64_t> generation;  // 2 of FILE.2

  friend bool operator==(const RotatedFile& a, const RotatedFile& b) {
    return a.path == b.path && a.look.identity == b.look.identity;
  }
};

// Nothing where there is no regular file.
std::optional<FileLook> look_at(const std::filesystem::path& path);

// The oldest first: by their numbers where all have such, else by their last write. At most 10,000.
// Throws Failure when the folder cannot be read: to go on without them would pass over what stands
// in them. A rotation renames all of them while we look: what is given was the same in two looks.
std::vector<RotatedFile> rotated_files(const std::filesystem::path& file);

}  // namespace voxbus::kit
