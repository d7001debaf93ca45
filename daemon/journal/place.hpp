// SPDX-License-Identifier: Apache-2.0
// Whether the journal's folder is the one in which the journal lives, or a copy that was put back.
// Under the journal's lock, at start.
//
// Decision. Context: a backup of the whole state that is put back holds the witness and the
// consumers' positions of then, so nothing in it tells that others were told of later events; one
// sequence would name two. Choice: a file `place` that holds its own inode, which a copy changes.
// Cost: a state that is moved to another disk begins a new epoch, which harms nobody; a snapshot of
// the file system, and a copy that is written over the files that are there, keep inodes and have
// to be told by a person; and the same copy put back twice gets the same epoch twice.
#pragma once

#include <filesystem>

#include "base/result.hpp"

namespace voxbus::journal {

// False where nothing was noted yet.
[[nodiscard]] bool is_copy(const std::filesystem::path& directory);
[[nodiscard]] Status note_place(const std::filesystem::path& directory);

}  // namespace voxbus::journal
