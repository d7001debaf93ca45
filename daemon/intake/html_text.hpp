// SPDX-License-Identifier: Apache-2.0
// HTML to the text a person would read, by libxml2's forgiving parser: no network, no entities from
// outside, scripts and styles dropped, paragraphs and list items as lines, links with their target
// where the words do not show it. Time is linear in the input. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::intake {

[[nodiscard]] std::string html_to_text(std::string_view html);

}  // namespace voxbus::intake
