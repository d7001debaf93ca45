// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/device_lines.hpp"

#include <algorithm>
#include <string>

#include "kit/mail/phrases.hpp"
#include "kit/mail/words.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kLongestDeviceLine = 120;  // bytes, without a link
constexpr std::size_t kLongestEnding = 10;       // bytes: "iPhone" in other cases: iPhone'umdan
constexpr int kMostUnknown = 2;                  // names of makes and carriers that we do not have
constexpr std::size_t kMostWordsOfApology = 10;

// Without links of an advertisement, "Envoyé de mon iPhone <https://…>", and marks of bold letters.
std::string without_ornament(std::string_view line) {
  std::string out;
  for (std::size_t at = line.find("http"); at != line.npos; at = line.find("http")) {
    std::string_view before = trimmed_right(line.substr(0, at));
    while (before.ends_with('<') || before.ends_with('(')) before.remove_suffix(1);
    out += before;
    line.remove_prefix(std::min(line.find_first_of(" >)", at), line.size()));
    line = trimmed_left(line);
    while (line.starts_with('>') || line.starts_with(')')) line.remove_prefix(1);
  }
  out += line;
  constexpr std::string_view kMarks = "*_[]~|- \t\r";
  const std::size_t begin = out.find_first_not_of(kMarks);
  const std::size_t end = out.find_last_not_of(kMarks);
  out = begin == out.npos ? std::string{} : out.substr(begin, end + 1 - begin);
  return std::string{trimmed(out)};
}

std::string_view longest_prefix(std::string_view text, std::span<const std::string_view> of) {
  std::string_view best;
  for (const std::string_view one : of) {
    if (one.size() > best.size() && text.starts_with(one)) best = one;
  }
  return best;
}

// How many bytes of a word are one of these names: all, or with "*" behind the name those before an
// ending.
std::size_t stem(std::string_view word, std::span<const std::string_view> of) {
  std::size_t best = 0;
  for (std::string_view one : of) {
    const bool bends = one.ends_with('*');
    if (bends) one.remove_suffix(1);
    if (!word.starts_with(one)) continue;
    const std::string_view rest = word.substr(one.size());
    const bool whole = rest.empty() || static_cast<unsigned char>(one.back()) >= 0xE1 ||
                       !is_letter_byte(rest.front()) ||
                       static_cast<unsigned char>(rest.front()) >= 0xE1;
    if (whole || (bends && rest.size() <= kLongestEnding)) best = std::max(best, one.size());
  }
  return best;
}

bool is_one_of(std::string_view word, std::span<const std::string_view> of) {
  return std::find(of.begin(), of.end(), word) != of.end();
}

// What the words of a line say, one after the other.
class Words {
 public:
  // `posted`: "sent via", "sent with": of parcels as well, so that "phone" alone is no device.
  explicit Words(bool posted) : posted_{posted} {}

  bool named() const { return made_ || (kind_ && !posted_) || (carrier_ && mail_); }
  bool fits() const { return unknown_ <= (made_ ? kMostUnknown : 0); }

  // Whether a word, in lower case and as it stands, can belong to a device's line.
  bool take(std::string_view lower, std::string_view shown) {
    if (lower.size() > 2 && lower[1] == '\'') {  // d'Outlook
      lower.remove_prefix(2);
      shown.remove_prefix(2);
    }
    if (note(lower)) return true;
    if (is_day_or_month(lower)) return false;
    std::string_view rest = lower;
    while (!rest.empty()) {
      std::size_t bytes = stem(rest, device_names());
      made_ = made_ || bytes > 0;
      if (bytes == 0) {
        bytes = stem(rest, device_kinds());
        kind_ = kind_ || bytes > 0;
      }
      if (bytes > 0) {
        rest.remove_prefix(bytes);
        if (rest.size() <= kLongestEnding || note(rest)) return true;
        if (rest.starts_with('-')) return take(rest.substr(1), rest.substr(1));
        continue;
      }
      // Where blanks do not part words, one follows the other.
      const std::string_view word = longest_prefix(rest, device_company());
      if (word.empty() || static_cast<unsigned char>(word.front()) < 0xE1) break;
      rest.remove_prefix(word.size());
    }
    if (rest.empty()) return true;
    if (const std::size_t dash = lower.find('-');
        dash != lower.npos && dash > 0 && dash + 1 < lower.size()) {
      return take(lower.substr(0, dash), shown.substr(0, dash)) &&
             take(lower.substr(dash + 1), shown.substr(dash + 1));
    }
    return is_name(shown);
  }

 private:
  bool note(std::string_view lower) {
    if (is_one_of(lower, device_carriers())) return carrier_ = true;
    if (is_one_of(lower, device_mails())) return mail_ = true;
    return is_one_of(lower, device_company());
  }

  // A make or a carrier: "Example Mobile", "SM-G991B", "4G".
  bool is_name(std::string_view shown) {
    const auto figures = std::count_if(shown.begin(), shown.end(), is_digit);
    const bool capital = shown.front() >= 'A' && shown.front() <= 'Z';
    if (figures > 4 || (figures > 0 && shown.size() > 8) || (figures == 0 && !capital))
      return false;
    if (figures != 1 && figures != 2) ++unknown_;
    return true;
  }

  bool posted_;
  bool made_ = false;
  bool kind_ = false;
  bool carrier_ = false;
  bool mail_ = false;
  int unknown_ = 0;
};

// "Please excuse my brevity": no more than that.
bool is_apology(std::string_view lower) {
  const auto blanks = static_cast<std::size_t>(std::count(lower.begin(), lower.end(), ' '));
  if (blanks >= kMostWordsOfApology || lower.find_first_of("?:@") != lower.npos) return false;
  if (std::any_of(lower.begin(), lower.end(), is_digit)) return false;
  return std::any_of(device_apologies().begin(), device_apologies().end(),
                     [&](std::string_view one) { return lower.find(one) != lower.npos; });
}

// Whether all of [begin, end) is what device lines say.
bool says_device(std::string_view line, std::string_view lower, std::size_t begin, std::size_t end,
                 bool posted) {
  Words words{posted};
  constexpr std::string_view kBetween = " \t,;.!-/()[]\"'&+";
  std::size_t at = begin;
  bool clause = false;
  while (at < end) {
    if (const std::size_t blank = leading_blank(lower.substr(at))) {
      at += blank;
      continue;
    }
    if (kBetween.find(lower[at]) != kBetween.npos) {
      clause = clause || lower[at] == ',' || lower[at] == '.' || lower[at] == ';' ||
               lower[at] == '-' || lower[at] == '!' || lower[at] == '(';
      ++at;
      continue;
    }
    if (clause && words.named() && is_apology(lower.substr(at, end - at))) return words.fits();
    clause = false;
    std::size_t stop = at;
    while (stop < end && leading_blank(lower.substr(stop)) == 0 &&
           // "iPhone'umdan" is one word, "web.de" as well.
           (kBetween.find(lower[stop]) == kBetween.npos ||
            ((lower[stop] == '\'' || lower[stop] == '.' || lower[stop] == '-') && stop + 1 < end &&
             is_letter_byte(lower[stop + 1]))))
      ++stop;
    if (!words.take(lower.substr(at, stop - at), line.substr(at, stop - at))) return false;
    at = stop;
  }
  return words.named() && words.fits();
}

}  // namespace

bool is_device_line(std::string_view given) {
  if (given.size() > 4 * kLongestDeviceLine) return false;
  const std::string line = without_ornament(given);
  if (line.size() < 6 || line.size() > kLongestDeviceLine) return false;
  const std::string lower = lower_ascii(line);
  if (lower.ends_with('?') || lower.ends_with(':')) return false;
  std::string_view text = lower;
  while (text.ends_with('.') || text.ends_with("。")) {
    text.remove_suffix(text.ends_with('.') ? 1 : std::string_view{"。"}.size());
  }
  for (const std::string_view phrase : device_posts()) {
    if (text.starts_with(phrase)) return says_device(line, lower, phrase.size(), text.size(), true);
  }
  if (const auto begin = longest_prefix(text, device_begins()); !begin.empty()) {
    return says_device(line, lower, begin.size(), text.size(), false);
  }
  return std::any_of(device_ends().begin(), device_ends().end(), [&](std::string_view end) {
    return text.ends_with(end) && says_device(line, lower, 0, text.size() - end.size(), false);
  });
}

}  // namespace voxbus::kit::mail
