// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/mime_body.hpp"

#include <algorithm>
#include <utility>

#include "kit/mail/charset.hpp"
#include "kit/mail/encoded_words.hpp"
#include "kit/mail/gmime.hpp"
#include "kit/mail/html_reader.hpp"
#include "kit/mail/mail_marks.hpp"
#include "kit/mail/plain_text.hpp"
#include "kit/mail/trailers.hpp"
#include "kit/mail/words.hpp"
#include "kit/sha256.hpp"

namespace voxbus::kit::mail {

std::string content_of(GMimePart* part) {
  GMimeDataWrapper* wrapper = g_mime_part_get_content(part);
  if (!wrapper) return {};
  const Owned<GMimeStream> stream{g_mime_stream_mem_new()};
  g_mime_data_wrapper_write_to_stream(wrapper, stream.get());
  const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
  return {reinterpret_cast<const char*>(bytes->data), bytes->len};
}

bool KeepFiles::wants(std::string_view type) const {
  return std::any_of(types.begin(), types.end(), [&](const std::string& wanted) {
    if (wanted == "*" || wanted == "*/*") return true;
    if (wanted.ends_with("/*")) {
      return starts_with_ascii(type, std::string_view{wanted}.substr(0, wanted.size() - 1));
    }
    return equal_ascii(type, wanted);
  });
}

namespace {

constexpr std::size_t kMostInlineFiles = 64;
constexpr std::size_t kShortNote = 600;  // bytes of "view this mail in HTML"
constexpr std::size_t kFewWords = 300;  // bytes of a plain text that may be only a part of the HTML
constexpr std::size_t kClearlyMore = 20;  // letters, beyond twice as many
constexpr std::size_t kTitleWords = 6;    // of a title that says it in other words than the HTML
constexpr std::size_t kTitleBytes = 80;   // likewise, where blanks part no words
constexpr std::size_t kTitleTimes = 5;    // as many letters has the HTML then

// A part with words, not yet split.
struct Words {
  std::string plain;
  std::string html;
  bool has_plain = false;
  bool has_html = false;
  bool flowed = false;
  bool delsp = false;
};

bool is_type(GMimeObject* object, const char* type, const char* subtype) {
  GMimeContentType* content = g_mime_object_get_content_type(object);
  return content && g_mime_content_type_is_type(content, type, subtype);
}

std::string parameter(GMimeObject* object, const char* name) {
  return lower_ascii(trimmed(text_of(g_mime_object_get_content_type_parameter(object, name))));
}

// HTML that quotes by markup.
bool quotes_by_markup(const std::string& html) {
  for (const std::string_view mark : {"<blockquote", "<BLOCKQUOTE", "divRplyFwdMsg", "gmail_quote",
                                      "yahoo_quoted", "border-top:solid", "border-left:solid"}) {
    if (html.find(mark) != html.npos) return true;
  }
  return false;
}

// Words that PGP enciphered, between other words or alone; in a quote they are another's.
bool has_cipher(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN PGP MESSAGE-----";
  const std::size_t begin = text.find(kBegin);
  return begin != text.npos && (begin == 0 || text[begin - 1] == '\n') &&
         text.find("\n-----END PGP MESSAGE-----", begin) != text.npos;
}

// "This mail is HTML, use another program": no words of anybody. In an answer somebody may ask
// about HTML in so many words.
bool is_note_about_html(std::string_view plain, bool answers) {
  plain = trimmed(plain);
  if (plain.size() > kShortNote) return false;
  if (only_points_elsewhere(plain)) return true;
  if (answers) return false;
  const std::string lower = lower_ascii(plain);
  const std::size_t html = find_phrase(lower, "html");
  return html != lower.npos && (html == 0 || lower[html - 1] != '.');
}

bool nothing_but_blanks(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) {
                       return c == '\n' || c == '\r' || leading_blank({&c, 1}) > 0;
                     }) ||
         trimmed(text).empty();
}

NewAndQuoted split_plain(const Words& words, MailContext context) {
  if (words.flowed) {
    const FlowedLines flowed = flowed_lines(words.plain, words.delsp);
    return split_quotes(flowed.lines, context);
  }
  return split_quotes(plain_lines(words.plain), context);
}

NewAndQuoted split_html(const Words& words, MailContext context) {
  const HtmlLines read = html_lines(words.html);
  return split_quotes(read.lines, context);
}

bool is_of_a_word(char c) {
  return is_ascii_letter(c) || is_digit(c) || static_cast<unsigned char>(c) >= 0x80;
}

// Calls `take` with each word, as long as it says true; whether it always did.
// Addresses of the web are passed over: HTML has them behind words.
template<class Take>
bool each_word(std::string_view text, Take take) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t blank = std::min(text.find_first_of(" \t\n", at), text.size());
    const std::string_view between = text.substr(at, blank - at);
    at = blank + 1;
    if (between.find("://") != between.npos || between.find("www.") != between.npos) continue;
    for (std::size_t begin = 0; begin < between.size();) {
      std::size_t end = begin;
      while (end < between.size() && is_of_a_word(between[end])) ++end;
      if (end > begin && !take(between.substr(begin, end - begin))) return false;
      begin = std::max(end, begin + 1);
    }
  }
  return true;
}

std::size_t letters_in(std::string_view text) {
  std::size_t letters = 0;
  each_word(text, [&](std::string_view word) {
    letters += word.size();
    return true;
  });
  return letters;
}

std::size_t words_in(std::string_view text) {
  std::size_t words = 0;
  each_word(text, [&](std::string_view) { return ++words <= kTitleWords; });
  return words;
}

// Without what some programs leave of HTML in it: "&zwnj;&nbsp;".
std::string without_entities(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    while (text[at] == '&' && end < text.size() && end - at < 10 &&
           (is_ascii_letter(text[end]) || is_digit(text[end]) || text[end] == '#'))
      ++end;
    if (text[at] == '&' && end - at > 2 && end < text.size() && text[end] == ';') {
      out += ' ';
      at = end + 1;
    } else {
      out += text[at++];
    }
  }
  return out;
}

// Whether all words of the one stand in the other, in their order. Letter case does not count:
// programs write titles large.
bool has_words_of(std::string_view all, std::string_view some) {
  const std::string whole = lower_letters(all);
  const std::string part = without_entities(lower_letters(some));
  std::size_t from = 0;
  return each_word(part, [&](std::string_view word) {
    const std::size_t found = whole.find(word, from);
    if (found != whole.npos) from = found + word.size();
    return found != whole.npos;
  });
}

// A plain text that is a beginning, a summary or a title of the HTML, and not the same in other
// clothes. Against all of the plain part, so that a signature or footer that was taken off there
// and not here is no news.
bool says_much_more(const NewAndQuoted& rich, const NewAndQuoted& plain, const Words& words) {
  const std::size_t letters = letters_in(words.plain);
  const std::size_t more = letters_in(rich.text);
  if (more >= 2 * letters + kClearlyMore && has_words_of(rich.text, plain.text)) return true;
  // A title of other words; a person ends a sentence.
  const std::string_view said = trimmed(words.plain);
  constexpr std::string_view kStops = ".!?";
  return more >= kTitleTimes * letters + kClearlyMore && said.size() <= kTitleBytes &&
         words_in(said) <= kTitleWords && said.find('\n') == said.npos && !said.empty() &&
         kStops.find(said.back()) == kStops.npos && !said.ends_with("。") && !said.ends_with("？");
}

NewAndQuoted split(const Words& words, MailContext context) {
  const bool html = words.has_html && !nothing_but_blanks(words.html);
  if (!html) return split_plain(words, context);
  if (!words.has_plain || nothing_but_blanks(words.plain) ||
      is_note_about_html(words.plain, context.repeats)) {
    NewAndQuoted read = split_html(words, context);
    if (!read.text.empty() || !read.blocks.empty() || !words.has_plain) return read;
    return split_plain(words, context);
  }
  NewAndQuoted plain = split_plain(words, context);
  if (!plain.blocks.empty()) return plain;
  const bool quotes = quotes_by_markup(words.html);
  const bool may_be_part = !context.repeats && words.plain.size() <= kFewWords;
  if (!quotes && !may_be_part) return plain;
  NewAndQuoted rich = split_html(words, context);
  if (quotes && !rich.blocks.empty()) return rich;
  return may_be_part && says_much_more(rich, plain, words) ? rich : plain;
}

// Goes through the parts and gathers words and files.
class Body {
 public:
  Body(const KeepFiles& keep, MailContext context) : keep_{keep}, context_{context} {}

  void walk(GMimeObject* object) {
    if (GMIME_IS_MULTIPART(object)) {
      multipart(GMIME_MULTIPART(object));
    } else if (GMIME_IS_MESSAGE_PART(object)) {
      message(GMIME_MESSAGE_PART(object));
    } else if (GMIME_IS_PART(object)) {
      leaf(object);
    }
  }

  MailBody finish() && {
    for (Words& words : words_) {
      take_files(words);
      append(split(words, context_));
      words = {};
    }
    // Some type their mail into the field of the signature.
    NewAndQuoted& said = out_.words;
    const bool alone = said.blocks.empty() && out_.files.empty() && out_.kept.empty();
    if (said.text.empty() && !said.signature.empty() && (alone || reads_as_words(said.signature))) {
      said.text = std::exchange(said.signature, {});
    }
    return std::move(out_);
  }

 private:
  // The words of one part behind those of another.
  void append(NewAndQuoted part) {
    NewAndQuoted& all = out_.words;
    std::size_t shift = all.text.size();
    if (!part.text.empty() && !all.text.empty()) {
      all.text += '\n';
      ++shift;
    }
    if (all.text.size() + part.text.size() > kMostWords) {
      part.text = clip(part.text, kMostWords - std::min(kMostWords, all.text.size()));
      all.cut = true;
    }
    all.text += part.text;
    for (QuotedBlock& block : part.blocks) {
      if (all.blocks.size() == kMostBlocks || quoted_ + block.quoted.text.size() > kMostWords) {
        all.cut = true;
        break;
      }
      quoted_ += block.quoted.text.size();
      block.quoted.at = std::min<std::size_t>(shift + block.quoted.at.value_or(0), all.text.size());
      if (block.attribution > 0) block.attribution += attributions_;
      all.blocks.push_back(std::move(block));
    }
    for (const QuotedBlock& block : all.blocks)
      attributions_ = std::max(attributions_, block.attribution);
    if (!part.signature.empty() && all.signature.empty()) all.signature = std::move(part.signature);
    all.cut = all.cut || part.cut;
  }

  void multipart(GMimeMultipart* multipart) {
    GMimeObject* self = GMIME_OBJECT(multipart);
    const int count = g_mime_multipart_get_count(multipart);
    const bool alternative = is_type(self, "multipart", "alternative");
    const bool related = is_type(self, "multipart", "related");
    if (is_type(self, "multipart", "encrypted")) out_.protection = "encrypted";
    if (is_type(self, "multipart", "signed") && out_.protection.empty()) out_.protection = "signed";
    if (is_type(self, "multipart", "report")) returned_ = returned_mail(multipart, count);
    const std::size_t before = words_.size();
    // Its boundary never came: everything stands before the first part.
    if (const char* words = count == 0 ? g_mime_multipart_get_prologue(multipart) : nullptr) {
      Words one{.plain = without_returns(text_by(words, "")), .has_plain = true};
      if (!one.plain.empty()) words_.push_back(std::move(one));
    }
    const int root = related ? related_root(multipart, count) : -1;
    for (int i = 0; i < count; ++i) {
      GMimeObject* child = g_mime_multipart_get_part(multipart, i);
      if (!child) continue;
      if (related && i != root && GMIME_IS_PART(child)) {
        file(GMIME_PART(child));
      } else {
        walk(child);
      }
    }
    if (!alternative || words_.size() <= before + 1) return;
    Words one;  // the alternatives say the same: the first plain text and the last HTML
    for (std::size_t i = before; i < words_.size(); ++i) {
      Words& other = words_[i];
      if (other.has_plain && !one.has_plain) {
        one.plain = std::move(other.plain);
        one.has_plain = true;
        one.flowed = other.flowed;
        one.delsp = other.delsp;
      }
      if (other.has_html) {
        one.html = std::move(other.html);
        one.has_html = true;
      }
    }
    words_.resize(before);
    words_.push_back(std::move(one));
  }

  // The mail that a report gives back, whole or its header only (RFC 6522).
  static Thread returned_mail(GMimeMultipart* multipart, int count) {
    for (int i = 1; i < count; ++i) {
      GMimeObject* child = g_mime_multipart_get_part(multipart, i);
      if (child && GMIME_IS_MESSAGE_PART(child)) {
        GMimeMessage* inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(child));
        if (inner) return thread_of(GMIME_OBJECT(inner));
      } else if (child && GMIME_IS_PART(child) && is_type(child, "text", "rfc822-headers")) {
        // Encoded it was not seen by beyond_limits().
        const std::string header = content_of(GMIME_PART(child)).substr(0, 64 << 10) + "\n\n";
        const Owned<GMimeStream> stream{
            g_mime_stream_mem_new_with_buffer(header.data(), header.size())};
        const Owned<GMimeParser> parser{g_mime_parser_new_with_stream(stream.get())};
        const Owned<GMimeMessage> inner{g_mime_parser_construct_message(parser.get(), nullptr)};
        if (inner) return thread_of(GMIME_OBJECT(inner.get()));
      }
    }
    return {};
  }

  // The part that the others belong to: RFC 2387's "start", else the first.
  static int related_root(GMimeMultipart* multipart, int count) {
    const char* start = g_mime_object_get_content_type_parameter(GMIME_OBJECT(multipart), "start");
    std::string_view wanted = start ? std::string_view{start} : std::string_view{};
    if (wanted.starts_with('<')) wanted.remove_prefix(1);
    if (wanted.ends_with('>')) wanted.remove_suffix(1);
    for (int i = 0; i < count && !wanted.empty(); ++i) {
      GMimeObject* child = g_mime_multipart_get_part(multipart, i);
      const char* id = child ? g_mime_object_get_content_id(child) : nullptr;
      if (id && wanted == id) return i;
    }
    return 0;
  }

  std::string text_by(std::string_view bytes, std::string_view charset) {
    Decoded read = decode(bytes, charset);
    if (out_.guessed.empty()) out_.guessed = std::move(read.guessed);
    return std::move(read.text);
  }

  static std::string without_returns(std::string text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\r') {
        out += text[i];
      } else if (i + 1 < text.size() && text[i + 1] != '\n' && text[i + 1] != '\r') {
        out += '\n';  // a lone one ends a line, as old Macs have it
      }
    }
    return out;
  }

  void leaf(GMimeObject* object) {
    const char* disposition = g_mime_object_get_disposition(object);
    const bool attached = disposition && g_ascii_strcasecmp(disposition, "attachment") == 0;
    const bool named = g_mime_part_get_filename(GMIME_PART(object)) != nullptr;
    const bool plain = is_type(object, "text", "plain") || is_type(object, "text", "markdown");
    const bool html = is_type(object, "text", "html");
    if (is_type(object, "application", "pkcs7-mime") ||
        is_type(object, "application", "x-pkcs7-mime")) {
      const std::string smime = parameter(object, "smime-type");
      if (out_.protection.empty())
        out_.protection = smime.starts_with("signed") ? "signed" : "encrypted";
    }
    if (attached || named || !(plain || html)) {
      const bool delivery = is_type(object, "message", "delivery-status") ||
                            is_type(object, "message", "global-delivery-status");
      const bool disposed = is_type(object, "message", "disposition-notification") ||
                            is_type(object, "message", "global-disposition-notification");
      if (delivery || disposed) {
        Report report = delivery_report(content_of(GMIME_PART(object)), disposed, returned_.own);
        if (report.said.object() && !out_.report.object()) {
          out_.report = std::move(report.said);
          out_.reported = report.original == returned_.own ? std::move(returned_) : Thread{};
          out_.reported.own = std::move(report.original);
        }
      }
      return file(GMIME_PART(object));
    }
    Words words;
    const std::string bytes = content_of(GMIME_PART(object));
    std::string charset = parameter(object, "charset");
    if (html && charset.empty()) charset = html_charset(bytes);
    if (out_.charset.empty()) out_.charset = charset;
    std::string text = without_returns(text_by(bytes, charset));
    while (text.ends_with('\n')) text.pop_back();
    if (plain) {
      words.plain = std::move(text);
      words.has_plain = true;
      words.flowed = parameter(object, "format") == "flowed";
      words.delsp = parameter(object, "delsp") == "yes";
      if (out_.protection.empty() && has_cipher(words.plain)) out_.protection = "encrypted";
      if (take_clear_signature(words.plain) && out_.protection.empty()) out_.protection = "signed";
    } else {
      words.html = std::move(text);
      words.has_html = true;
    }
    if (words_.size() < kMostFiles) words_.push_back(std::move(words));
  }

  void file(GMimePart* part) {
    add(GMIME_OBJECT(part), file_name(GMIME_OBJECT(part), g_mime_part_get_filename(part)),
        content_of(part));
  }

  // GMime decodes RFC 2231; what it leaves are encoded words where none may be, and raw bytes.
  static std::string file_name(GMimeObject*, const char* name) {
    if (!name) return {};
    const std::string_view text = name;
    if (text.find("=?") != text.npos || !is_utf8(text)) return decoded_header(text);
    return std::string{text};
  }

  void message(GMimeMessagePart* part) {
    std::string content;
    if (GMimeMessage* inner = g_mime_message_part_get_message(part)) {
      const Owned<GMimeStream> stream{g_mime_stream_mem_new()};
      g_mime_object_write_to_stream(GMIME_OBJECT(inner), nullptr, stream.get());
      const GByteArray* bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(stream.get()));
      content.assign(reinterpret_cast<const char*>(bytes->data), bytes->len);
    }
    GMimeObject* object = GMIME_OBJECT(part);
    const char* name = g_mime_object_get_content_disposition_parameter(object, "filename");
    add(object, file_name(object, name), std::move(content));
  }

  void add(GMimeObject* part, std::string name, std::string content) {
    GMimeContentType* type = g_mime_object_get_content_type(part);
    char* shown = type ? g_mime_content_type_get_mime_type(type) : nullptr;
    std::string media = lower_ascii(text_of(shown));
    g_free(shown);
    keep(std::move(name), std::move(media), std::move(content));
  }

  void keep(std::string name, std::string media, std::string content) {
    if (out_.files.size() + out_.kept.size() >= kMostFiles) return;
    if (keep_.wants(media) && content.size() <= keep_.most_bytes &&
        kept_ + content.size() <= keep_.most_bytes_together) {
      kept_ += content.size();
      out_.kept.push_back({std::move(name), std::move(media), std::move(content)});
      return;
    }
    const std::size_t size = content.size();
    out_.files.push_back({std::move(name), std::move(media), size, sha256_hex(content), {}});
  }

  void take_files(Words& words) {
    if (!words.has_plain) return;
    for (InlineFile& one : take_inline_files(words.plain, kMostInlineFiles)) {
      keep(decoded(one.name, ""), "application/octet-stream", std::move(one.bytes));
    }
  }

  const KeepFiles& keep_;
  const MailContext context_;
  std::vector<Words> words_;
  MailBody out_;
  std::uint64_t kept_ = 0;
  std::size_t quoted_ = 0;
  std::uint32_t attributions_ = 0;
  Thread returned_;  // by the report at hand
};

}  // namespace

MailBody read_body(GMimeObject* root, const KeepFiles& keep, MailContext context) {
  Body body{keep, context};
  body.walk(root);
  return std::move(body).finish();
}

}  // namespace voxbus::kit::mail
