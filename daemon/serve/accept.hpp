// SPDX-License-Identifier: Apache-2.0
// Which of the forms that an answer can have its client wants most: the Accept header by RFC 9110,
// section 12.5.1. Pure, any thread.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace voxbus::serve {

// The index of the offer with the highest weight; among equals of the one that the header names
// more exactly, then of the first. Nothing: none is acceptable. `accept` is the header's value, of
// several lines joined by commas; without anything readable in it, all is acceptable. Parameters
// of media types other than q are not compared.
[[nodiscard]] std::optional<std::size_t> preferred(std::string_view accept,
                                                   std::span<const std::string_view> offers);

}  // namespace voxbus::serve
