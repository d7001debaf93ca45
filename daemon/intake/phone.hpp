// SPDX-License-Identifier: Apache-2.0
// Phone numbers to E.164, by libphonenumber. Its headers stay in one source file (see
// cmake/VoxbusDependencies.cmake). Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace voxbus::intake {

// "+12025550123" for "(202) 555-0123" in region "US". Without a region only numbers with a country
// code can be read. Nothing when it is no possible number (an extension, "anonymous").
[[nodiscard]] std::optional<std::string> to_e164(std::string_view number, std::string_view region);

}  // namespace voxbus::intake
