// SPDX-License-Identifier: Apache-2.0
//
// What stands below somebody's words without being them: signature, line of a device, footer of a
// list. Pure, linear.
#pragma once

#include <string>
#include <vector>

#include "kit/mail/quote_lines.hpp"

namespace voxbus::kit::mail {

struct OwnWords {
  std::string text;
  std::string signature;
};

// The run of lines between two quotes, or before, behind or without one.
OwnWords without_trailers(const std::vector<QuoteLine>& lines);

}  // namespace voxbus::kit::mail
