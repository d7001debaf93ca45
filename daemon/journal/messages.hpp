// SPDX-License-Identifier: Apache-2.0
// Which event was the first to carry a message id, so that whoever quotes the message can name it.
// What the index holds of it is looked up group by group; what was decided since and may not be in
// the index yet is remembered here. One owner, the sequencer.
//
// Decision. Context: a quote names what it repeats by Message-ID, over all channels, and the index
// may be lost at any time. Choice: the first event that carries an id keeps it, and its row has a
// flag; a rebuild opens the bodies of those rows alone. Cost: one look-up for each mail and one for
// each message that it quotes; the same mail in a second channel is named by the first.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.hpp"
#include "journal/bytes.hpp"
#include "journal/index.hpp"
#include "journal/keys.hpp"

namespace voxbus::journal {

class MessageHash {
 public:
  explicit MessageHash(const Keys& keys) : hash_(as_text(keys.purpose("messages"))) {}
  [[nodiscard]] Mac of(std::string_view message_id) {
    return hash_.add_field(message_id).finish_short();
  }

 private:
  Hmac hash_;
};

class Messages {
 public:
  explicit Messages(const Index& index) : index_(index) {}

  // Everything up to group `written` is in the index by now; `wanted` is what this group carries
  // and quotes, in any order.
  [[nodiscard]] Status begin_group(std::uint64_t group, std::uint64_t written,
                                   const std::vector<Mac>& wanted);
  [[nodiscard]] std::optional<Mac> event_of(const Mac& message) const;
  // False when another event was first.
  bool claim(const Mac& message, const Mac& event);

 private:
  using Map = std::unordered_map<Mac, Mac, MacHash>;
  struct Generation {
    std::uint64_t group = 0;
    Map events;
  };

  const Index& index_;
  Map stored_;                          // what the index says of this group's
  std::deque<Generation> generations_;  // oldest first
};

// The event body's message id, empty when it has none.
[[nodiscard]] std::string message_id_of_body(std::string_view body);

}  // namespace voxbus::journal
