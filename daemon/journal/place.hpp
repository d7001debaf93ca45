// SPDX-License-Identifier: Apache-2.0
// Whether the journal's folder is the one in which the journal lives, or a copy that was put back.
// Under the journal's lock, at start.
//
// Decision. Context: a backup of the whole state that is put back holds the witness and the
// consumers' positions of then, so nothing in it tells that others were told of later events; one
// sequence would name two. Choice: a file `place` that holds what no copy keeps: the inode and the
// last change of `anchor`, an empty file that is never touched again, and the inode of the journal.
// Cost: a state that is moved to another disk, given another owner or linked from elsewhere begins
// a new epoch, which harms nobody but copies the journal; a snapshot of the file system keeps all
// of it and has to be told by a person.
#pragma once

#include <filesystem>

#include "base/result.hpp"

namespace voxbus::journal {

// False where nothing was noted yet.
[[nodiscard]] bool is_copy(const std::filesystem::path& directory);
// Once the journal's file is there.
[[nodiscard]] Status note_place(const std::filesystem::path& directory);

}  // namespace voxbus::journal
