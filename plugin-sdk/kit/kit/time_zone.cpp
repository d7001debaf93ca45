// SPDX-License-Identifier: Apache-2.0
#include "kit/time_zone.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>

namespace voxbus::kit {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr int kLastYear = 2199;  // until which the closing rule of a file is written out
constexpr std::size_t kLargestFile = 1 << 20;

// Reads big-endian numbers and never beyond the end; one failure sticks.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_{bytes} {}
  bool failed() const { return failed_; }
  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size()) {
      failed_ = true;
      return {};
    }
    const auto piece = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return piece;
  }
  std::int64_t number(std::size_t width) {
    std::uint64_t value = 0;
    const auto piece = take(width);
    for (const char byte : piece) value = value << 8 | static_cast<unsigned char>(byte);
    // Sign of a 32-bit number.
    if (width == 4) return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
    return static_cast<std::int64_t>(value);
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
  bool failed_ = false;
};

struct Counts {
  std::uint32_t ut, standard, leaps, changes, types, letters;

  std::uint64_t block_size(std::uint64_t width) const {
    return changes * width + changes + types * 6ULL + letters + leaps * (width + 4) + standard + ut;
  }
};

std::optional<Counts> read_header(Bytes& bytes, char& version) {
  if (bytes.take(4) != "TZif") return std::nullopt;
  version = bytes.take(1).empty() ? '\0' : '1';
  (void)bytes.take(15);
  const auto next = [&] { return static_cast<std::uint32_t>(bytes.number(4)); };
  Counts counts{};
  counts.ut = next();
  counts.standard = next();
  counts.leaps = next();
  counts.changes = next();
  counts.types = next();
  counts.letters = next();
  if (bytes.failed()) return std::nullopt;
  return counts;
}

// The rule for the time after the last change, as POSIX writes it: "CET-1CEST,M3.5.0,M10.5.0/3".
class Rule {
 public:
  struct Date {
    char kind = 'M';  // M: month, week, day; J: day without leap days from 1; 0: day from 0
    int month = 0, week = 0, day = 0;
    std::int64_t time = 7200;
  };
  std::int64_t standard = 0;  // seconds east of UTC
  std::int64_t summer = 0;
  bool has_summer = false;
  Date begin, end;

  static std::optional<Rule> parse(std::string_view text) {
    Rule rule;
    if (!name(text) || !offset(text, rule.standard)) return std::nullopt;
    rule.standard = -rule.standard;
    if (text.empty()) return rule;
    if (!name(text)) return std::nullopt;
    rule.has_summer = true;
    rule.summer = rule.standard + 3600;
    if (!text.empty() && text.front() != ',') {
      if (!offset(text, rule.summer)) return std::nullopt;
      rule.summer = -rule.summer;
    }
    if (!date(text, rule.begin) || !date(text, rule.end) || !text.empty()) return std::nullopt;
    return rule;
  }

  // The local second, counted as if it were UTC, at which the date's time stands in that year.
  static std::int64_t local(const Date& date, int year) {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    std::int64_t day = 0;
    if (date.kind == 'M') {
      const std::int64_t first = days_from_civil(year, static_cast<unsigned>(date.month), 1);
      const std::int64_t next =
          date.month == 12 ? days_from_civil(year + 1, 1, 1)
                           : days_from_civil(year, static_cast<unsigned>(date.month) + 1, 1);
      const std::int64_t weekday = ((first + 4) % 7 + 7) % 7;
      day = first + (date.day - weekday + 7) % 7 + 7 * (date.week - 1);
      while (day >= next) day -= 7;
    } else if (date.kind == 'J') {
      day = days_from_civil(year, 1, 1) + date.day - 1 + (leap && date.day >= 60 ? 1 : 0);
    } else {
      day = days_from_civil(year, 1, 1) + date.day;
    }
    return day * kDay + date.time;
  }

 private:
  static bool name(std::string_view& text) {
    std::size_t length = 0;
    if (!text.empty() && text.front() == '<') {
      length = text.find('>');
      if (length == text.npos) return false;
      ++length;
    } else {
      while (length < text.size() && ((text[length] >= 'A' && text[length] <= 'Z') ||
                                      (text[length] >= 'a' && text[length] <= 'z'))) {
        ++length;
      }
    }
    text.remove_prefix(length);
    return length >= 3;
  }
  static bool number(std::string_view& text, int least, int most, int& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || out < least || out > most) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  }
  static bool offset(std::string_view& text, std::int64_t& out) {
    const bool minus = text.starts_with('-');
    if (minus || text.starts_with('+')) text.remove_prefix(1);
    std::array<int, 3> parts{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) {
        if (!text.starts_with(':')) break;
        text.remove_prefix(1);
      }
      if (!number(text, 0, i == 0 ? 167 : 59, parts[i])) return false;
    }
    out = parts[0] * 3600 + parts[1] * 60 + parts[2];
    if (minus) out = -out;
    return true;
  }
  static bool date(std::string_view& text, Date& out) {
    if (!text.starts_with(',')) return false;
    text.remove_prefix(1);
    const auto dot = [&] {
      if (!text.starts_with('.')) return false;
      text.remove_prefix(1);
      return true;
    };
    if (text.starts_with('M')) {
      text.remove_prefix(1);
      if (!number(text, 1, 12, out.month) || !dot() || !number(text, 1, 5, out.week) || !dot() ||
          !number(text, 0, 6, out.day)) {
        return false;
      }
    } else {
      out.kind = text.starts_with('J') ? 'J' : '0';
      if (out.kind == 'J') text.remove_prefix(1);
      if (!number(text, out.kind == 'J' ? 1 : 0, 365, out.day)) return false;
    }
    if (text.starts_with('/')) {
      text.remove_prefix(1);
      return offset(text, out.time);
    }
    return true;
  }
};

}  // namespace

std::int64_t days_from_civil(std::int64_t year, unsigned month, unsigned day) {
  using namespace std::chrono;
  return sys_days{std::chrono::year{static_cast<int>(year)} / std::chrono::month{month} /
                  std::chrono::day{day}}
      .time_since_epoch()
      .count();
}

Result<TimeZone> TimeZone::load(const std::string& name) {
  if (name == "UTC") return TimeZone{};
  std::string path = "/usr/share/zoneinfo/" + name;
  if (name == "local") {
    const char* wanted = std::getenv("TZ");
    if (wanted && *wanted && *wanted != ':' && *wanted != '/') return load(wanted);
    path = "/etc/localtime";
  } else if (name.empty() || name.front() == '/' || name.find("..") != name.npos) {
    return Error::permanent("'" + name + "' is not the name of a time zone");
  }
  std::ifstream file{path, std::ios::binary};
  if (!file) {
    if (name == "local") return TimeZone{};  // no /etc/localtime: the system runs on UTC
    return Error::permanent("there is no time zone '" + name + "' on this system (" + path + ")");
  }
  std::string content(kLargestFile, '\0');
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, file.gcount())));
  auto zone = parse(content);
  if (!zone) return Error::permanent(path + ": " + zone.error().message);
  return zone;
}

Result<TimeZone> TimeZone::parse(std::string_view tzif) {
  const Error damaged = Error::permanent("not a time zone file");
  Bytes bytes{tzif};
  char version = 0;
  auto counts = read_header(bytes, version);
  if (!counts) return damaged;
  std::size_t width = 4;
  if (tzif[4] >= '2') {  // the same again with 64-bit times follows
    (void)bytes.take(counts->block_size(4));
    counts = read_header(bytes, version);
    if (!counts) return damaged;
    width = 8;
  }
  if (counts->types == 0 || counts->types > 256 || counts->changes > 100'000) return damaged;
  std::vector<std::int64_t> times;
  for (std::uint32_t i = 0; i < counts->changes; ++i) times.push_back(bytes.number(width));
  const std::string_view indices = bytes.take(counts->changes);
  std::vector<std::int32_t> offsets;
  for (std::uint32_t i = 0; i < counts->types; ++i) {
    offsets.push_back(static_cast<std::int32_t>(bytes.number(4)));
    (void)bytes.take(2);
  }
  if (bytes.failed()) return damaged;
  TimeZone zone;
  zone.first_offset_ = offsets[0];
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto type = static_cast<unsigned char>(indices[i]);
    if (type >= offsets.size() || (i > 0 && times[i] <= times[i - 1])) return damaged;
    zone.changes_.push_back({times[i], offsets[type]});
  }
  (void)bytes.take(counts->letters + counts->leaps * (width + 4ULL) + counts->standard +
                   counts->ut);
  std::string_view rule = bytes.rest();
  if (rule.starts_with('\n') && rule.ends_with('\n') && rule.size() > 2) {
    zone.extend(rule.substr(1, rule.size() - 2));
  }
  return zone;
}

// Writes out the rule for the years after the last listed change.
void TimeZone::extend(std::string_view text) {
  const auto rule = Rule::parse(text);
  if (!rule) return;
  const std::int64_t last = changes_.empty() ? INT64_MIN : changes_.back().at;
  if (!rule->has_summer) {
    if (changes_.empty()) first_offset_ = static_cast<std::int32_t>(rule->standard);
    return;
  }
  const int first_year =
      changes_.empty() ? 1970
                       : 1970 + static_cast<int>(std::max<std::int64_t>(0, last) / (366 * kDay));
  std::vector<Change> more;
  for (int year = first_year; year <= kLastYear; ++year) {
    more.push_back(
        {Rule::local(rule->begin, year) - rule->standard, static_cast<std::int32_t>(rule->summer)});
    more.push_back(
        {Rule::local(rule->end, year) - rule->summer, static_cast<std::int32_t>(rule->standard)});
  }
  std::sort(more.begin(), more.end(), [](auto& a, auto& b) { return a.at < b.at; });
  for (const Change& change : more) {
    if (change.at > last) changes_.push_back(change);
  }
}

std::int32_t TimeZone::offset_at(std::int64_t utc) const {
  const auto after = std::upper_bound(changes_.begin(), changes_.end(), utc,
                                      [](std::int64_t at, const Change& c) { return at < c.at; });
  return after == changes_.begin() ? first_offset_ : std::prev(after)->offset;
}

std::vector<std::int64_t> TimeZone::moments(std::int64_t local) const {
  std::vector<std::int64_t> found;
  // Offsets lie within a day: those in force around the moment are the only ones to try.
  const auto near = std::lower_bound(changes_.begin(), changes_.end(), local - 2 * kDay,
                                     [](const Change& c, std::int64_t at) { return c.at < at; });
  std::vector<std::int32_t> offsets{offset_at(local - 2 * kDay)};
  for (auto change = near; change != changes_.end() && change->at <= local + 2 * kDay; ++change) {
    offsets.push_back(change->offset);
  }
  for (const std::int32_t offset : offsets) {
    const std::int64_t utc = local - offset;
    if (offset_at(utc) == offset && std::find(found.begin(), found.end(), utc) == found.end()) {
      found.push_back(utc);
    }
  }
  if (found.empty()) found.push_back(local - offsets.front());
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace voxbus::kit
