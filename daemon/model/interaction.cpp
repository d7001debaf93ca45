// SPDX-License-Identifier: Apache-2.0
#include "model/interaction.hpp"

#include "base/time.hpp"
#include "model/limits.hpp"

namespace voxbus::model {
namespace {

Error wrong(std::string_view member, std::string_view what) {
  return permanent("member '" + std::string(member) + "' " + std::string(what));
}

// Control characters have no place in a record, but for line breaks and tabs in running text.
bool has_control(std::string_view text, bool running) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0x7f) return true;
    if (byte >= 0x20) continue;
    if (running && (byte == '\n' || byte == '\t')) continue;
    return true;
  }
  return false;
}

struct TextRule {
  std::string_view member;
  std::size_t limit;
  bool running = false;
};

Status check_text(const json::object& in, TextRule rule) {
  const auto* member = in.if_contains(rule.member);
  if (!member) return {};
  if (!member->is_string()) return wrong(rule.member, "is not a string");
  const auto& text = member->get_string();
  if (text.size() > rule.limit) return wrong(rule.member, "is longer than it may be");
  if (has_control({text.data(), text.size()}, rule.running)) {
    return wrong(rule.member, "holds a control character");
  }
  return {};
}

Status check_choice(const json::object& in, std::string_view name, const auto& words,
                    bool required) {
  const auto* member = in.if_contains(name);
  if (!member) return required ? Status(wrong(name, "is missing")) : Status();
  const auto word = json::text_at(in, name);
  if (!word || !is_one_of(*word, words)) return wrong(name, "is none of the known words");
  return {};
}

Status check_author(const json::object& author) {
  VOXBUS_CHECK(check_text(author, {"handle", kMaxHandle}));
  VOXBUS_CHECK(check_text(author, {"name", kMaxName}));
  VOXBUS_CHECK(check_text(author, {"profile", kMaxUrl}));
  if (const auto handle = json::text_at(author, "handle");
      handle && !is_canonical_handle(*handle)) {
    return wrong("author.handle", "is not scheme:value");
  }
  if (const auto* addresses = json::array_at(author, "addresses")) {
    if (addresses->size() > kMaxAddresses) return wrong("author.addresses", "has too many entries");
    for (const auto& entry : *addresses) {
      if (!entry.is_string() || entry.get_string().size() > kMaxHandle ||
          !is_canonical_handle({entry.get_string().data(), entry.get_string().size()})) {
        return wrong("author.addresses", "holds something that is no handle");
      }
    }
  }
  return {};
}

Status check_quoted(const json::array& blocks) {
  if (blocks.size() > kMaxQuoted) return wrong("quoted", "has too many blocks");
  for (const auto& block : blocks) {
    const auto* fields = block.if_object();
    if (!fields) return wrong("quoted", "holds something that is no object");
    VOXBUS_CHECK(check_text(*fields, {"text", kMaxText, true}));
    VOXBUS_CHECK(check_text(*fields, {"author", kMaxName}));
    VOXBUS_CHECK(check_text(*fields, {"native_id", kMaxNativeId}));
  }
  return {};
}

}  // namespace

bool is_canonical_handle(std::string_view handle) {
  const auto colon = handle.find(':');
  if (colon == handle.npos || colon == 0 || colon + 1 == handle.size() ||
      handle.size() > kMaxHandle) {
    return false;
  }
  for (const char c : handle.substr(0, colon)) {
    const bool known =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '+';
    if (!known) return false;
  }
  return !has_control(handle, false);
}

Status check_interaction(const json::object& record) {
  VOXBUS_CHECK(check_choice(record, "kind", kKinds, true));
  VOXBUS_CHECK(check_choice(record, "direction", kDirections, true));
  VOXBUS_CHECK(check_choice(record, "audience", kAudiences, true));
  static constexpr TextRule kTexts[] = {{"conversation", kMaxNativeId},
                                        {"in_reply_to", kMaxNativeId},
                                        {"title", kMaxTitle},
                                        {"text", kMaxText, true},
                                        {"language", 35},
                                        {"permalink", kMaxUrl},
                                        {"occurred_at", 40}};
  for (const auto& rule : kTexts) VOXBUS_CHECK(check_text(record, rule));
  if (const auto time = json::text_at(record, "occurred_at"); time && !parse_rfc3339(*time)) {
    return wrong("occurred_at", "is not an RFC 3339 time");
  }
  static constexpr std::string_view kObjects[] = {"author", "call", "native"};
  for (const auto name : kObjects) {
    if (const auto* member = record.if_contains(name); member && !member->is_object()) {
      return wrong(name, "is not an object");
    }
  }
  static constexpr std::string_view kArrays[] = {"quoted", "attachments", "truncated"};
  for (const auto name : kArrays) {
    if (const auto* member = record.if_contains(name); member && !member->is_array()) {
      return wrong(name, "is not an array");
    }
  }
  if (const auto* author = json::object_at(record, "author")) VOXBUS_CHECK(check_author(*author));
  if (const auto* call = json::object_at(record, "call")) {
    VOXBUS_CHECK(check_choice(*call, "direction", kCallDirections, false));
    VOXBUS_CHECK(check_choice(*call, "disposition", kDispositions, false));
  }
  if (const auto* quoted = json::array_at(record, "quoted")) VOXBUS_CHECK(check_quoted(*quoted));
  if (const auto* files = json::array_at(record, "attachments");
      files && files->size() > kMaxAttachments) {
    return wrong("attachments", "has too many entries");
  }
  return {};
}

}  // namespace voxbus::model
