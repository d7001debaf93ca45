// SPDX-License-Identifier: Apache-2.0
#include "model/interaction.hpp"

#include "base/text.hpp"
#include "base/time.hpp"
#include "model/limits.hpp"

namespace voxbus::model {
namespace {

Error wrong(std::string_view member, std::string_view what) {
  return permanent("member '" + std::string(member) + "' " + std::string(what));
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
  if (has_unsafe({text.data(), text.size()}, rule.running)) {
    return wrong(rule.member, "holds a control character or one that turns text around");
  }
  return {};
}

Status check_link(const json::object& in, std::string_view name) {
  VOXBUS_CHECK(check_text(in, {name, kMaxUrl}));
  const auto link = json::text_at(in, name);
  if (link && !is_web_address(*link)) return wrong(name, "is no address of http or https");
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

struct NumberRule {
  std::string_view member;
  std::int64_t least = 0, most = INT64_MAX;
};

Status check_number(const json::object& in, NumberRule rule) {
  if (!in.contains(rule.member)) return {};
  const auto number = json::integer_at(in, rule.member);
  if (!number || *number < rule.least || *number > rule.most)
    return wrong(rule.member, "is no number, or out of its range");
  return {};
}

// Nothing but these members: what a channel says beyond our schema stands in `native`.
Status check_members(const json::object& in, const auto& known) {
  for (const auto& member : in) {
    const std::string_view name(member.key().data(), member.key().size());
    if (!is_one_of(name, known)) return wrong(name.substr(0, 64), "is not known");
  }
  return {};
}

// An array of objects, each of which passes `check`.
template<class Check>
Status check_entries(const json::object& in, std::string_view name, std::size_t most, Check check) {
  const auto* member = in.if_contains(name);
  if (!member) return {};
  const auto* entries = member->if_array();
  if (!entries) return wrong(name, "is not an array");
  if (entries->size() > most) return wrong(name, "has too many entries");
  for (const auto& entry : *entries) {
    const auto* fields = entry.if_object();
    if (!fields) return wrong(name, "holds something that is no object");
    VOXBUS_CHECK(check(*fields));
  }
  return {};
}

Status check_author(const json::object& author) {
  static constexpr std::string_view kMembers[] = {"handle", "name", "addresses", "profile"};
  VOXBUS_CHECK(check_members(author, kMembers));
  VOXBUS_CHECK(check_text(author, {"handle", kMaxHandle}));
  VOXBUS_CHECK(check_text(author, {"name", kMaxName}));
  VOXBUS_CHECK(check_link(author, "profile"));
  if (const auto handle = json::text_at(author, "handle");
      handle && !is_canonical_handle(*handle)) {
    return wrong("author.handle", "is not scheme:value");
  }
  const auto* member = author.if_contains("addresses");
  if (!member) return {};
  const auto* addresses = member->if_array();
  if (!addresses || addresses->size() > kMaxAddresses)
    return wrong("author.addresses", "is not an array, or has too many entries");
  for (const auto& entry : *addresses) {
    if (!entry.is_string() ||
        !is_canonical_handle({entry.get_string().data(), entry.get_string().size()})) {
      return wrong("author.addresses", "holds something that is no handle");
    }
  }
  return {};
}

Status check_quoted(const json::object& block) {
  static constexpr std::string_view kMembers[] = {"depth", "author", "at", "text", "native_id"};
  VOXBUS_CHECK(check_members(block, kMembers));
  if (!block.contains("text")) return wrong("quoted.text", "is missing");
  VOXBUS_CHECK(check_text(block, {"text", kMaxText, true}));
  VOXBUS_CHECK(check_text(block, {"author", kMaxName}));
  VOXBUS_CHECK(check_text(block, {"native_id", kMaxNativeId}));
  VOXBUS_CHECK(check_number(block, {"depth", 1, kMaxQuoteDepth}));
  return check_number(block, {"at"});
}

Status check_attachment(const json::object& file) {
  static constexpr std::string_view kMembers[] = {"name", "type", "size", "sha256", "url"};
  VOXBUS_CHECK(check_members(file, kMembers));
  VOXBUS_CHECK(check_text(file, {"name", kMaxFileName}));
  VOXBUS_CHECK(check_text(file, {"type", kMaxMediaType}));
  VOXBUS_CHECK(check_link(file, "url"));
  VOXBUS_CHECK(check_number(file, {"size"}));
  if (const auto* hash = file.if_contains("sha256")) {
    const auto text = json::text_at(file, "sha256");
    if (!hash->is_string() || !is_sha256(*text))
      return wrong("attachments.sha256", "is not 64 hex digits");
  }
  return {};
}

Status check_call(const json::object& call) {
  static constexpr std::string_view kMembers[] = {"direction", "disposition", "waited_seconds",
                                                  "talked_seconds"};
  VOXBUS_CHECK(check_members(call, kMembers));
  VOXBUS_CHECK(check_choice(call, "direction", kCallDirections, false));
  VOXBUS_CHECK(check_choice(call, "disposition", kDispositions, false));
  VOXBUS_CHECK(check_number(call, {"waited_seconds"}));
  return check_number(call, {"talked_seconds"});
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
  return !has_unsafe(handle, false);
}

std::string_view message_id_of(const json::object& record) {
  const auto* native = json::object_at(record, "native");
  const auto* ids = native ? json::object_at(*native, "ids") : nullptr;
  return ids ? json::text_at(*ids, "message_id").value_or("") : std::string_view{};
}

std::vector<std::string> quoted_ids_of(const json::object& record) {
  std::vector<std::string> out;
  const auto* blocks = json::array_at(record, "quoted");
  if (!blocks) return out;
  const auto own = message_id_of(record);
  for (const auto& block : *blocks) {
    const auto* fields = block.if_object();
    const auto id = fields ? json::text_at(*fields, "native_id") : std::nullopt;
    if (!id || id->empty() || *id == own || is_one_of(*id, out)) continue;
    out.emplace_back(*id);
    if (out.size() == kMostQuotedIds) break;
  }
  return out;
}

std::string with_quoted_events(std::string_view record,
                               const std::map<std::string_view, std::string>& events) {
  auto parsed = json::parse(record, kMaxRecordDepth);
  auto* fields = parsed ? parsed->if_object() : nullptr;
  auto* quoted = fields ? fields->if_contains("quoted") : nullptr;
  if (!quoted || !quoted->is_array()) return std::string(record);
  for (auto& block : quoted->get_array()) {
    if (!block.is_object()) continue;
    const auto id = json::text_at(block.get_object(), "native_id");
    const auto event = id ? events.find(*id) : events.end();
    if (event != events.end()) block.get_object()["interaction"] = event->second;
  }
  return json::serialize(*parsed);
}

bool is_web_address(std::string_view text) {
  std::string scheme(text.substr(0, text.find("://")));
  for (char& c : scheme) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return (scheme == "http" || scheme == "https") && text.size() > scheme.size() + 3;
}

bool is_language_tag(std::string_view text) {
  if (text.size() > kMaxLanguage) return false;
  std::size_t in_part = 0;
  bool is_first = true;
  for (const char c : text) {
    if (c == '-' && in_part > 0) {
      is_first = false;
      in_part = 0;
      continue;
    }
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && (is_first || c < '0' || c > '9')) return false;
    if (++in_part > 8) return false;
  }
  return in_part > 0;
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

Status check_interaction(const json::object& record) {
  static constexpr std::string_view kMembers[] = {
      "kind",        "direction", "audience", "author",   "conversation", "in_reply_to",
      "title",       "text",      "quoted",   "language", "attachments",  "permalink",
      "occurred_at", "call",      "native",   "truncated"};
  VOXBUS_CHECK(check_members(record, kMembers));
  VOXBUS_CHECK(check_choice(record, "kind", kKinds, true));
  VOXBUS_CHECK(check_choice(record, "direction", kDirections, true));
  VOXBUS_CHECK(check_choice(record, "audience", kAudiences, true));
  static constexpr TextRule kTexts[] = {
      {"conversation", kMaxNativeId}, {"in_reply_to", kMaxNativeId}, {"title", kMaxTitle},
      {"text", kMaxText, true},       {"language", kMaxLanguage},    {"occurred_at", 40}};
  for (const auto& rule : kTexts) VOXBUS_CHECK(check_text(record, rule));
  VOXBUS_CHECK(check_link(record, "permalink"));
  if (const auto tag = json::text_at(record, "language"); tag && !is_language_tag(*tag))
    return wrong("language", "is no tag of BCP 47");
  if (const auto time = json::text_at(record, "occurred_at"); time && !parse_rfc3339(*time)) {
    return wrong("occurred_at", "is not an RFC 3339 time");
  }
  static constexpr std::string_view kObjects[] = {"author", "call", "native"};
  for (const auto name : kObjects) {
    if (const auto* member = record.if_contains(name); member && !member->is_object()) {
      return wrong(name, "is not an object");
    }
  }
  if (const auto* author = json::object_at(record, "author")) VOXBUS_CHECK(check_author(*author));
  if (const auto* call = json::object_at(record, "call")) VOXBUS_CHECK(check_call(*call));
  VOXBUS_CHECK(check_entries(record, "quoted", kMaxQuoted, check_quoted));
  VOXBUS_CHECK(check_entries(record, "attachments", kMaxAttachments, check_attachment));
  if (const auto* member = record.if_contains("truncated")) {
    const auto* names = member->if_array();
    if (!names || names->size() > kMaxQuoted) return wrong("truncated", "is not an array");
    for (const auto& name : *names) {
      if (!name.is_string() || !is_one_of(std::string_view(name.get_string()), kTruncated))
        return wrong("truncated", "names no member that can be cut");
    }
  }
  return {};
}

}  // namespace voxbus::model
