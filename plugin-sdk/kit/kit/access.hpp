// SPDX-License-Identifier: Apache-2.0
//
// Whether what the settings name can be read right now: the probe of channels that read files.
// Opens and closes, reads nothing. Any thread.
#pragma once

#include <filesystem>

#include "voxbus/result.hpp"

namespace voxbus::kit {

// The error names the path, what hinders ("permission denied") and, where the file's mode does, the
// remedy. Never blocks, not even on a pipe.
Result<void> can_read_file(const std::filesystem::path& file);
Result<void> can_list_folder(const std::filesystem::path& folder);

}  // namespace voxbus::kit
