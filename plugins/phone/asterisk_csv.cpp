// SPDX-License-Identifier: Apache-2.0
#include "asterisk_csv.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <optional>

#include "kit/csv.hpp"
#include "kit/sha256.hpp"
#include "voxbus/text.hpp"

namespace voxbus::phone {
namespace {

// The fixed columns, in order.
enum Column {
  kAccountCode,
  kSource,
  kDestination,
  kContext,
  kCallerId,
  kChannel,
  kDestinationChannel,
  kLastApplication,
  kLastData,
  kStart,
  kAnswer,
  kEnd,
  kDuration,
  kBillableSeconds,
  kDisposition,
  kAmaFlags,
  kFixedColumns
};

struct Tail {
  std::string unique_id, user_field, peer_account, linked_id, sequence;
};

Error wrong(const std::string& what) { return Error::permanent(what); }

template<class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "1700000000.12" or "pbx1-1700000000.12": when the channel was born.
std::optional<std::int64_t> birth(std::string_view unique_id) {
  const std::size_t dot = unique_id.rfind('.');
  if (dot == unique_id.npos) return std::nullopt;
  const std::size_t dash = unique_id.rfind('-', dot);
  const std::size_t begin = dash == unique_id.npos ? 0 : dash + 1;
  if (!number<std::int64_t>(unique_id.substr(dot + 1))) return std::nullopt;
  return number<std::int64_t>(unique_id.substr(begin, dot - begin));
}

// What stands behind the fixed columns. One column alone is uniqueid if it looks like it.
std::optional<Tail> read_tail(const std::vector<std::string>& fields) {
  if (fields.size() < kFixedColumns || fields.size() > kFixedColumns + 5) return std::nullopt;
  const std::size_t count = fields.size() - kFixedColumns;
  const auto* at = fields.data() + kFixedColumns;
  Tail tail;
  const std::size_t first = count >= 3 ? count - 3 : count;
  if (first == 2) {
    tail.unique_id = at[0];
    tail.user_field = at[1];
  } else if (first == 1) {
    (birth(at[0]) ? tail.unique_id : tail.user_field) = at[0];
  }
  if (count >= 3) {
    tail.peer_account = at[first];
    tail.linked_id = at[first + 1];
    tail.sequence = at[first + 2];
  }
  return tail;
}

// "%Y-%m-%d %T" as seconds since 1970 of a clock that shows it.
std::optional<std::int64_t> clock_time(std::string_view text) {
  if (text.size() != 19 || text[4] != '-' || text[7] != '-' || text[10] != ' ' || text[13] != ':' ||
      text[16] != ':') {
    return std::nullopt;
  }
  const auto part = [&](std::size_t at, std::size_t size) {
    return number<unsigned>(text.substr(at, size));
  };
  const auto year = part(0, 4), month = part(5, 2), day = part(8, 2);
  const auto hour = part(11, 2), minute = part(14, 2), second = part(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)},
                                         std::chrono::month{*month}, std::chrono::day{*day}};
  if (!date.ok() || *year < 1970 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return kit::days_from_civil(*year, *month, *day) * 86'400 + *hour * 3'600 + *minute * 60 +
         *second;
}

std::int64_t moment_of_start(std::int64_t start, const std::string& end, std::int64_t duration,
                             const Tail& tail, const kit::TimeZone& zone) {
  const std::vector<std::int64_t> candidates = zone.moments(start);
  if (candidates.size() == 1) return candidates.front();
  if (const auto born = birth(tail.unique_id)) {
    return *std::min_element(candidates.begin(), candidates.end(), [&](auto a, auto b) {
      return std::abs(a - *born) < std::abs(b - *born);
    });
  }
  if (const auto ended = clock_time(end)) {
    for (const std::int64_t candidate : candidates) {
      for (const std::int64_t moment : zone.moments(*ended)) {
        if (std::abs(moment - candidate - duration) <= 1) return candidate;
      }
    }
  }
  return candidates.front();
}

enum class Party { kNobody, kNumber, kExtension, kName };

Party party_of(std::string_view who, const CallOptions& options) {
  if (who.empty()) return Party::kNobody;
  // Numbers may be written for people: "(202) 555-0147".
  if (who.find_first_not_of("0123456789*#+-./() ") == who.npos) {
    const auto digits = static_cast<std::size_t>(
        std::count_if(who.begin(), who.end(), [](char c) { return c >= '0' && c <= '9'; }));
    if (digits == 0) return Party::kNobody;
    const bool is_short = !who.starts_with('+') && digits <= options.extension_digits;
    return is_short ? Party::kExtension : Party::kNumber;
  }
  std::string lower{who};
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (const char* hidden : {"anonymous", "unknown", "restricted", "unavailable", "private"}) {
    if (lower == hidden) return Party::kNobody;
  }
  return Party::kName;
}

std::string handle_of(std::string_view who, Party party) {
  if (who.size() > 500) return {};
  switch (party) {
    case Party::kNumber:
      return "tel:" + std::string{who};
    case Party::kExtension:
      return "ext:" + std::string{who};
    case Party::kName: {
      const bool plain = who.find_first_of(" \t<>\"") == who.npos;
      return plain ? "sip:" + to_utf8(who) : std::string{};
    }
    case Party::kNobody:
      break;
  }
  return {};
}

// The name in "\"Nora\" <2025550147>".
std::string caller_name(std::string_view clid) {
  const std::size_t open = clid.find('"');
  const std::size_t close = clid.rfind('"');
  if (open != clid.npos && close > open) return to_utf8(clid.substr(open + 1, close - open - 1));
  std::string_view name = clid.substr(0, clid.find('<'));
  while (name.ends_with(' ')) name.remove_suffix(1);
  const bool is_number = name.find_first_not_of("+0123456789*#") == name.npos;
  return is_number ? std::string{} : to_utf8(name);
}

CallDirection direction_of(const std::string& context, Party source, Party destination,
                           const CallOptions& options) {
  const auto listed = [&](const std::vector<std::string>& list) {
    return std::find(list.begin(), list.end(), context) != list.end();
  };
  if (listed(options.inbound_contexts)) return CallDirection::kInbound;
  if (listed(options.outbound_contexts)) return CallDirection::kOutbound;
  const bool from_us = source == Party::kExtension || source == Party::kName;
  if (!from_us) return CallDirection::kInbound;
  return destination == Party::kNumber ? CallDirection::kOutbound : CallDirection::kInternal;
}

std::optional<Disposition> disposition_of(std::string_view word) {
  if (word == "ANSWERED") return Disposition::kAnswered;
  if (word == "NO ANSWER") return Disposition::kNoAnswer;
  if (word == "BUSY") return Disposition::kBusy;
  if (word == "FAILED") return Disposition::kFailed;
  if (word == "CONGESTION") return Disposition::kCongestion;
  return std::nullopt;
}

// Seconds until somebody answered. The clocks may have been put back in between; then the two
// counters, which do not mind, say it.
std::int64_t waited(std::int64_t start, const std::string& answer, std::int64_t duration,
                    std::int64_t billable) {
  const auto answered = clock_time(answer);
  if (answered && *answered >= start && *answered - start <= duration) return *answered - start;
  return std::max<std::int64_t>(0, duration - billable);
}

void add_native(const std::vector<std::string>& fields, const Tail& tail, Party destination,
                Record& record) {
  const auto id = [&](const char* name, const std::string& value) {
    if (!value.empty()) record.native.ids.emplace_back(name, to_utf8(value));
  };
  const auto more = [&](const char* name, const std::string& value) {
    if (!value.empty()) record.native.more.emplace_back(name, Json{clip(to_utf8(value), 1024)});
  };
  id("uniqueid", tail.unique_id);
  id("linkedid", tail.linked_id);
  id("sequence", tail.sequence);
  more("to", handle_of(fields[kDestination], destination));
  more("dialled", fields[kDestination]);
  more("context", fields[kContext]);
  more("channel", fields[kChannel]);
  more("destination_channel", fields[kDestinationChannel]);
  more("application", fields[kLastApplication]);
  more("account", fields[kAccountCode]);
  more("peer_account", tail.peer_account);
  more("user_field", tail.user_field);
  if (!disposition_of(fields[kDisposition])) more("disposition", fields[kDisposition]);
}

}  // namespace

std::string line_id(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return "line:" + kit::sha256_hex(line);
}

Result<ParsedCall> parse_call(std::string_view line, const CallOptions& options) {
  const auto fields = kit::parse_csv(line, 64);
  if (!fields) return wrong("not a line of comma-separated values: " + fields.error().message);
  const auto tail = read_tail(*fields);
  if (!tail) {
    return wrong(std::to_string(fields->size()) + " columns where 16 to 21 were expected");
  }
  const auto& at = *fields;
  const auto start = clock_time(at[kStart]);
  if (!start) return wrong("the start is not a time such as 2026-01-05 10:00:00");
  const auto duration = number<std::int64_t>(at[kDuration]);
  const auto billable = number<std::int64_t>(at[kBillableSeconds]);
  if (!duration || !billable || *duration < 0 || *billable < 0) {
    return wrong("duration or billsec is not a number of seconds");
  }
  const Party source = party_of(at[kSource], options);
  const Party destination = party_of(at[kDestination], options);

  ParsedCall call;
  call.occurred_at =
      Time{std::chrono::seconds{moment_of_start(*start, at[kEnd], *duration, *tail, options.zone)}};
  const std::string hash = line_id(line);
  if (tail->unique_id.empty()) {
    call.native_id = hash;
  } else {
    call.native_id = to_utf8(tail->unique_id) + '/' +
                     (tail->sequence.empty() ? hash.substr(5, 16) : to_utf8(tail->sequence));
  }
  if (call.native_id.size() > 1024) call.native_id = hash;

  Record& record = call.record;
  record.kind = Kind::kCall;
  record.author.handle = handle_of(at[kSource], source);
  record.author.name = caller_name(at[kCallerId]);
  const std::string& thread = !tail->linked_id.empty() ? tail->linked_id : tail->unique_id;
  record.conversation = thread.empty() || thread.size() > 1000 ? call.native_id : to_utf8(thread);
  record.call.emplace();
  record.call->direction = direction_of(at[kContext], source, destination, options);
  record.call->disposition = disposition_of(at[kDisposition]);
  const bool answered = record.call->disposition == Disposition::kAnswered;
  record.call->waited_seconds =
      answered ? waited(*start, at[kAnswer], *duration, *billable) : *duration;
  record.call->talked_seconds = answered ? *billable : 0;
  // Staff among themselves are no customer's call: nobody waits for us there.
  if (record.call->direction != CallDirection::kInbound) record.direction = Direction::kOutbound;
  add_native(at, *tail, destination, record);
  return call;
}

}  // namespace voxbus::phone
