// SPDX-License-Identifier: Apache-2.0
#include "intake/html_text.hpp"

// The SDK's headers and the daemon's share a namespace: none of the daemon's may stand beside this.
#include "kit/mail/html_reader.hpp"

namespace voxbus::intake {

std::string html_to_text(std::string_view html) { return kit::mail::html_text(html); }

}  // namespace voxbus::intake
