// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/charset_guess.hpp"

#include <unicode/ucsdet.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kLookedAt = 8'000;  // the detector's own limit
constexpr int kSureOfMany = 80;           // of charsets of many bytes a character
constexpr int kSureOfScript = 20;
constexpr int kSureOfLatin = 50;
constexpr int kAheadOfWestern = 15;
constexpr std::size_t kFewestInWords = 10;  // bytes in words of high bytes
constexpr std::size_t kFewestOthers = 3;    // letters that Windows-1252 has not
constexpr std::size_t kShortest = 30;       // bytes

bool is_high(char c) { return static_cast<unsigned char>(c) >= 0x80; }

// Lines with a high byte: the others say nothing, and may be long.
std::string telling_lines(std::string_view bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size() && out.size() < kLookedAt;) {
    const std::size_t end = std::min(bytes.find('\n', at), bytes.size());
    const std::string_view line = bytes.substr(at, std::min(end - at, kLookedAt - out.size()));
    if (std::any_of(line.begin(), line.end(), is_high)) out.append(line) += '\n';
    at = end + 1;
  }
  return out;
}

struct Opinion {
  std::string name;
  int confidence = 0;
};

// The detector's, the surest first.
std::vector<Opinion> opinions(std::string_view bytes) {
  UErrorCode error = U_ZERO_ERROR;
  const std::unique_ptr<UCharsetDetector, decltype(&::ucsdet_close)> detector{::ucsdet_open(&error),
                                                                              &::ucsdet_close};
  if (U_FAILURE(error)) return {};
  ::ucsdet_setText(detector.get(), bytes.data(), static_cast<std::int32_t>(bytes.size()), &error);
  std::int32_t count = 0;
  const UCharsetMatch** matches = ::ucsdet_detectAll(detector.get(), &count, &error);
  std::vector<Opinion> out;
  for (std::int32_t i = 0; U_SUCCESS(error) && i < count; ++i) {
    const char* name = ::ucsdet_getName(matches[i], &error);
    const int confidence = ::ucsdet_getConfidence(matches[i], &error);
    if (U_SUCCESS(error) && name) out.push_back({lower_ascii(name), confidence});
  }
  return out;
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct HighBytes {
  std::size_t all = 0;
  std::size_t in_words = 0;  // three and more side by side
  std::size_t kinds = 0;
};

HighBytes count(std::string_view bytes) {
  HighBytes out;
  std::array<bool, 256> seen{};
  std::size_t run = 0;
  const auto end_run = [&] {
    if (run >= 3) out.in_words += run;
    run = 0;
  };
  for (const char c : bytes) {
    if (!is_high(c)) {
      end_run();
      continue;
    }
    ++run;
    ++out.all;
    out.kinds += std::exchange(seen[static_cast<unsigned char>(c)], true) ? 0 : 1;
  }
  end_run();
  return out;
}

// Bytes that are letters in Windows-1250 and ISO-8859-2 alike, and in Windows-1252 others: the
// letters of Polish, Czech, Slovak, Hungarian, Croatian and Romanian that the West has not.
bool is_other_letter(char c) {
  static constexpr std::string_view kLetters =
      "\xA3\xAA\xAF\xB3\xBA\xBF\xC0\xC3\xC5\xC6\xC8\xCA\xCC\xCF\xD0\xD1\xD2\xD5\xD8\xD9\xDB"
      "\xDE\xE0\xE3\xE5\xE6\xE8\xEA\xEC\xEF\xF0\xF1\xF2\xF5\xF8\xF9\xFB\xFE\xB1\xB6\xBC\xB9\x9C"
      "\x9F";
  return kLetters.find(c) != kLetters.npos;
}

}  // namespace

std::string likely_other_script(std::string_view bytes) {
  const std::string lines = telling_lines(bytes);
  const HighBytes high = count(lines);
  if (high.all < kFewestInWords) return {};
  const std::vector<Opinion> all = opinions(lines);
  for (const Opinion& one : all) {
    if (one.confidence >= kSureOfMany &&
        is_one_of(one.name, {"shift_jis", "euc-jp", "gb18030", "euc-kr", "big5"}))
      return one.name;
  }
  if (high.in_words < kFewestInWords || high.in_words * 10 < high.all * 7 || high.kinds < 5)
    return {};
  for (const Opinion& one : all) {
    if (one.confidence < kSureOfScript) break;
    if (is_one_of(one.name, {"koi8-r", "windows-1251", "iso-8859-5", "iso-8859-7", "windows-1253",
                             "windows-1255", "iso-8859-8", "windows-1256", "iso-8859-6"}))
      return one.name;
    if (one.name == "iso-8859-8-i") return "iso-8859-8";
    if (one.name.starts_with("iso-8859-") || one.name.starts_with("windows-")) return {};
  }
  return {};
}

std::string likely_other_latin(std::string_view bytes) {
  const std::string lines = telling_lines(bytes);
  if (lines.size() < kShortest || static_cast<std::size_t>(std::count_if(
                                      lines.begin(), lines.end(), is_other_letter)) < kFewestOthers)
    return {};
  const std::vector<Opinion> all = opinions(lines);
  const auto found = std::find_if(all.begin(), all.end(), [](const Opinion& one) {
    return is_one_of(one.name, {"iso-8859-2", "windows-1250"});
  });
  if (found == all.end() || found->confidence < kSureOfLatin) return {};
  for (const Opinion& one : all) {
    if (is_one_of(one.name, {"iso-8859-1", "windows-1252"}) &&
        one.confidence + kAheadOfWestern > found->confidence)
      return {};
  }
  return found->name;
}

}  // namespace voxbus::kit::mail
