// SPDX-License-Identifier: Apache-2.0
//
// One line of Asterisk's Master.csv to one call. Pure: bytes in, record out; the same line always
// gives the same id and time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kit/time_zone.hpp"
#include "voxbus/channel.hpp"
#include "voxbus/result.hpp"

namespace voxbus::phone {

struct CallOptions {
  kit::TimeZone zone;                         // in which the file's times are written
  std::vector<std::string> inbound_contexts;  // dialplan contexts whose calls come from outside
  std::vector<std::string> outbound_contexts;
  std::size_t extension_digits = 5;  // numbers of at most this many digits are our own
};

struct ParsedCall {
  std::string native_id;
  Time occurred_at;
  Record record;
};

// The call that a line says, or why it says none. Columns: 16, and behind them uniqueid and
// userfield, or peeraccount, linkedid and sequence, or both (CHANNELS.md).
//
// native id   uniqueid and sequence; without a sequence, uniqueid and a hash of the line, because
//             a forked or queued call has several lines of one uniqueid; without both, the hash.
// time        start. In the hour that comes twice a year, the moment that fits uniqueid (which
//             begins with the channel's birth in UTC), else end and duration, else the first.
// author      the caller: tel:NUMBER as the file has it, ext:NUMBER for one of our extensions.
Result<ParsedCall> parse_call(std::string_view line, const CallOptions& options);

// A stable name of a line that holds whether or not it can be parsed.
std::string line_id(std::string_view line);

}  // namespace voxbus::phone
