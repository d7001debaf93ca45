// SPDX-License-Identifier: Apache-2.0
// Text as we store it: well-formed UTF-8 in NFC (Unicode UAX #15), line ends as LF, without control
// characters and without the bidi controls that make text read differently than it is written
// (CVE-2021-42574). Pure, any thread.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::intake {

enum class Lines { one, many };  // `one`: line breaks and tabs become spaces

[[nodiscard]] std::string clean_text(std::string_view text, Lines lines);

}  // namespace voxbus::intake
