// SPDX-License-Identifier: Apache-2.0
// An event: one row of the journal as consumers see it, and its CloudEvents 1.0 form. Plain values,
// any thread.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace voxbus::model {

using Position = std::uint64_t;  // 1 is the first; grows by one; never reused within an epoch
using Epoch = std::uint32_t;     // 1 is the first; one begun later is its second since 1970

// What consumers hold: the CloudEvents attribute `sequence`, opaque to them and ordered as text.
struct Sequence {
  Epoch epoch = 0;
  Position position = 0;
  // clang-tidy 14 takes a zero in what `= default` makes for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const Sequence&) const = default;
};
[[nodiscard]] std::string format(Sequence sequence);  // "0001.000000000000000042"
[[nodiscard]] Result<Sequence> parse_sequence(std::string_view text);

// Names of events: org.voxbus.<noun>.<verb>.v1. The list is open.
namespace type {
inline constexpr std::string_view kReceived = "org.voxbus.interaction.received.v1";
inline constexpr std::string_view kRevised = "org.voxbus.interaction.revised.v1";
inline constexpr std::string_view kWithdrawn = "org.voxbus.interaction.withdrawn.v1";
inline constexpr std::string_view kQuarantined = "org.voxbus.interaction.quarantined.v1";
inline constexpr std::string_view kChannelUp = "org.voxbus.channel.up.v1";
inline constexpr std::string_view kChannelDegraded = "org.voxbus.channel.degraded.v1";
inline constexpr std::string_view kChannelDown = "org.voxbus.channel.down.v1";
inline constexpr std::string_view kClockStepped = "org.voxbus.clock.stepped.v1";
inline constexpr std::string_view kBusGap = "org.voxbus.bus.gap.v1";
}  // namespace type

struct Event {
  Sequence sequence;
  Mac id{};
  std::string source;  // "urn:voxbus:<installation>/channels/<name>"
  std::string type;
  TimePoint recorded;            // never decreases with the position
  std::optional<Mac> partition;  // keyed hash of the conversation
  // The rest of the envelope as a JSON object: time, subject, causationid, datacontenttype,
  // dataschema, data. Kept as text because nothing between the journal and the consumer needs it
  // parsed. Empty when it was erased or fell to retention.
  std::string body;
};

// Appends the event in CloudEvents structured JSON, one line without a line break.
void append_cloudevent(std::string& out, const Event& event);
[[nodiscard]] std::string to_cloudevent(const Event& event);

}  // namespace voxbus::model
