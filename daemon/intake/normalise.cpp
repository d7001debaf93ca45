// SPDX-License-Identifier: Apache-2.0
#include "intake/normalise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/monotonic_resource.hpp>

#include "base/text.hpp"
#include "intake/clean_text.hpp"
#include "intake/handles.hpp"
#include "intake/html_text.hpp"
#include "model/interaction.hpp"
#include "model/limits.hpp"

namespace voxbus::intake {
namespace {

// An id we can show: UTF-8 without controls, within its bound; else a digest of it, which is as
// stable.
std::string shown_id(std::string_view id) {
  const bool fits =
      !id.empty() && id.size() <= model::kMaxNativeId && clean_text(id, Lines::one) == id;
  return fits ? std::string(id) : "sha256:" + to_hex(as_text(sha256(id)));
}

// Writes the normalised record member by member, so that its order never depends on the plugin.
class RecordWriter {
 public:
  void text(std::string_view name, std::string_view value) {
    comma(name);
    json::append_string(out_, value);
  }
  void json(std::string_view name, const json::value& value) { made(name, json::serialize(value)); }
  // JSON that was written elsewhere.
  void made(std::string_view name, std::string_view text) {
    comma(name);
    out_ += text;
  }
  std::string finish() {
    if (out_.empty()) return "{}";
    return std::move(out_) + '}';
  }

 private:
  void comma(std::string_view name) {
    out_ += out_.empty() ? '{' : ',';
    json::append_string(out_, name);
    out_ += ':';
  }
  std::string out_;
};

class RecordReader {
 public:
  RecordReader(const json::object& in, const Offer& offer, const Rules& rules)
      : in_(in), offer_(offer), rules_(rules) {}

  Result<std::string> normalised() {
    VOXBUS_CHECK(word("kind", model::kKinds, {}));
    VOXBUS_CHECK(word("direction", model::kDirections, "inbound"));
    VOXBUS_CHECK(word("audience", model::kAudiences, "private"));
    VOXBUS_CHECK(author());
    VOXBUS_CHECK(id("conversation"));
    VOXBUS_CHECK(id("in_reply_to"));
    VOXBUS_CHECK(line("title", model::kMaxTitle));
    VOXBUS_CHECK(body());
    VOXBUS_CHECK(quoted());
    VOXBUS_CHECK(language());
    VOXBUS_CHECK(attachments());
    VOXBUS_CHECK(permalink());
    if (offer_.occurred) out_.text("occurred_at", format_rfc3339(*offer_.occurred));
    VOXBUS_CHECK(call());
    native();
    if (!truncated_.empty()) out_.json("truncated", truncated_);
    return out_.finish();
  }

 private:
  static Error wrong(std::string_view member, std::string_view what) {
    return permanent(fmt::format("member '{}' {}", member, what));
  }

  Status word(std::string_view name, const auto& known, std::string_view otherwise) {
    const auto* member = in_.if_contains(name);
    if (!member && otherwise.empty()) return wrong(name, "is missing");
    const auto given = member ? json::text_at(in_, name) : std::optional(otherwise);
    if (!given || !model::is_one_of(*given, known))
      return wrong(name, "is none of the known words");
    out_.text(name, *given);
    return {};
  }

  // Cut to its bound, and the cut is said.
  std::string bounded(std::string_view name, std::string text, std::size_t limit) {
    if (text.size() <= limit) return text;
    note_cut(name);
    text.resize(utf8_prefix(text, limit).size());
    return text;
  }

  [[nodiscard]] bool is_cut(std::string_view name) const {
    return std::find(truncated_.begin(), truncated_.end(), json::value(name)) != truncated_.end();
  }
  void note_cut(std::string_view name) {
    if (!is_cut(name)) truncated_.emplace_back(name);
  }

  Status line(std::string_view name, std::size_t limit) {
    VOXBUS_TRY(given, optional_text(name));
    if (!given) return {};
    auto text = clean_text(*given, Lines::one);
    if (!text.empty()) out_.text(name, bounded(name, std::move(text), limit));
    return {};
  }

  // What is none says nothing: it is let go, and stands in the raw bytes.
  Status language() {
    VOXBUS_TRY(given, optional_text("language"));
    if (given && model::is_language_tag(*given)) out_.text("language", *given);
    return {};
  }

  Status permalink() {
    VOXBUS_TRY(given, optional_text("permalink"));
    if (!given) return {};
    if (auto link = link_of(*given); !link.empty())
      out_.text("permalink", bounded("permalink", std::move(link), model::kMaxUrl));
    return {};
  }

  // Empty where there is none: others than http and https could run something in a reader's page.
  static std::string link_of(std::string_view given) {
    auto link = clean_text(given, Lines::one);
    return model::is_web_address(link) ? link : std::string();
  }

  Result<std::optional<std::string>> optional_text(std::string_view name) {
    const auto* member = in_.if_contains(name);
    if (!member || member->is_null()) return std::optional<std::string>{};
    const auto given = json::text_at(in_, name);
    if (!given) return wrong(name, "is not a string");
    return std::optional<std::string>{*given};
  }

  // In the one form in which native ids are shown, so that a link meets what it links to.
  Status id(std::string_view name) {
    VOXBUS_TRY(given, optional_text(name));
    if (given && !given->empty()) out_.text(name, shown_id(*given));
    return {};
  }

  Status call() {
    const auto* member = in_.if_contains("call");
    if (!member) return {};
    const auto* given = member->if_object();
    if (!given) return wrong("call", "is not an object");
    json::object call;
    if (const auto direction = json::text_at(*given, "direction")) call["direction"] = *direction;
    if (const auto disposition = json::text_at(*given, "disposition"))
      call["disposition"] = *disposition;
    for (const auto name : {"waited_seconds", "talked_seconds"}) {
      if (const auto seconds = json::integer_at(*given, name); seconds && *seconds >= 0)
        call[name] = *seconds;
    }
    out_.json("call", call);
    return {};
  }

  Status author() {
    const auto* member = in_.if_contains("author");
    if (!member) return {};
    const auto* given = member->if_object();
    if (!given) return wrong("author", "is not an object");
    RecordWriter author;
    const Place place{rules_.channel, rules_.region};
    std::string handle;
    if (const auto text = json::text_at(*given, "handle")) {
      if (auto canonical = canonical_handle(*text, place)) handle = std::move(*canonical);
    }
    if (!handle.empty()) author.text("handle", handle);
    if (const auto name = json::text_at(*given, "name")) {
      author.text("name", bounded("author.name", clean_text(*name, Lines::one), model::kMaxName));
    }
    if (const auto* addresses = json::array_at(*given, "addresses")) {
      json::array canonical;
      for (const auto& entry : *addresses) {
        if (canonical.size() == model::kMaxAddresses) break;
        if (!entry.is_string())
          return wrong("author.addresses", "holds something that is no string");
        if (auto one =
                canonical_handle({entry.get_string().data(), entry.get_string().size()}, place)) {
          canonical.emplace_back(std::move(*one));
        }
      }
      if (!canonical.empty()) author.json("addresses", canonical);
    }
    if (const auto profile = json::text_at(*given, "profile")) {
      if (auto link = link_of(*profile); !link.empty())
        author.text("profile", bounded("author.profile", std::move(link), model::kMaxUrl));
    }
    out_.made("author", author.finish());
    return {};
  }

  Status body() {
    if (const auto* text = in_.if_contains("text"); text && !text->is_string())
      return wrong("text", "is not a string");
    if (const auto text = json::text_at(in_, "text")) {
      given_ = *text;
      cleaned_ = bounded("text", clean_text(*text, Lines::many), model::kMaxText);
      out_.text("text", cleaned_);
    } else if (const auto html = json::text_at(in_, "html")) {
      const auto repaired = is_utf8(*html) ? std::string(*html) : utf8_repaired(*html);
      out_.text("text",
                bounded("text", clean_text(html_to_text(repaired), Lines::many), model::kMaxText));
    }
    return {};
  }

  // Where a byte of the text that was given stands in the text as it was cleaned and cut.
  std::int64_t place(std::int64_t at) {
    if (!given_) return at;  // of HTML nobody knows
    if (*given_ == cleaned_) return std::min<std::int64_t>(at, std::ssize(cleaned_));
    const auto end = utf8_prefix(*given_, static_cast<std::size_t>(at)).size();
    if (end < placed_from_) placed_from_ = placed_to_ = 0;  // plugins give them in their order
    placed_to_ += clean_text(given_->substr(placed_from_, end - placed_from_), Lines::many).size();
    placed_from_ = end;
    return std::min<std::int64_t>(static_cast<std::int64_t>(placed_to_), std::ssize(cleaned_));
  }

  Status quoted() {
    const auto* blocks = json::array_at(in_, "quoted");
    if (!blocks) return {};
    json::array kept;
    std::size_t total = 0;
    for (const auto& block : *blocks) {
      const auto* fields = block.if_object();
      if (!fields) return wrong("quoted", "holds something that is no object");
      json::object one;
      if (const auto depth = json::integer_at(*fields, "depth"); depth && *depth > 0)
        one["depth"] = std::min(*depth, model::kMaxQuoteDepth);
      if (const auto author = json::text_at(*fields, "author")) {
        one["author"] = bounded("quoted.author", clean_text(*author, Lines::one), model::kMaxName);
      }
      if (const auto at = json::integer_at(*fields, "at"); at && *at >= 0) one["at"] = place(*at);
      if (kept.size() == model::kMaxQuoted || total == model::kMaxText) {
        note_cut("quoted");
        break;
      }
      const auto text =
          bounded("quoted", clean_text(json::text_at(*fields, "text").value_or(""), Lines::many),
                  model::kMaxText - total);
      // Behind one that was cut none goes on.
      total = is_cut("quoted") ? model::kMaxText : total + text.size();
      one["text"] = text;
      if (const auto id = json::text_at(*fields, "native_id")) one["native_id"] = shown_id(*id);
      kept.emplace_back(std::move(one));
    }
    if (!kept.empty()) out_.json("quoted", kept);
    return {};
  }

  Status attachments() {
    json::array list;
    if (const auto* named = json::array_at(in_, "attachments")) {
      for (const auto& entry : *named) {
        if (list.size() == model::kMaxAttachments) {
          note_cut("attachments");
          break;
        }
        const auto* fields = entry.if_object();
        if (!fields) return wrong("attachments", "holds something that is no object");
        json::object one;
        for (const auto& [key, limit] :
             {std::pair<std::string_view, std::size_t>{"name", model::kMaxFileName},
              {"type", model::kMaxMediaType},
              {"url", model::kMaxUrl}}) {
          if (const auto text = json::text_at(*fields, key)) {
            const auto line = key == "url" ? link_of(*text) : clean_text(*text, Lines::one);
            if (!line.empty()) one[key] = utf8_prefix(line, limit);
          }
        }
        if (const auto hash = json::text_at(*fields, "sha256"); hash && model::is_sha256(*hash))
          one["sha256"] = *hash;
        if (const auto size = json::integer_at(*fields, "size"); size && *size >= 0)
          one["size"] = *size;
        list.emplace_back(std::move(one));
      }
    }
    for (const auto& file : offer_.attachments) {
      if (list.size() == model::kMaxAttachments) break;
      json::object one;
      if (const auto name = clean_text(file.name, Lines::one); !name.empty())
        one["name"] = utf8_prefix(name, model::kMaxFileName);
      one["type"] =
          file.media.empty()
              ? std::string("application/octet-stream")
              : std::string(utf8_prefix(clean_text(file.media, Lines::one), model::kMaxMediaType));
      one["size"] = file.bytes.size();
      one["sha256"] = to_hex(as_text(sha256(file.bytes)));
      list.emplace_back(std::move(one));
    }
    if (!list.empty()) out_.json("attachments", list);
    return {};
  }

  // What the channel says beyond our schema, with any member that we do not know: a newer plugin
  // may say more, and nothing it says is lost.
  void native() {
    static constexpr std::string_view kKnown[] = {
        "kind",        "direction",   "audience",  "author", "conversation",
        "in_reply_to", "title",       "text",      "html",   "quoted",
        "language",    "attachments", "permalink", "call",   "native"};
    json::object native;
    if (const auto* given = json::object_at(in_, "native")) native = *given;
    for (const auto& member : in_) {
      if (!model::is_one_of(std::string_view(member.key().data(), member.key().size()), kKnown)) {
        native.insert_or_assign(member.key(), member.value());
      }
    }
    if (!native.empty()) out_.json("native", native);
  }

  const json::object& in_;
  const Offer& offer_;
  const Rules& rules_;
  RecordWriter out_;
  json::array truncated_;
  std::optional<std::string_view> given_;  // the text as the plugin gave it, and
  std::string cleaned_;                    // as it is kept
  std::size_t placed_from_ = 0;
  std::size_t placed_to_ = 0;
};

// What the plugin gave, never our normalised form: a better normaliser must not look like an edit.
Digest digest_of(const Offer& offer) {
  Sha256 hash;
  hash.add_field(offer.record).add_field(offer.raw).add_number(offer.withdrawn ? 1 : 0);
  hash.add_number(
      offer.occurred ? static_cast<std::uint64_t>(offer.occurred->time_since_epoch().count()) : 0);
  for (const auto& file : offer.attachments)
    hash.add_field(file.name).add_field(file.media).add_field(file.bytes);
  return hash.finish();
}

// Of evidence that is cut, size and digest are those of the whole.
std::string quarantine_record(std::string_view reason, std::string_view evidence, bool with_hash) {
  RecordWriter out;
  out.text("reason", utf8_prefix(clean_text(reason, Lines::one), 4096));
  out.json("raw_size", static_cast<std::int64_t>(evidence.size()));
  if (with_hash) out.text("raw_sha256", to_hex(as_text(sha256(evidence))));
  return out.finish();
}

}  // namespace

Result<std::string> Normaliser::record(const Offer& offer) {
  // Not their sum: a text is cut anyway, and the raw bytes are what was limited on the way in.
  for (const auto& [what, size] : {std::pair("record is", offer.record.size()),
                                   std::pair("raw bytes are", offer.raw.size())}) {
    if (size > rules_.max_item)
      return permanent(
          fmt::format("its {} larger than max_item ({} of {} bytes)", what, size, rules_.max_item));
  }
  // The first kilobytes of every parse come from the stack.
  unsigned char first[8192];
  boost::json::monotonic_resource storage(first, sizeof first);
  // One level less than a record may have: what we do not know moves into `native`.
  VOXBUS_TRY(parsed, json::parse(offer.record, model::kMaxRecordDepth - 1, &storage));
  const auto* object = parsed.if_object();
  if (!object) return permanent("the record is no JSON object");
  if (offer.occurred && !is_writable(*offer.occurred))
    return permanent("occurred outside the years 1 to 9999");
  VOXBUS_TRY(out, RecordReader(*object, offer, rules_).normalised());
  if (out.size() > model::kMaxRecord) return permanent("the record is larger than 1 MiB");
  return out;
}

model::Item Normaliser::normalise(const Offer& offer) {
  if (offer.unreadable) {
    const auto parsed = json::parse(offer.record, 8);
    const auto* object = parsed ? parsed->if_object() : nullptr;
    const auto reason = object ? json::text_at(*object, "reason") : std::nullopt;
    // A record that gives the reason holds nothing more; any other is all that there is of the
    // item.
    return reason ? quarantine(offer, *reason, offer.raw)
                  : quarantine(offer, "the plugin could not read it");
  }
  if (offer.native_id.empty()) return quarantine(offer, "the plugin gave it no native id");
  std::string normalised = "{}";
  if (!offer.withdrawn || !offer.record.empty()) {
    auto made = record(offer);
    // A deletion counts even when what it says of itself cannot be read.
    if (!made && !offer.withdrawn) return quarantine(offer, made.error().message);
    if (made) normalised = std::move(*made);
  }
  model::Item item;
  item.native_id = shown_id(offer.native_id);
  item.version = offer.version;
  item.occurred = offer.occurred;
  item.withdrawn = offer.withdrawn;
  item.backfill = offer.backfill;
  item.digest = digest_of(offer);
  item.record = std::move(normalised);
  if (rules_.keep_raw_of_all) item.raw = offer.raw;
  // What we make must pass what the daemon checks; else one odd message would stop its channel.
  if (auto sound = check_item(item); !sound) return quarantine(offer, sound.error().message);
  return item;
}

model::Item Normaliser::quarantine(const Offer& offer, std::string_view reason) {
  return quarantine(offer, reason, offer.raw.empty() ? offer.record : offer.raw);
}

model::Item Normaliser::quarantine(const Offer& offer, std::string_view reason,
                                   std::string_view evidence) {
  model::Item item;
  item.digest = digest_of(offer);
  // What has no name is named by what it is, so that two of them stay two.
  item.native_id = offer.native_id.empty() ? "sha256:" + to_hex(as_text(item.digest))
                                           : shown_id(offer.native_id);
  item.version = offer.version;
  if (offer.occurred && is_writable(*offer.occurred)) item.occurred = offer.occurred;
  item.backfill = offer.backfill;
  const bool too_large = evidence.size() > std::min(rules_.max_item, model::kMaxItem);
  // Of what is too large its beginning: headers, where it has such.
  item.raw = too_large ? evidence.substr(0, 64 << 10) : evidence;
  item.quarantined = true;
  item.record = quarantine_record(reason, evidence, too_large);
  return item;
}

void admit(model::Item& item) {
  const auto sound = check_item(item);
  if (sound) return;
  item.native_id = shown_id(item.native_id);
  if (item.occurred && !is_writable(*item.occurred)) item.occurred.reset();
  if (item.raw.empty()) item.raw = std::move(item.record);
  item.record =
      quarantine_record("the channel's process sent " + sound.error().message, item.raw, false);
  item.quarantined = true;
  item.withdrawn = false;
  item.author.clear();
  item.conversation.clear();
}

Status check_item(model::Item& item) {
  if (item.native_id.empty() || shown_id(item.native_id) != item.native_id) {
    return permanent("an item without a proper native id");
  }
  if (item.record.size() > model::kMaxRecord) return permanent("a record larger than 1 MiB");
  // JSON needs none, and with one a record could pass for two lines of a stream.
  for (const char c : item.record) {
    if (static_cast<unsigned char>(c) < 0x20) return permanent("a record with a control character");
  }
  if (item.occurred && !is_writable(*item.occurred))
    return permanent("a time outside the years 1 to 9999");
  if (item.raw.size() > model::kMaxItem) return permanent("raw evidence larger than 32 MiB");
  unsigned char first[8192];
  boost::json::monotonic_resource storage(first, sizeof first);
  VOXBUS_TRY(parsed, json::parse(item.record, model::kMaxRecordDepth, &storage));
  const auto* record = parsed.if_object();
  if (!record || item.record.front() != '{' || item.record.back() != '}')
    return permanent("a record that is no object");
  if (json::has_repeated_keys(item.record, parsed))
    return permanent("a record that names a member twice");
  static constexpr std::string_view kOurs[] = {"channel",  "plugin",   "native_id",
                                               "revision", "historic", "raw"};
  for (const auto name : kOurs) {
    if (record->contains(name))
      return permanent("a record with the daemon's own member '" + std::string(name) + "'");
  }
  if (item.quarantined) {
    return json::text_at(*record, "reason")
               ? Status()
               : Status(permanent("a quarantined item without a reason"));
  }
  if (record->contains("reason"))
    return permanent("a record with the daemon's own member 'reason'");
  if (item.withdrawn && record->empty()) return {};
  VOXBUS_CHECK(model::check_interaction(*record));
  if (const auto* author = json::object_at(*record, "author")) {
    item.author = json::text_at(*author, "handle").value_or("");
  }
  item.conversation = json::text_at(*record, "conversation").value_or("");
  item.message_id = model::message_id_of(*record);
  item.quoted_ids = model::quoted_ids_of(*record);
  return {};
}

}  // namespace voxbus::intake
