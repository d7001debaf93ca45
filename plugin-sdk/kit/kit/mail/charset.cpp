// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/charset.hpp"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "kit/mail/charset_guess.hpp"
#include "kit/mail/words.hpp"
#include "voxbus/text.hpp"

namespace voxbus::kit::mail {
namespace {

// Names that mails use and iconv does not know, and supersets of what is declared: Windows programs
// declare the smaller one and write the larger.
constexpr std::pair<std::string_view, const char*> kAliases[] = {
    {"iso-8859-1", "WINDOWS-1252"},
    {"iso8859-1", "WINDOWS-1252"},
    {"iso_8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"latin-1", "WINDOWS-1252"},
    {"l1", "WINDOWS-1252"},
    {"iso88591", "WINDOWS-1252"},
    {"cp1252", "WINDOWS-1252"},
    {"x-ansi", "WINDOWS-1252"},
    {"ansi", "WINDOWS-1252"},
    {"windows-1252http-equivcontent-type", "WINDOWS-1252"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"latin5", "WINDOWS-1254"},
    {"iso-8859-8-i", "ISO-8859-8"},
    {"iso-8859-8-e", "ISO-8859-8"},
    {"iso-8859-11", "WINDOWS-874"},
    {"tis-620", "WINDOWS-874"},
    {"gb2312", "GB18030"},
    {"gb_2312-80", "GB18030"},
    {"gb2312_charset", "GB18030"},
    {"gbk", "GB18030"},
    {"cp936", "GB18030"},
    {"x-gbk", "GB18030"},
    {"x-euc-cn", "GB18030"},
    {"euc-cn", "GB18030"},
    {"chinesebig5", "BIG5-HKSCS"},
    {"big5", "BIG5-HKSCS"},
    {"big-5", "BIG5-HKSCS"},
    {"cn-big5", "BIG5-HKSCS"},
    {"x-x-big5", "BIG5-HKSCS"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"x-sjis", "CP932"},
    {"ms_kanji", "CP932"},
    {"windows-31j", "CP932"},
    {"euc-kr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
    {"ks_c_5601", "CP949"},
    {"ksc5601", "CP949"},
    {"ks_c_5601-1989", "CP949"},
    {"korean", "CP949"},
    {"windows-949", "CP949"},
    {"x-euc-jp", "EUC-JP"},
    {"iso-2022-jp", "ISO-2022-JP"},
    {"cp50220", "ISO-2022-JP"},
    {"x-iso-2022-jp", "ISO-2022-JP"},
    {"iso-2022-jp-ms", "ISO-2022-JP"},
    {"x-mac-roman", "MACINTOSH"},
    {"macroman", "MACINTOSH"},
    {"x-mac-cyrillic", "MAC-CYRILLIC"},
    {"koi8", "KOI8-R"},
    {"koi-8-r", "KOI8-R"},
    {"x-cp1251", "WINDOWS-1251"},
    {"cp-1251", "WINDOWS-1251"},
    {"win-1251", "WINDOWS-1251"},
    {"win-1252", "WINDOWS-1252"},
    {"cp-850", "CP850"},
    {"ibm-850", "CP850"},
    {"unicode-1-1-utf-7", "UTF-7"},
    {"x-unicode-2-0-utf-7", "UTF-7"},
    {"utf7", "UTF-7"},
    {"unicode", "UTF-16"},
    {"ucs-2", "UTF-16"},
    {"utf16", "UTF-16"}};

bool says_nothing(std::string_view name) {
  static constexpr std::string_view kNothing[] = {
      "",        "us-ascii",    "ascii",          "ansi_x3.4-1968",  "unknown-8bit", "x-unknown",
      "unknown", "default",     "x-user-defined", "binary",          "7bit",         "8bit",
      "none",    "_autodetect", "x-unknown-8bit", "default_charset", "iso646-us",    "646"};
  return std::find(std::begin(kNothing), std::end(kNothing), name) != std::end(kNothing);
}

bool is_utf8_name(std::string_view name) {
  return name == "utf-8" || name == "utf8" || name == "utf_8" || name == "unicode-1-1-utf-8" ||
         name == "x-utf8" || name == "utf-8n" || name == "utf8mb4";
}

class Converter {
 public:
  explicit Converter(const char* charset) : handle_{::iconv_open("UTF-8", charset)} {}
  Converter(const Converter&) = delete;
  Converter& operator=(const Converter&) = delete;
  ~Converter() {
    if (known()) ::iconv_close(handle_);
  }
  // NOLINTNEXTLINE(performance-no-int-to-ptr): so iconv says it
  bool known() const { return handle_ != reinterpret_cast<iconv_t>(-1); }

  // `broken` counts the bytes that could not be read.
  std::string convert(std::string_view bytes, std::size_t& broken) {
    std::string out;
    out.reserve(bytes.size() + bytes.size() / 2);
    char* in = const_cast<char*>(bytes.data());  // iconv's signature; it does not write
    std::size_t left = bytes.size();
    std::array<char, 4096> buffer;
    for (bool more = true; more;) {
      char* to = buffer.data();
      std::size_t room = buffer.size();
      const bool at_end = left == 0;
      const std::size_t done = at_end ? ::iconv(handle_, nullptr, nullptr, &to, &room)
                                      : ::iconv(handle_, &in, &left, &to, &room);
      const int error = errno;
      out.append(buffer.data(), buffer.size() - room);
      if (at_end) break;
      if (done != static_cast<std::size_t>(-1) || error == E2BIG) continue;
      // EILSEQ, or a sequence that the end cuts.
      out += "\xEF\xBF\xBD";
      ++broken;
      ++in;
      --left;
    }
    return out;
  }

 private:
  iconv_t handle_;
};

// Whether any sequence of UTF-8 is longer than a byte; text that is valid with such is no accident.
bool has_high_bytes(std::string_view bytes) {
  return std::any_of(bytes.begin(), bytes.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

bool has_iso_2022(std::string_view bytes) {
  for (const std::string_view mark : {"\x1B$B", "\x1B$@", "\x1B(J", "\x1B$(D"}) {
    if (bytes.find(mark) != bytes.npos) return true;
  }
  return false;
}

// ISO-2022-JP as it is written, which is with the characters of Windows (①, ㈱): iconv knows them
// by the name of EUC-JP-MS only, whose bytes are the same with the highest bit set.
std::string japanese(std::string_view bytes) {
  std::string euc;
  euc.reserve(bytes.size());
  enum class Set { kAscii, kKanji, kFurther, kKana } set = Set::kAscii;
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    if (bytes[at] == '\x1B') {
      const std::string_view rest = bytes.substr(at + 1, 3);
      if (rest.starts_with("$B") || rest.starts_with("$@")) {
        set = Set::kKanji, at += 2;
        continue;
      }
      if (rest.starts_with("$(D")) {
        set = Set::kFurther, at += 3;
        continue;
      }
      if (rest.starts_with("(I")) {
        set = Set::kKana, at += 2;
        continue;
      }
      if (rest.starts_with("(B") || rest.starts_with("(J")) {
        set = Set::kAscii, at += 2;
        continue;
      }
    }
    const auto byte = static_cast<unsigned char>(bytes[at]);
    const bool second = at + 1 < bytes.size() && static_cast<unsigned char>(bytes[at + 1]) > 0x20;
    if (set == Set::kAscii || byte <= 0x20 || byte >= 0x7F) {
      if (byte == '\n') set = Set::kAscii;  // a line begins anew, whatever was forgotten
      euc += bytes[at];
    } else if (set == Set::kKana) {
      euc += '\x8E';
      euc += static_cast<char>(byte | 0x80);
    } else if (second) {
      if (set == Set::kFurther) euc += '\x8F';
      euc += static_cast<char>(byte | 0x80);
      euc += static_cast<char>(bytes[++at] | '\x80');
    }
  }
  Converter converter{"EUC-JP-MS"};
  std::size_t broken = 0;
  return converter.known() ? to_utf8(converter.convert(euc, broken)) : to_utf8(bytes);
}

std::string windows_1252(std::string_view bytes) {
  Converter converter{"WINDOWS-1252"};
  std::size_t broken = 0;
  return converter.known() ? converter.convert(bytes, broken) : to_utf8(bytes);
}

// By the charset of that name, if every byte can be read by it.
std::optional<std::string> read_whole(std::string_view bytes, const std::string& charset) {
  Converter converter{charset.c_str()};
  if (!converter.known()) return std::nullopt;
  std::size_t broken = 0;
  std::string out = converter.convert(bytes, broken);
  if (broken > 0 || out.find("\xEF\xBF\xBD") != out.npos) return std::nullopt;
  return to_utf8(out);
}

std::string iconv_name(const std::string& name) {
  for (const auto& [alias, meant] : kAliases) {
    if (name == alias) return meant;
  }
  return name;
}

// By what the bytes are.
Decoded guess(std::string_view bytes) {
  if (has_iso_2022(bytes)) return {japanese(bytes), "iso-2022-jp"};
  const std::size_t invalid = find_invalid_utf8(bytes);
  if (invalid == bytes.npos) return {std::string{bytes}, {}};
  // UTF-8 with a few broken places stays UTF-8.
  std::size_t sequences = 0;
  std::size_t wrong = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = utf8_sequence(bytes, at);
    sequences += length > 1 ? 1 : 0;
    wrong += length == 0 ? 1 : 0;
    at += std::max<std::size_t>(length, 1);
  }
  if (sequences > wrong) return {to_utf8(bytes), {}};
  for (const std::string& name : {likely_other_script(bytes), likely_other_latin(bytes)}) {
    if (name.empty()) continue;
    if (auto text = read_whole(bytes, iconv_name(name))) return {std::move(*text), name};
  }
  return {windows_1252(bytes), "windows-1252"};
}

}  // namespace

Decoded decode(std::string_view bytes, std::string_view charset) {
  if (bytes.starts_with("\xEF\xBB\xBF")) return {to_utf8(bytes.substr(3)), {}};
  std::string name = lower_ascii(trimmed(charset));
  std::erase_if(name, [](char c) { return c == '"' || c == '\'' || c == ';' || c == ' '; });
  if (!has_high_bytes(bytes) && (says_nothing(name) || is_utf8_name(name)) && !has_iso_2022(bytes))
    return {std::string{bytes}, {}};
  if (says_nothing(name) || is_utf8_name(name) || name.size() > 64) return guess(bytes);
  const std::string known = iconv_name(name);
  if (known == "ISO-2022-JP") return {japanese(bytes), {}};
  // One byte per character, and yet valid UTF-8 above ASCII: its declaration is wrong.
  const std::string_view target = known;
  const bool single = target.starts_with("WINDOWS-125") || name.starts_with("iso-8859") ||
                      name.starts_with("windows-125") || name.starts_with("koi8");
  if (single && has_high_bytes(bytes) && is_utf8(bytes)) return {std::string{bytes}, {}};
  // Programs put the Western name on whatever they hold.
  if (known == "WINDOWS-1252" || name == "windows-1252") {
    const std::string other = likely_other_script(bytes);
    if (auto text = other.empty() ? std::nullopt : read_whole(bytes, iconv_name(other)))
      return {std::move(*text), other};
  }
  Converter converter{known.c_str()};
  if (!converter.known()) return guess(bytes);
  std::size_t broken = 0;
  std::string out = converter.convert(bytes, broken);
  if (broken > 0 && broken * 8 > bytes.size() / 4 && is_utf8(bytes))
    return {std::string{bytes}, {}};
  return {to_utf8(out), {}};
}

std::string decoded(std::string_view bytes, std::string_view charset) {
  return decode(bytes, charset).text;
}

// ISO-2022-JP and its like begin as ASCII; UTF-16, UTF-7, EBCDIC and the national sets of ISO 646
// read even that as something else.
bool has_all_of_ascii(std::string_view charset) {
  std::string ascii;
  for (char c = ' '; c <= '~'; ++c) ascii += c;
  return decode(ascii, charset).text == ascii;
}

Decoded decode_in_header(std::string_view bytes, std::string_view charset) {
  const bool is_of_body = !is_utf8(bytes) && has_all_of_ascii(charset);
  return decode(bytes, is_of_body ? charset : std::string_view{});
}

std::string html_charset(std::string_view html) {
  const std::string begin = lower_ascii(html.substr(0, 4096));
  const std::size_t meta = begin.find("<meta");
  if (meta == begin.npos) return {};
  std::size_t at = begin.find("charset=", meta);
  if (at == begin.npos) return {};
  at += 8;
  if (at < begin.size() && (begin[at] == '"' || begin[at] == '\'')) ++at;
  std::size_t end = at;
  while (end < begin.size() && end - at < 40 &&
         (is_ascii_letter(begin[end]) || is_digit(begin[end]) || begin[end] == '-' ||
          begin[end] == '_'))
    ++end;
  const std::string name = begin.substr(at, end - at);
  // The bytes themselves could be read as ASCII up to here, whatever this says.
  return name.starts_with("utf-16") || name == "unicode" ? std::string{} : name;
}

}  // namespace voxbus::kit::mail
