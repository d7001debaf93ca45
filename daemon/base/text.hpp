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

// What a character is to text that people read. Unsafe are controls, which terminals obey, and the
// embeddings, overrides and isolates that make text read differently than it is written
// (CVE-2021-42574); line_break are the line and paragraph separators.
enum class CharacterSort { plain, line_break, unsafe };
// Of one whole character beyond ASCII at the beginning of `at`, which is UTF-8.
[[nodiscard]] CharacterSort sort_of(std::string_view at);
// Bytes of the character that begins so.
[[nodiscard]] std::size_t utf8_length(unsigned char lead);
// Whether UTF-8 holds a character that is not plain; of ASCII's controls line feeds and tabs are
// allowed in running text.
[[nodiscard]] bool has_unsafe(std::string_view text, bool running);

}  // namespace voxbus
