// SPDX-License-Identifier: Apache-2.0
//
// One record of comma-separated values by RFC 4180: fields in quotes double their quotes, others
// stand bare. Pure. A record is one line here: a line break inside quotes is not followed.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "voxbus/result.hpp"

namespace voxbus::kit {

// The fields of a line, which comes without its line break. Refused are a quote inside a bare
// field, anything between a closing quote and the next comma, a quote that does not end, a NUL
// byte, and more than `most` fields.
Result<std::vector<std::string>> parse_csv(std::string_view line, std::size_t most = 256);

}  // namespace voxbus::kit
