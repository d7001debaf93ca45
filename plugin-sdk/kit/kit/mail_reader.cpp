// SPDX-License-Identifier: Apache-2.0
#include "kit/mail_reader.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "kit/mail/encoded_words.hpp"
#include "kit/mail/gmime.hpp"
#include "kit/mail/mail_marks.hpp"
#include "kit/mail/mime_body.hpp"
#include "kit/mail/names_in_text.hpp"
#include "kit/mail/threads.hpp"
#include "kit/mail/words.hpp"
#include "voxbus/text.hpp"

namespace voxbus::kit {
namespace {

using mail::Owned;
using mail::raw_header;
using mail::text_of;

constexpr std::size_t kMostRecipients = 64;
constexpr std::int64_t kDay = 86'400;

void start_gmime() {
  [[maybe_unused]] static const bool kStarted = [] {
    g_mime_init();
    return true;
  }();
}

// An address that a handle can be made of.
std::string usable(const char* address) {
  const std::string text = text_of(address);
  const std::size_t at = text.rfind('@');
  const bool fine =
      at != text.npos && at > 0 && at + 1 < text.size() && text.size() <= 320 &&
      std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' '; });
  // Archives cut addresses so that nobody can write there: it is shown, and is nobody's handle.
  const bool cut = text.find("...") != text.npos || text.find("\xE2\x80\xA6") != text.npos ||
                   text.find("***") != text.npos;
  return fine && !cut ? text : std::string{};
}

// A name as people read it; GMime leaves encoded words that are not quite by the book.
std::string shown(const char* name) {
  if (!name) return {};
  const std::string_view text = name;
  if (text.find("=?") != text.npos || !is_utf8(text)) return mail::decoded_header(text);
  return std::string{text};
}

// The mailboxes of a list, those inside groups as well.
void collect(InternetAddressList* list, std::vector<std::pair<std::string, std::string>>& out,
             int depth = 0) {
  if (!list || depth > 4) return;
  const int count = internet_address_list_length(list);
  for (int i = 0; i < count && out.size() < kMostRecipients; ++i) {
    InternetAddress* one = internet_address_list_get_address(list, i);
    if (INTERNET_ADDRESS_IS_GROUP(one)) {
      collect(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(one)), out, depth + 1);
    } else if (INTERNET_ADDRESS_IS_MAILBOX(one)) {
      const char* address = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(one));
      std::string name = shown(internet_address_get_name(one));
      std::string fine = usable(address);
      // What is no address is still what was shown.
      if (fine.empty() && name.empty()) name = clip(text_of(address), 512);
      out.emplace_back(std::move(fine), std::move(name));
    }
  }
}

std::optional<std::int64_t> seconds_of(GDateTime* date) {
  if (!date) return std::nullopt;
  const std::int64_t seconds = g_date_time_to_unix(date);
  // From 1970 to 2200: outside of that nobody wrote a mail.
  if (seconds <= 0 || seconds > 7'258'118'400) return std::nullopt;
  return seconds;
}

std::optional<std::int64_t> received(GMimeObject* message) {
  const char* value = g_mime_object_get_header(message, "Received");
  const char* date = value ? std::strrchr(value, ';') : nullptr;
  if (!date) return std::nullopt;
  GDateTime* parsed = g_mime_utils_header_decode_date(date + 1);
  const auto seconds = seconds_of(parsed);
  if (parsed) g_date_time_unref(parsed);
  return seconds;
}

Json::Array addresses(InternetAddressList* list) {
  std::vector<std::pair<std::string, std::string>> found;
  collect(list, found);
  Json::Array out;
  for (const auto& [address, name] : found) {
    if (!address.empty()) out.emplace_back(address);
  }
  return out;
}

void read_author(GMimeMessage* message, const MailOptions& options, Record& record) {
  std::vector<std::pair<std::string, std::string>> from;
  collect(g_mime_message_get_from(message), from);
  if (from.empty()) collect(g_mime_message_get_sender(message), from);
  for (const auto& [address, name] : from) {
    if (!address.empty() && record.author.handle.empty()) {
      record.author.handle = "mailto:" + address;
      record.author.name = name;
      for (const std::string& own : options.own_addresses) {
        if (mail::equal_ascii(own, address)) record.direction = Direction::kOutbound;
      }
    } else if (!address.empty()) {
      record.author.addresses.push_back("mailto:" + address);
    }
  }
  if (record.author.handle.empty() && !from.empty()) record.author.name = from.front().second;
  // What is no address by the book is shown as it stands.
  if (record.author.handle.empty() && record.author.name.empty()) {
    const std::string_view written = raw_header(GMIME_OBJECT(message), "From");
    record.author.name = mail::shown_name(mail::decoded_header(written.substr(0, 2048)));
  }
}

class ParsedHeaders final : public mail::Headers {
 public:
  explicit ParsedHeaders(GMimeObject* object) : object_{object} {}
  std::string_view first(const char* name) const override { return raw_header(object_, name); }
  std::vector<std::string_view> all(const char* name, std::size_t most) const override {
    std::vector<std::string_view> out;
    GMimeHeaderList* list = g_mime_object_get_header_list(object_);
    const int count = g_mime_header_list_get_count(list);
    for (int i = 0; i < count && out.size() < most; ++i) {
      GMimeHeader* header = g_mime_header_list_get_header_at(list, i);
      if (g_ascii_strcasecmp(g_mime_header_get_name(header), name) != 0) continue;
      if (const char* value = g_mime_header_get_raw_value(header)) out.emplace_back(value);
    }
    return out;
  }

 private:
  GMimeObject* object_;
};

void read_native(GMimeMessage* message, const mail::Thread& thread, Record& record) {
  if (!thread.own.empty()) record.native.ids.emplace_back("message_id", thread.own);
  if (!thread.outlook.empty()) record.native.ids.emplace_back("thread_index", thread.outlook);
  const auto list = [&](const char* name, InternetAddressList* from) {
    if (Json::Array found = addresses(from); !found.empty()) {
      record.native.more.emplace_back(name, std::move(found));
    }
  };
  list("to", g_mime_message_get_to(message));
  list("cc", g_mime_message_get_cc(message));
  list("reply_to", g_mime_message_get_reply_to(message));
  mail::add_marks(ParsedHeaders{GMIME_OBJECT(message)}, record.native);
}

// Which mail a quote repeats, where the mail says so: by markup, or because it stands under the
// only attribution and In-Reply-To names what is answered; of several in their order when both are
// as many.
void name_quoted(std::vector<mail::QuotedBlock>& blocks, const mail::Thread& thread) {
  std::vector<std::uint32_t> attributions;  // of the first level, in their order
  for (const mail::QuotedBlock& block : blocks) {
    if (block.quoted.depth != 1 || block.forwarded) continue;
    if (std::find(attributions.begin(), attributions.end(), block.attribution) ==
        attributions.end())
      attributions.push_back(block.attribution);
  }
  for (mail::QuotedBlock& block : blocks) {
    block.quoted.native_id = mail::bounded_id(std::move(block.quoted.native_id));
    if (block.quoted.depth != 1 || block.forwarded || !block.quoted.native_id.empty()) continue;
    if (attributions.size() == 1) {
      block.quoted.native_id = thread.answered;
    } else if (attributions.size() == thread.answered_all.size()) {
      const auto at = std::find(attributions.begin(), attributions.end(), block.attribution);
      block.quoted.native_id =
          thread.answered_all[static_cast<std::size_t>(at - attributions.begin())];
    }
  }
}

void put_words(mail::MailBody body, const mail::Thread& thread, ReadMail& out) {
  Record& record = out.record;
  name_quoted(body.words.blocks, thread);
  record.text = std::move(body.words.text);
  for (mail::QuotedBlock& block : body.words.blocks) {
    record.quoted.push_back(std::move(block.quoted));
  }
  record.attachments = std::move(body.files);
  out.attachments = std::move(body.kept);
  auto& more = record.native.more;
  if (body.report.object()) more.emplace_back("report", std::move(body.report));
  if (!body.protection.empty()) more.emplace_back("protection", std::move(body.protection));
  if (!body.words.signature.empty())
    more.emplace_back("signature", std::move(body.words.signature));
  if (body.words.cut) more.emplace_back("words_cut", true);
}

ReadMail parse(std::string_view bytes, std::string_view id, const MailOptions& options) {
  ReadMail result;
  const auto unreadable = [&](std::string why) {
    result.unreadable = std::move(why);
    return std::move(result);
  };
  if (bytes.starts_with("From "))
    bytes.remove_prefix(std::min(bytes.find('\n'), bytes.size() - 1) + 1);
  if (bytes.empty()) return unreadable("empty");
  if (std::string why = beyond_limits(bytes, options.limits); !why.empty()) return unreadable(why);
  start_gmime();
  // GMime ends a header's value at a NUL, and what follows would be lost without a word.
  std::string without_nul;
  if (const auto header = mail_header(bytes).size();
      bytes.substr(0, header).find('\0') != bytes.npos) {
    without_nul = bytes;
    std::replace(without_nul.begin(), without_nul.begin() + static_cast<std::ptrdiff_t>(header),
                 '\0', ' ');
    bytes = without_nul;
  }
  const Owned<GMimeStream> stream{g_mime_stream_mem_new_with_buffer(bytes.data(), bytes.size())};
  const Owned<GMimeParser> parser{g_mime_parser_new_with_stream(stream.get())};
  const Owned<GMimeMessage> message{g_mime_parser_construct_message(parser.get(), nullptr)};
  if (!message) return unreadable("not a mail");
  GMimeObject* object = GMIME_OBJECT(message.get());
  if (g_mime_header_list_get_count(g_mime_object_get_header_list(object)) == 0) {
    return unreadable("no header");
  }
  Record& record = result.record;
  record.kind = Kind::kMail;
  record.title = mail::decoded_header(raw_header(object, "Subject"));
  record.language = mail::language_of(raw_header(object, "Content-Language"));
  read_author(message.get(), options, record);
  const mail::Thread thread =
      mail::read_thread({.message_id = raw_header(object, "Message-ID"),
                         .in_reply_to = raw_header(object, "In-Reply-To"),
                         .references = raw_header(object, "References"),
                         .thread_index = raw_header(object, "Thread-Index")});
  record.in_reply_to = thread.answered;
  const bool by_outlook = !thread.outlook.empty() && (thread.outlook_answer || thread.own.empty());
  record.conversation = !thread.root.empty()  ? thread.root
                        : by_outlook          ? "thread-index:" + thread.outlook
                        : !thread.own.empty() ? thread.own
                                              : std::string{id};
  read_native(message.get(), thread, record);
  auto seconds = seconds_of(g_mime_message_get_date(message.get()));
  const auto arrived = received(object);
  if (arrived && (!seconds || std::abs(*seconds - *arrived) > kDay)) seconds = arrived;
  if (seconds) result.occurred_at = Time{std::chrono::seconds{*seconds}};
  if (GMimeObject* root = g_mime_message_get_mime_part(message.get())) {
    put_words(mail::read_body(root, options.keep), thread, result);
  }
  return result;
}

}  // namespace

ReadMail read_mail(std::string_view bytes, std::string_view id, const MailOptions& options) {
  try {
    return parse(bytes, id, options);
  } catch (const std::bad_alloc&) {
    throw;  // says nothing of the mail
  } catch (const std::exception& error) {
    ReadMail mail;
    mail.unreadable = error.what();
    return mail;
  }
}

}  // namespace voxbus::kit
