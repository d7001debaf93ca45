// SPDX-License-Identifier: Apache-2.0
// Turns what a plugin emitted into an item of the bus: one vocabulary, one spelling of every
// handle, text in one form, every size bounded. Runs where hostile bytes are handled: in the
// channel's host process (on the lane's thread when inline). What cannot be normalised becomes a
// quarantined item with its raw bytes; nothing is ever refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/time.hpp"
#include "model/item.hpp"
#include "model/offer.hpp"

namespace voxbus::intake {

using model::Offer;

struct Rules {
  std::string channel;
  std::string region;           // for phone numbers without a country, may be empty
  std::size_t max_item = 0;     // bytes; beyond it only a hash of raw is kept
  bool keep_raw_of_all = true;  // else only of what is quarantined
};

// One thread at a time.
class Normaliser {
 public:
  explicit Normaliser(Rules rules) : rules_(std::move(rules)) {}
  [[nodiscard]] model::Item normalise(const Offer& offer);
  // The same bytes, quarantined for a reason found outside: the plugin crashed on them.
  [[nodiscard]] model::Item quarantine(const Offer& offer, std::string_view reason);

 private:
  [[nodiscard]] model::Item quarantine(const Offer& offer, std::string_view reason,
                                       std::string_view evidence);
  [[nodiscard]] Result<std::string> record(const Offer& offer);
  Rules rules_;
};

// Shape and bounds of a normalised item; reads the author and conversation out of its record. The
// error names what is wrong.
[[nodiscard]] Status check_item(model::Item& item);

// The daemon's second check, of an item that a host process sent: one that does not pass becomes a
// quarantined item with what it held as evidence, so that nothing is lost and nobody is stopped.
void admit(model::Item& item);

}  // namespace voxbus::intake
