// SPDX-License-Identifier: Apache-2.0
// A plugin's file before any of its code runs: who may have written it, and what it exports. The
// file that was checked is the file that is loaded, because both go through one descriptor.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/posix.hpp"
#include "base/result.hpp"

namespace voxbus::host {

enum class Trust {
  owned,  // the file, its manifest and every folder above belong to root or us, writable by nobody
          // else
  given,  // the caller vouches for it (voxbus try --trust, tests)
};

inline constexpr std::uint64_t kMostLibrary = 256ull << 20;  // bytes; a stripped plugin has few MiB

// Opens without following a final symbolic link, then checks what was opened. The error names the
// folder or file at fault and the remedy.
[[nodiscard]] Result<FileDescriptor> open_plugin(const std::filesystem::path& file, Trust trust);

// May what has this status be trusted by the user `ours`: does it belong to root or to that user,
// and may nobody else write it? `what` is for words. Pure.
[[nodiscard]] Status check_owner(const struct stat& status, uid_t ours, const std::string& what);

// Reads the ELF symbol table: exactly voxbus_plugin_entry may be exported. Pure parsing of a
// foreign file; call it where a crash harms nobody.
[[nodiscard]] Status check_exports(int descriptor, const std::string& name);

}  // namespace voxbus::host
