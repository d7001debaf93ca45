// SPDX-License-Identifier: Apache-2.0
// The normalised interaction, schema interaction.v1: its vocabulary and the check that the daemon
// makes of every record a host sends, because it does not trust hosts. Pure, any thread.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace voxbus::model {

inline constexpr std::array<std::string_view, 9> kKinds = {
    "post", "comment", "message", "mail", "call", "mention", "review", "reaction", "in_person"};
inline constexpr std::array<std::string_view, 2> kDirections = {"inbound", "outbound"};
inline constexpr std::array<std::string_view, 2> kAudiences = {"public", "private"};
inline constexpr std::array<std::string_view, 3> kCallDirections = {"inbound", "outbound",
                                                                    "internal"};
inline constexpr std::array<std::string_view, 5> kDispositions = {"answered", "no_answer", "busy",
                                                                  "failed", "congestion"};

// What may be cut to its bound, as `truncated` names it.
inline constexpr std::array<std::string_view, 9> kTruncated = {
    "title",          "text",        "quoted",   "quoted.author", "author.name",
    "author.profile", "attachments", "language", "permalink"};

[[nodiscard]] constexpr bool is_one_of(std::string_view word, const auto& words) {
  for (const auto& known : words) {
    if (word == known) return true;
  }
  return false;
}

// Shape, bounds and characters of a normalised record; the error names the member.
[[nodiscard]] Status check_interaction(const json::object& record);

// By what others quote it, on any channel: native.ids.message_id. Empty when there is none; valid
// as long as the record.
[[nodiscard]] std::string_view message_id_of(const json::object& record);
// The message ids of what it quotes, each once, at most kMostQuotedIds, without its own.
inline constexpr std::size_t kMostQuotedIds = 64;
[[nodiscard]] std::vector<std::string> quoted_ids_of(const json::object& record);
// The record with `interaction`, an event id, in each quoted block of which the message is known
// here. Of a record that is no object: as it is.
[[nodiscard]] std::string with_quoted_events(std::string_view record,
                                             const std::map<std::string_view, std::string>& events);

// What a page may link to without running anything: http and https with something behind it.
[[nodiscard]] bool is_web_address(std::string_view text);
// By its form a tag of BCP 47: "de", "pt-BR".
[[nodiscard]] bool is_language_tag(std::string_view text);
// 64 lower-case hex digits.
[[nodiscard]] bool is_sha256(std::string_view text);

// scheme:value with a known form: "mailto:nora@example.org", "tel:+12025550123", "x:12345".
[[nodiscard]] bool is_canonical_handle(std::string_view handle);

}  // namespace voxbus::model
