// SPDX-License-Identifier: Apache-2.0
#include "app/intake_wiring.hpp"

#include "intake/normalise.hpp"

namespace voxbus::app {

host::Intake make_intake(const host::Start& start) {
  const auto normaliser = std::make_shared<intake::Normaliser>(
      intake::Rules{start.channel, start.region, start.max_item, start.keep_raw_of_all});
  return {[normaliser](const model::Offer& offer) { return normaliser->normalise(offer); },
          [normaliser](const model::Offer& offer, std::string_view reason) {
            return normaliser->quarantine(offer, reason);
          }};
}

}  // namespace voxbus::app
