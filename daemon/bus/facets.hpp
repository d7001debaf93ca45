// SPDX-License-Identifier: Apache-2.0
// What a filter asks about the inside of an event: read out of its body once, and only when some
// filter asks. Plain values, any thread.
#pragma once

#include <string>
#include <string_view>

namespace voxbus::bus {

struct Facets {
  std::string kind, direction, audience, language;
  std::string title, text, author_name, author_handle;
  bool historic = false;
};

// `body` is model::Event::body. What is not there stays empty; a body that was erased gives an
// empty value, a body that is not JSON likewise.
[[nodiscard]] Facets read_facets(std::string_view body);

// "support" of "urn:voxbus:main/channels/support"; empty for the desk, people and the daemon
// itself.
[[nodiscard]] std::string_view channel_of(std::string_view source);

}  // namespace voxbus::bus
