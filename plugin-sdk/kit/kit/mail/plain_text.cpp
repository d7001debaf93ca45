// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/plain_text.hpp"

#include <algorithm>

#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kMostInlineBytes = 32 << 20;

// The line at `at` without its end; moves on.
std::string_view take_line(std::string_view text, std::size_t& at) {
  const std::size_t end = std::min(text.find('\n', at), text.size());
  std::string_view line = text.substr(at, end - at);
  if (line.ends_with('\r')) line.remove_suffix(1);
  at = std::min(end + 1, text.size());
  return line;
}

bool is_uu_begin(std::string_view line, std::string& name) {
  if (!line.starts_with("begin ") || line.size() < 11) return false;
  std::size_t at = 6;
  while (at < line.size() && line[at] >= '0' && line[at] <= '7') ++at;
  if (at < 9 || at > 10 || at >= line.size() || line[at] != ' ') return false;
  name = std::string{trimmed(line.substr(at + 1))};
  return !name.empty() && name.size() <= 255;
}

// One line of uuencode; false when it is none.
bool uu_line(std::string_view line, std::string& out) {
  const auto value = [](char c) { return (static_cast<unsigned char>(c) - 32) & 0x3F; };
  if (line.empty() || line[0] < ' ' || line[0] > '`') return false;
  const auto count = static_cast<std::size_t>(value(line[0]));
  // Stores take blanks off the end of lines.
  if (line.size() > 1 + (count + 2) / 3 * 4 + 2 || (count > 0 && line.size() < count)) return false;
  std::size_t made = 0;
  for (std::size_t at = 1; made < count; at += 4) {
    int bits[4];
    for (std::size_t i = 0; i < 4; ++i) {
      const char c = at + i < line.size() ? line[at + i] : ' ';
      if (c < ' ' || c > '`') return false;
      bits[i] = value(c);
    }
    const int three[3] = {bits[0] << 2 | bits[1] >> 4, bits[1] << 4 | bits[2] >> 2,
                          bits[2] << 6 | bits[3]};
    for (int i = 0; i < 3 && made < count; ++i, ++made) out += static_cast<char>(three[i] & 0xFF);
  }
  return true;
}

// The file that begins behind `at`; false when it has no end, or lines that are none of it.
bool uu_file(std::string_view text, std::size_t& at, std::string& bytes) {
  std::size_t next = at;
  while (next < text.size()) {
    const std::string_view line = take_line(text, next);
    if (line == "end") {
      at = next;
      return true;
    }
    if (line.empty() || line == "`") continue;
    if (!uu_line(line, bytes) || bytes.size() > kMostInlineBytes) return false;
  }
  return false;
}

bool yenc_file(std::string_view text, std::size_t& at, std::string& bytes) {
  std::size_t next = at;
  while (next < text.size()) {
    const std::string_view line = take_line(text, next);
    if (line.starts_with("=yend")) {
      at = next;
      return true;
    }
    if (line.starts_with("=ypart")) continue;
    for (std::size_t i = 0; i < line.size(); ++i) {
      unsigned char c = static_cast<unsigned char>(line[i]);
      if (c == '=' && i + 1 < line.size()) c = static_cast<unsigned char>(line[++i] - 64);
      bytes += static_cast<char>(c - 42);
    }
  }
  return false;
}

}  // namespace

FlowedLines flowed_lines(std::string_view text, bool delsp) {
  FlowedLines out;
  out.bytes = std::make_unique<std::string>();
  if (text.size() > kMostLineBytes) {
    text = text.substr(0, kMostLineBytes);
    out.lines.cut = true;
  }
  std::string& bytes = *out.bytes;
  bytes.reserve(text.size());
  struct Span {
    std::size_t begin, end;
    std::uint32_t depth;
  };
  std::vector<Span> spans;
  bool soft = false;  // the line before goes on in this one
  std::uint32_t soft_depth = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (spans.size() == kMostLines) {
      out.lines.cut = true;
      break;
    }
    std::string_view line = take_line(text, at);
    std::uint32_t depth = 0;
    while (line.starts_with('>')) {
      line.remove_prefix(1);
      depth = std::min(depth + 1, kMostDepth);
      // Programs that quote as if it were fixed text: "> > a". RFC 3676 stuffs a blank there.
      if (line.starts_with(" >") && depth > 0) line.remove_prefix(1);
    }
    if (line.starts_with(' ')) line.remove_prefix(1);
    const bool signature = line == "-- ";
    const bool goes_on = line.ends_with(' ') && !signature;
    if (soft && depth == soft_depth && !signature && !spans.empty()) {
      bytes += line;
    } else {
      spans.push_back({bytes.size(), bytes.size(), depth});
      bytes += line;
    }
    if (goes_on && delsp) bytes.pop_back();
    spans.back().end = bytes.size();
    soft = goes_on;
    soft_depth = depth;
  }
  out.lines.lines.reserve(spans.size());
  for (const Span& span : spans) {
    out.lines.lines.push_back(
        {.text = std::string_view{bytes}.substr(span.begin, span.end - span.begin),
         .depth = span.depth,
         .exact = true});
  }
  return out;
}

std::vector<InlineFile> take_inline_files(std::string& text, std::size_t most) {
  std::vector<InlineFile> files;
  const bool any = text.find("begin ") != text.npos || text.find("=ybegin ") != text.npos;
  if (!any) return files;
  std::string rest;
  rest.reserve(text.size());
  int failed = 0;  // each try that fails looked at everything behind it
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    const std::string_view line = take_line(text, at);
    InlineFile file;
    bool taken = false;
    if (files.size() < most && failed < 8) {
      const std::size_t behind = at;
      if (is_uu_begin(line, file.name)) {
        taken = uu_file(text, at, file.bytes);
      } else if (line.starts_with("=ybegin ") && line.find(" size=") != line.npos) {
        if (const std::size_t name = line.find(" name="); name != line.npos) {
          file.name = std::string{trimmed(line.substr(name + 6).substr(0, 255))};
          taken = yenc_file(text, at, file.bytes);
        }
      }
      if (!taken && at == behind && !file.name.empty()) ++failed;
      if (!taken) at = behind;
    }
    if (taken) {
      files.push_back(std::move(file));
    } else {
      rest.append(text, begin, at - begin);
    }
  }
  if (!files.empty()) text = std::move(rest);
  return files;
}

bool take_clear_signature(std::string& text) {
  constexpr std::string_view kBegin = "-----BEGIN PGP SIGNED MESSAGE-----";
  constexpr std::string_view kSignature = "-----BEGIN PGP SIGNATURE-----";
  constexpr std::string_view kEnd = "-----END PGP SIGNATURE-----";
  const std::size_t begin = text.find(kBegin);
  if (begin == text.npos || (begin > 0 && text[begin - 1] != '\n')) return false;
  const std::size_t signature = text.find(kSignature, begin);
  if (signature == text.npos || text[signature - 1] != '\n') return false;
  const std::size_t end = text.find(kEnd, signature);
  std::string out = text.substr(0, begin);
  std::size_t at = begin;
  const std::string_view body = std::string_view{text}.substr(0, signature);
  take_line(body, at);
  while (at < body.size() && !take_line(body, at).empty()) {
  }  // "Hash: SHA256"
  while (at < body.size()) {
    std::string_view line = take_line(body, at);
    if (line.starts_with("- ")) line.remove_prefix(2);
    out.append(line) += '\n';
  }
  if (end != text.npos)
    out += std::string_view{text}.substr(std::min(end + kEnd.size(), text.size()));
  text = std::move(out);
  return true;
}

}  // namespace voxbus::kit::mail
