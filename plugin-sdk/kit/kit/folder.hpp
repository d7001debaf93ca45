// SPDX-License-Identifier: Apache-2.0
//
// What stands in a folder. std::filesystem's iterators end the process where memory runs out, these
// do not. Any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "voxbus/result.hpp"

namespace voxbus::kit {

// Calls `visit(name)` for each entry but "." and "..", in no order, until it returns false. An
// error names the folder, and what to do where only rights are missing.
Result<void> visit_folder(const std::filesystem::path& folder,
                          const std::function<bool(const std::string& name)>& visit);

}  // namespace voxbus::kit
