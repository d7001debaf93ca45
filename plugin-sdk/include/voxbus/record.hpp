// SPDX-License-Identifier: Apache-2.0
//
// What a plugin says about one item, by the published schema record.v1, as a plain struct: fill in
// what the channel knows, leave the rest. The host normalises it; plugins do not have to.
#ifndef VOXBUS_RECORD_HPP
#define VOXBUS_RECORD_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "voxbus/json.hpp"

namespace voxbus {

enum class Kind {
  kPost,
  kComment,
  kMessage,
  kMail,
  kCall,
  kMention,
  kReview,
  kReaction,
  kInPerson
};
enum class Direction { kInbound, kOutbound };
enum class Audience { kPrivate, kPublic };
enum class CallDirection { kInbound, kOutbound, kInternal };
enum class Disposition { kAnswered, kNoAnswer, kBusy, kFailed, kCongestion };

struct Author {
  std::string handle;                  // scheme:value, as "mailto:nora@example.org", "x:12345"
  std::string name;                    // as the channel shows it
  std::vector<std::string> addresses;  // further handles of the same author
  std::string profile;                 // a link to the author's page
};

// Words of somebody else that the item repeats.
struct Quoted {
  std::uint32_t depth = 1;
  std::string author;
  std::optional<std::uint64_t> at;  // byte offset in text before which the block stood
  std::string text;
  std::string native_id;  // the channel's own id of what is quoted
};

// A file that the item names without handing over its bytes.
struct NamedFile {
  std::string name;
  std::string type;
  std::optional<std::uint64_t> size;  // bytes
  std::string sha256;                 // 64 lower-case hex digits
  std::string url;
};

struct Call {
  CallDirection direction = CallDirection::kInbound;
  std::optional<Disposition> disposition;
  std::optional<std::int64_t> waited_seconds;
  std::optional<std::int64_t> talked_seconds;
};

// What the channel says beyond the schema.
struct Native {
  std::vector<std::pair<std::string, std::string>> ids;
  std::vector<std::pair<std::string, double>> metrics;
  Json::Object more;

  bool empty() const { return ids.empty() && metrics.empty() && more.empty(); }
};

struct Record {
  Kind kind = Kind::kMessage;
  Direction direction = Direction::kInbound;
  Audience audience = Audience::kPrivate;
  Author author;
  std::string conversation;  // the channel's own name of the thread
  std::string in_reply_to;   // the channel's own id of what this answers
  std::string title;
  std::string text;  // the new words, plain
  std::string html;  // instead of text: the host turns it into text
  std::vector<Quoted> quoted;
  std::string language;  // BCP 47
  std::vector<NamedFile> attachments;
  std::string permalink;
  std::optional<Call> call;
  Native native;

  // The record as JSON. Bytes that are not UTF-8 become U+FFFD; titles and names that are longer
  // than the schema allows are shortened, ids never are.
  std::string json() const {
    std::string out;
    out.reserve(256 + text.size() + html.size());
    write(out);
    return out;
  }
  void write(std::string& out) const;
};

namespace detail {

constexpr std::string_view name_of(Kind kind) {
  constexpr std::string_view kNames[] = {"post",    "comment", "message",  "mail",     "call",
                                         "mention", "review",  "reaction", "in_person"};
  return kNames[static_cast<std::size_t>(kind)];
}
constexpr std::string_view name_of(CallDirection direction) {
  constexpr std::string_view kNames[] = {"inbound", "outbound", "internal"};
  return kNames[static_cast<std::size_t>(direction)];
}
constexpr std::string_view name_of(Disposition disposition) {
  constexpr std::string_view kNames[] = {"answered", "no_answer", "busy", "failed", "congestion"};
  return kNames[static_cast<std::size_t>(disposition)];
}

inline void write_text(JsonWriter& writer, std::string_view name, std::string_view text,
                       std::size_t limit = std::string_view::npos) {
  if (!text.empty()) writer.key(name).value(clip(text, limit));
}

inline void write_author(JsonWriter& writer, const Author& author) {
  if (author.handle.empty() && author.name.empty() && author.addresses.empty() &&
      author.profile.empty()) {
    return;
  }
  writer.key("author").begin_object();
  write_text(writer, "handle", author.handle);
  write_text(writer, "name", author.name, 512);
  if (!author.addresses.empty()) {
    writer.key("addresses").begin_array();
    for (const std::string& address : author.addresses) writer.value(address);
    writer.end_array();
  }
  write_text(writer, "profile", author.profile);
  writer.end_object();
}

inline void write_quoted(JsonWriter& writer, const std::vector<Quoted>& blocks) {
  if (blocks.empty()) return;
  writer.key("quoted").begin_array();
  for (const Quoted& block : blocks) {
    writer.begin_object().key("depth").value(block.depth);
    write_text(writer, "author", block.author, 512);
    if (block.at) writer.key("at").value(*block.at);
    writer.key("text").value(block.text);
    write_text(writer, "native_id", block.native_id);
    writer.end_object();
  }
  writer.end_array();
}

inline void write_files(JsonWriter& writer, const std::vector<NamedFile>& files) {
  if (files.empty()) return;
  writer.key("attachments").begin_array();
  for (const NamedFile& file : files) {
    writer.begin_object();
    write_text(writer, "name", file.name, 1024);
    write_text(writer, "type", file.type, 255);
    if (file.size) writer.key("size").value(*file.size);
    write_text(writer, "sha256", file.sha256);
    write_text(writer, "url", file.url);
    writer.end_object();
  }
  writer.end_array();
}

inline void write_call(JsonWriter& writer, const Call& call) {
  writer.key("call").begin_object().key("direction").value(name_of(call.direction));
  if (call.disposition) writer.key("disposition").value(name_of(*call.disposition));
  if (call.waited_seconds) writer.key("waited_seconds").value(*call.waited_seconds);
  if (call.talked_seconds) writer.key("talked_seconds").value(*call.talked_seconds);
  writer.end_object();
}

inline void write_native(JsonWriter& writer, const Native& native) {
  if (native.empty()) return;
  writer.key("native").begin_object();
  if (!native.ids.empty()) {
    writer.key("ids").begin_object();
    for (const auto& [name, id] : native.ids) writer.key(name).value(id);
    writer.end_object();
  }
  if (!native.metrics.empty()) {
    writer.key("metrics").begin_object();
    for (const auto& [name, number] : native.metrics) writer.key(name).value(number);
    writer.end_object();
  }
  for (const auto& [name, value] : native.more) {
    writer.key(name);
    value.write(writer);
  }
  writer.end_object();
}

}  // namespace detail

inline void Record::write(std::string& out) const {
  using detail::write_text;
  JsonWriter writer{out};
  writer.begin_object().key("kind").value(detail::name_of(kind));
  if (direction == Direction::kOutbound) writer.key("direction").value("outbound");
  if (audience == Audience::kPublic) writer.key("audience").value("public");
  detail::write_author(writer, author);
  write_text(writer, "conversation", conversation);
  write_text(writer, "in_reply_to", in_reply_to);
  write_text(writer, "title", title, 4096);
  write_text(writer, "text", text);
  write_text(writer, "html", html);
  detail::write_quoted(writer, quoted);
  write_text(writer, "language", language);
  detail::write_files(writer, attachments);
  write_text(writer, "permalink", permalink);
  if (call) detail::write_call(writer, *call);
  detail::write_native(writer, native);
  writer.end_object();
}

}  // namespace voxbus

#endif  // VOXBUS_RECORD_HPP
