// SPDX-License-Identifier: Apache-2.0
// What this floor needs of the intake beside it, handed in by app: neither folder knows the other.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "host/wire.hpp"
#include "model/item.hpp"
#include "model/offer.hpp"

namespace voxbus::host {

// One channel's normaliser; used by one thread at a time.
struct Intake {
  std::function<model::Item(const model::Offer&)> normalise;
  std::function<model::Item(const model::Offer&, std::string_view reason)> quarantine;
};
using MakeIntake = std::function<Intake(const Start&)>;

// The daemon's second check: what does not pass becomes a quarantined item. Any thread.
using Admit = std::function<void(model::Item&)>;

}  // namespace voxbus::host
