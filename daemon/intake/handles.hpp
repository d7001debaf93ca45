// SPDX-License-Identifier: Apache-2.0
// Handles in their one canonical form, so that a person is found again whatever way a channel
// writes the address. Pure, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace voxbus::intake {

struct Place {
  std::string_view channel;  // gives extensions a home: tel:101;phone-context=<channel>
  std::string_view region;   // ISO 3166, may be empty
};

// "mailto:Nora@EXAMPLE.org" -> "mailto:nora@example.org", "tel:(202) 555-0123" ->
// "tel:+12025550123"; a bare address or number is recognised. Other schemes: the scheme
// lower-cased, the value trimmed. Nothing when there is no handle in it, as in "tel:anonymous".
[[nodiscard]] std::optional<std::string> canonical_handle(std::string_view text, Place place);

}  // namespace voxbus::intake
