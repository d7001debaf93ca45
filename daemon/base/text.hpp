// SPDX-License-Identifier: Apache-2.0
// Small questions about text: is it UTF-8, how many bytes of it fit, which known word was meant;
// and bytes written as hex or base64. Pure, any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace voxbus {

[[nodiscard]] bool is_utf8(std::string_view text);
// The longest prefix of at most `limit` bytes that ends on a character's border.
[[nodiscard]] std::string_view utf8_prefix(std::string_view text, std::size_t limit);
// Every malformed sequence becomes U+FFFD.
[[nodiscard]] std::string utf8_repaired(std::string_view text);
// Foreign words for a log line or a status: well-formed, on one line, at most `limit` bytes.
[[nodiscard]] std::string one_line(std::string_view text, std::size_t limit = 2048);

// The candidate nearest to a misspelt word, if one is near enough to be meant.
[[nodiscard]] std::optional<std::string> did_you_mean(std::string_view word,
                                                      std::span<const std::string> candidates);

[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] std::optional<std::string> from_hex(std::string_view hex);
[[nodiscard]] std::string to_base64(std::string_view bytes);
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace voxbus
