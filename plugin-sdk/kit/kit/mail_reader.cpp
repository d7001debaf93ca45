// SPDX-License-Identifier: Apache-2.0
#include "kit/mail_reader.hpp"

#include <gmime/gmime.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "voxbus/text.hpp"

namespace voxbus::kit {
namespace {

constexpr std::size_t kLongestId = 1000;  // bytes of a Message-ID that is kept as it stands
constexpr std::size_t kMostRecipients = 64;
constexpr std::int64_t kDay = 86'400;

struct Unref {
  template<class T>
  void operator()(T* object) const {
    g_object_unref(object);
  }
};
template<class T>
using Owned = std::unique_ptr<T, Unref>;

void start_gmime() {
  [[maybe_unused]] static const bool kStarted = [] {
    g_mime_init();
    return true;
  }();
}

std::string text_of(const char* words) { return words ? to_utf8(words) : std::string{}; }

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

// An id that the schema has room for.
std::string bounded(const char* id) {
  std::string text = text_of(id);
  return text.size() <= kLongestId ? text : "sha256:" + sha256_hex(text);
}

// What a part holds, decoded.
std::string content_of(GMimePart* part) {
  GMimeDataWrapper* wrapper = g_mime_part_get_content(part);
  if (!wrapper) return {};
  const Owned<GMimeStream> stream{g_mime_stream_mem_new()};
  g_mime_data_wrapper_write_to_stream(wrapper, stream.get());
  const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
  return {reinterpret_cast<const char*>(bytes->data), bytes->len};
}

std::string converted(const std::string& bytes, const char* charset) {
  const Owned<GMimeFilter> filter{g_mime_filter_charset_new(charset, "utf-8")};
  if (!filter) return {};
  char* out = nullptr;
  std::size_t size = 0;
  std::size_t prespace = 0;
  std::string input = bytes;  // the filter may write into it
  g_mime_filter_complete(filter.get(), input.data(), input.size(), 0, &out, &size, &prespace);
  return to_utf8({out, size});
}

std::string decoded_text(GMimeObject* part) {
  const std::string bytes = content_of(GMIME_PART(part));
  const std::string charset =
      lower(text_of(g_mime_object_get_content_type_parameter(part, "charset")));
  std::string text;
  const bool unicode =
      charset.empty() || charset == "utf-8" || charset == "utf8" || charset == "us-ascii";
  if (!unicode) text = converted(bytes, charset.c_str());
  // An unknown or missing charset: what most senders that leave it out mean.
  if (text.empty()) text = is_utf8(bytes) ? bytes : converted(bytes, "windows-1252");
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') out += text[i];
  }
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out;
}

constexpr std::size_t kMostWords = 1 << 20;  // bytes; the daemon keeps 256 KiB of them

// Goes through the parts and gathers words and files.
class Body {
 public:
  void walk(GMimeObject* object) {
    if (GMIME_IS_MULTIPART(object)) {
      multipart(GMIME_MULTIPART(object));
    } else if (GMIME_IS_MESSAGE_PART(object)) {
      message(GMIME_MESSAGE_PART(object));
    } else if (GMIME_IS_PART(object)) {
      leaf(object);
    }
  }

  // Plain text where every piece has it; else html, with plain pieces as such in between.
  void put_into(Record& record) && {
    const bool plain = std::all_of(pieces_.begin(), pieces_.end(),
                                   [](const Piece& piece) { return !piece.only_html(); });
    for (const Piece& piece : pieces_) {
      if (record.text.size() + record.html.size() > kMostWords) break;
      if (plain) {
        record.text += (record.text.empty() ? "" : "\n") + piece.text;
      } else {
        record.html += piece.only_html() ? piece.html : "<pre>" + escaped(piece.text) + "</pre>";
      }
    }
    // Cut where the daemon would cut it much earlier, rather than carried there.
    if (record.text.size() > kMostWords) record.text = clip(record.text, kMostWords);
    record.attachments = std::move(files_);
  }

 private:
  struct Piece {
    std::string text;
    std::string html;
    bool only_html() const { return text.empty() && !html.empty(); }
  };

  static bool is_type(GMimeObject* object, const char* type, const char* subtype) {
    GMimeContentType* content = g_mime_object_get_content_type(object);
    return content && g_mime_content_type_is_type(content, type, subtype);
  }

  void multipart(GMimeMultipart* multipart) {
    GMimeObject* self = GMIME_OBJECT(multipart);
    const int count = g_mime_multipart_get_count(multipart);
    const bool alternative = is_type(self, "multipart", "alternative");
    const bool related = is_type(self, "multipart", "related");
    const std::size_t before = pieces_.size();
    // Its boundary never came: everything stands before the first part.
    if (const char* words = count == 0 ? g_mime_multipart_get_prologue(multipart) : nullptr) {
      Piece piece{.text = to_utf8(words)};
      if (!piece.text.empty()) pieces_.push_back(std::move(piece));
    }
    for (int i = 0; i < count; ++i) {
      GMimeObject* child = g_mime_multipart_get_part(multipart, i);
      if (!child) continue;
      if (related && i > 0 && GMIME_IS_PART(child)) {
        file(GMIME_PART(child));
      } else {
        walk(child);
      }
    }
    if (!alternative || pieces_.size() <= before + 1) return;
    Piece one;  // the alternatives say the same: keep the first text and the last html
    for (std::size_t i = before; i < pieces_.size(); ++i) {
      if (one.text.empty()) one.text = std::move(pieces_[i].text);
      if (!pieces_[i].html.empty()) one.html = std::move(pieces_[i].html);
    }
    pieces_.resize(before);
    pieces_.push_back(std::move(one));
  }

  void leaf(GMimeObject* object) {
    const char* disposition = g_mime_object_get_disposition(object);
    const bool attached = disposition && g_ascii_strcasecmp(disposition, "attachment") == 0;
    const bool named = g_mime_part_get_filename(GMIME_PART(object)) != nullptr;
    const bool plain = is_type(object, "text", "plain");
    const bool html = is_type(object, "text", "html");
    if (attached || named || !(plain || html)) return file(GMIME_PART(object));
    Piece piece;
    (plain ? piece.text : piece.html) = decoded_text(object);
    if (!piece.text.empty() || !piece.html.empty()) pieces_.push_back(std::move(piece));
  }

  void file(GMimePart* part) {
    const std::string content = content_of(part);
    add(part, text_of(g_mime_part_get_filename(part)), content);
  }

  void message(GMimeMessagePart* part) {
    std::string content;
    if (GMimeMessage* inner = g_mime_message_part_get_message(part)) {
      const Owned<GMimeStream> stream{g_mime_stream_mem_new()};
      g_mime_object_write_to_stream(GMIME_OBJECT(inner), nullptr, stream.get());
      const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
      content.assign(reinterpret_cast<const char*>(bytes->data), bytes->len);
    }
    const char* name =
        g_mime_object_get_content_disposition_parameter(GMIME_OBJECT(part), "filename");
    add(part, text_of(name), content);
  }

  template<class Part>
  void add(Part* part, std::string name, const std::string& content) {
    if (files_.size() == 1024) return;
    GMimeContentType* type = g_mime_object_get_content_type(GMIME_OBJECT(part));
    char* shown = type ? g_mime_content_type_get_mime_type(type) : nullptr;
    files_.push_back(
        {std::move(name), lower(text_of(shown)), content.size(), sha256_hex(content), {}});
    g_free(shown);
  }

  std::vector<Piece> pieces_;
  std::vector<NamedFile> files_;
};

// An address that a handle can be made of.
std::string usable(const char* address) {
  const std::string text = text_of(address);
  const std::size_t at = text.rfind('@');
  const bool fine =
      at != text.npos && at > 0 && at + 1 < text.size() && text.size() <= 320 &&
      std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' '; });
  return fine ? text : std::string{};
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
      out.emplace_back(usable(internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(one))),
                       text_of(internet_address_get_name(one)));
    }
  }
}

std::vector<std::string> references(GMimeObject* message, const char* header,
                                    const std::string& own) {
  std::vector<std::string> ids;
  const char* value = g_mime_object_get_header(message, header);
  if (!value) return ids;
  GMimeReferences* parsed = g_mime_references_parse(nullptr, value);
  const int count = g_mime_references_length(parsed);
  for (int i = 0; i < count && ids.size() < 2; ++i) {
    std::string id = bounded(g_mime_references_get_message_id(parsed, i));
    if (!id.empty() && id != own) ids.push_back(std::move(id));
  }
  g_mime_references_free(parsed);
  return ids;
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
        if (lower(own) == lower(address)) record.direction = Direction::kOutbound;
      }
    } else if (!address.empty()) {
      record.author.addresses.push_back("mailto:" + address);
    }
  }
  if (record.author.handle.empty() && !from.empty()) record.author.name = from.front().second;
}

void read_native(GMimeMessage* message, const std::string& own_id, Record& record) {
  GMimeObject* object = GMIME_OBJECT(message);
  if (!own_id.empty()) record.native.ids.emplace_back("message_id", own_id);
  const auto list = [&](const char* name, InternetAddressList* from) {
    if (Json::Array found = addresses(from); !found.empty()) {
      record.native.more.emplace_back(name, std::move(found));
    }
  };
  list("to", g_mime_message_get_to(message));
  list("cc", g_mime_message_get_cc(message));
  list("reply_to", g_mime_message_get_reply_to(message));
  static constexpr std::pair<const char*, const char*> kMarks[] = {
      {"Auto-Submitted", "auto_submitted"},
      {"Precedence", "precedence"},
      {"X-Auto-Response-Suppress", "auto_response_suppress"},
      {"Return-Path", "return_path"},
      {"List-Id", "list_id"},
      {"List-Post", "list_post"},
      {"List-Unsubscribe", "list_unsubscribe"}};
  for (const auto& [header, name] : kMarks) {
    if (const char* value = g_mime_object_get_header(object, header)) {
      record.native.more.emplace_back(name, clip(text_of(value), 1024));
    }
  }
}

ReadMail parse(std::string_view bytes, std::string_view id, const MailOptions& options) {
  ReadMail mail;
  const auto unreadable = [&](std::string why) {
    mail.unreadable = std::move(why);
    return std::move(mail);
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
  Record& record = mail.record;
  record.kind = Kind::kMail;
  record.title = text_of(g_mime_message_get_subject(message.get()));
  read_author(message.get(), options, record);
  const std::string own_id = bounded(g_mime_message_get_message_id(message.get()));
  const auto thread = references(object, "References", own_id);
  const auto answers = references(object, "In-Reply-To", own_id);
  if (!answers.empty()) record.in_reply_to = answers.front();
  record.conversation = !thread.empty()    ? thread.front()
                        : !answers.empty() ? answers.front()
                        : !own_id.empty()  ? own_id
                                           : std::string{id};
  if (record.in_reply_to.empty() && !thread.empty()) record.in_reply_to = thread.back();
  read_native(message.get(), own_id, record);
  auto seconds = seconds_of(g_mime_message_get_date(message.get()));
  const auto arrived = received(object);
  if (arrived && (!seconds || std::abs(*seconds - *arrived) > kDay)) seconds = arrived;
  if (seconds) mail.occurred_at = Time{std::chrono::seconds{*seconds}};
  if (GMimeObject* root = g_mime_message_get_mime_part(message.get())) {
    Body body;
    body.walk(root);
    std::move(body).put_into(record);
  }
  return mail;
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
