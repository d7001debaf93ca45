// SPDX-License-Identifier: Apache-2.0
#include "kit/mail_reader.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "kit/mail/charset.hpp"
#include "kit/mail/declared_type.hpp"
#include "kit/mail/encoded_words.hpp"
#include "kit/mail/gmime.hpp"
#include "kit/mail/mail_marks.hpp"
#include "kit/mail/mime_body.hpp"
#include "kit/mail/names_in_text.hpp"
#include "kit/mail/quoted_headers.hpp"
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

struct Mailbox {
  std::string address;  // empty where none is usable
  std::string name;     // or what was shown instead of an address
};

// The mailboxes of a list, those inside groups as well.
void collect(InternetAddressList* list, std::vector<Mailbox>& out, int depth = 0) {
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
      out.push_back({std::move(fine), std::move(name)});
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
  std::vector<Mailbox> found;
  collect(list, found);
  Json::Array out;
  for (Mailbox& one : found) {
    if (!one.address.empty()) out.emplace_back(std::move(one.address));
  }
  return out;
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

// The mailboxes of a header's text.
std::vector<Mailbox> mailboxes(std::string_view text) {
  const Owned<InternetAddressList> list{
      internet_address_list_parse(nullptr, std::string{text}.c_str())};
  std::vector<Mailbox> out;
  collect(list.get(), out);
  return out;
}

// Where the first mailbox of a list ends. GMime passes over what is no address by the book, and the
// next one must not take its place. A comma before any '@' stands in a name: "Falk, Nora <n@x>".
std::size_t end_of_first(std::string_view list) {
  bool is_whole = false;
  int comments = 0;
  for (std::size_t at = 0; at < list.size(); ++at) {
    const char c = list[at];
    if (c == '\\') {
      ++at;
    } else if (comments > 0) {
      comments += c == '(' ? 1 : c == ')' ? -1 : 0;
    } else if (c == '(') {
      ++comments;
    } else if (c == '"') {
      for (++at; at < list.size() && list[at] != '"'; ++at) at += list[at] == '\\' ? 1 : 0;
    } else if (c == '@' || c == '>') {
      is_whole = true;
    } else if (c == ',' && is_whole) {
      return at;
    }
  }
  return list.size();
}

// One person wrote a mail: the first mailbox of the first From header. Whoever else is named there
// has only been named: handles that anybody may add would make one person of two.
void read_author(GMimeMessage* message, std::string_view charset, const MailOptions& options,
                 Record& record) {
  GMimeObject* object = GMIME_OBJECT(message);
  std::string from = mail::decode_in_header(raw_header(object, "From"), charset).text;
  std::string sender = mail::decode_in_header(raw_header(object, "Sender"), charset).text;
  if (mail::trimmed(from).empty()) from = std::exchange(sender, {});
  const std::size_t end = end_of_first(from);
  if (const auto first = mailboxes(std::string_view{from}.substr(0, end)); !first.empty()) {
    const auto fine = std::find_if(first.begin(), first.end(),
                                   [](const Mailbox& one) { return !one.address.empty(); });
    const Mailbox& author = fine == first.end() ? first.front() : *fine;
    record.author.name = author.name;
    if (!author.address.empty()) record.author.handle = "mailto:" + author.address;
    for (const std::string& own : options.own_addresses) {
      if (!own.empty() && mail::equal_ascii(own, author.address))
        record.direction = Direction::kOutbound;
    }
  }
  // What is no address by the book is shown as it stands.
  if (record.author.handle.empty() && record.author.name.empty()) {
    record.author.name = mail::shown_name(
        mail::decoded_header(std::string_view{from}.substr(0, std::min<std::size_t>(end, 2048))));
  }
  Json::Array others;
  if (end < from.size()) {
    for (Mailbox& one : mailboxes(std::string_view{from}.substr(end + 1))) {
      if (!one.address.empty()) others.emplace_back(std::move(one.address));
    }
  }
  if (!others.empty()) record.native.more.emplace_back("also_from", std::move(others));
  const auto sent_by = mailboxes(sender);
  if (!sent_by.empty() && !sent_by.front().address.empty() &&
      "mailto:" + sent_by.front().address != record.author.handle)
    record.native.more.emplace_back("sender", sent_by.front().address);
}

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

// Old Macs end lines with CR alone; a store may have added the last LF.
bool has_returns_only(std::string_view bytes) {
  const std::size_t feed = bytes.find('\n');
  const std::size_t last = bytes.size() - (bytes.ends_with("\r\n") ? 2 : 1);
  return (feed == bytes.npos || feed + 1 == bytes.size()) && bytes.find('\r') < last;
}

// A header that ends some lines with CR alone: whoever reads it finds other headers in it than the
// next.
bool has_returns_between_headers(std::string_view header) {
  for (std::size_t at = header.find('\r'); at != header.npos; at = header.find('\r', at + 1)) {
    std::size_t name = at + 1;
    while (name < header.size() && header[name] > ' ' && header[name] <= '~' && header[name] != ':')
      ++name;
    if (name > at + 1 && name < header.size() && header[name] == ':') return true;
  }
  return false;
}

ReadMail parse(std::string_view bytes, std::string_view id, const MailOptions& options) {
  ReadMail result;
  const auto unreadable = [&](std::string why) {
    result.unreadable = std::move(why);
    return std::move(result);
  };
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  if (bytes.starts_with("From "))
    bytes.remove_prefix(std::min(bytes.find('\n'), bytes.size() - 1) + 1);
  if (bytes.empty()) return unreadable("empty");
  std::string with_feeds;
  if (has_returns_only(bytes)) {
    with_feeds = bytes;
    std::replace(with_feeds.begin(), with_feeds.end(), '\r', '\n');
    bytes = with_feeds;
  }
  if (has_returns_between_headers(mail_header(bytes)))
    return unreadable("a header in which some lines end with CR alone");
  if (std::string why = beyond_limits(bytes, options.limits); !why.empty()) return unreadable(why);
  mail::start_gmime();
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
  GMimeObject* root = g_mime_message_get_mime_part(message.get());
  mail::Thread thread = mail::thread_of(object);
  const mail::MailContext context{
      .repeats = !thread.answered.empty() ||
                 mail::is_forward_subject(mail::decoded_header(raw_header(object, "Subject"))),
      .from_list = mail::is_from_list(ParsedHeaders{object})};
  mail::MailBody body = root ? mail::read_body(root, options.keep, context) : mail::MailBody{};
  // Programs that write raw bytes into a header write those of the body's charset.
  const std::string charset = body.charset.empty() ? body.guessed : body.charset;
  std::string guessed = body.guessed;
  record.title = mail::decoded_header(raw_header(object, "Subject"), charset, &guessed);
  record.language = mail::language_of(raw_header(object, "Content-Language"));
  read_author(message.get(), charset, options, record);
  // A report belongs to the mail that it is about, where its own headers name none.
  if (thread.answered.empty() && !body.reported.own.empty()) {
    thread.answered = body.reported.own;
    thread.root = body.reported.root.empty() ? body.reported.own : body.reported.root;
  }
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
  put_words(std::move(body), thread, result);
  if (!guessed.empty()) record.native.more.emplace_back("charset_guessed", std::move(guessed));
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
