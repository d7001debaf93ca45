// SPDX-License-Identifier: Apache-2.0
// HTML to the text a person would read, by the reader that connectors use for mail: scripts, styles
// and what is hidden dropped, paragraphs and list items as lines, links with their target where the
// words do not show it. Nothing outside the bytes is looked at. Linear in time and space. Any
// thread.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::intake {

[[nodiscard]] std::string html_to_text(std::string_view html);

}  // namespace voxbus::intake
