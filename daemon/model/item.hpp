// SPDX-License-Identifier: Apache-2.0
// What a host hands to the daemon: normalised items and the cursor that covers them. Plain values;
// they belong to whoever holds them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/crypto.hpp"
#include "base/time.hpp"

namespace voxbus::model {

// A cursor belongs to this triple and survives every edit that keeps it. `origin` is a digest of
// the settings marked `identity` (server, user, file).
struct ChannelIdentity {
  std::string name;
  std::string plugin;
  std::string origin;
  // clang-tidy 14 takes a zero in what `= default` makes for a pointer.
  // NOLINTNEXTLINE(modernize-use-nullptr)
  auto operator<=>(const ChannelIdentity&) const = default;
};

struct Item {
  std::string native_id;
  std::optional<std::uint64_t> version;  // orders the states of one native id
  std::optional<TimePoint> occurred;     // nothing: taken as the time it was recorded
  bool withdrawn = false;                // deleted upstream; record may be empty
  bool backfill = false;                 // always historic
  bool quarantined = false;              // record is {"reason": ..., "detail": ...}
  // Made anew from the evidence beside the row at this position; of no effect once that is not the
  // latest of its native id any more.
  std::optional<std::uint64_t> reparsed;
  Digest digest{};     // of what the plugin gave, never of our normalised form
  std::string record;  // the normalised interaction, a JSON object
  std::string raw;     // the evidence, may be empty
  // Read out of the record by the second check, so that no later stage parses it again.
  std::string author;        // canonical handle, empty when there is none
  std::string conversation;  // the channel's own name of it, empty when there is none
  std::string message_id;    // by which others quote it, on any channel; empty when there is none
  std::vector<std::string> quoted_ids;  // message ids of what it quotes, each once, few

  // What it occupies in a queue.
  [[nodiscard]] std::size_t weight() const {
    return sizeof(Item) + native_id.size() + record.size() + raw.size() + author.size() +
           conversation.size() + message_id.size() + quoted_ids.size() * sizeof(std::string);
  }
};

// Items in the channel's order. The cursor, when there is one, covers them all and everything
// before: it is stored in the same transaction as the last of them.
struct Batch {
  std::vector<Item> items;
  std::optional<std::string> cursor;
};

}  // namespace voxbus::model
