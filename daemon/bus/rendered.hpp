// SPDX-License-Identifier: Apache-2.0
// One event on its way to consumers, shared by all of them: the row, and its CloudEvents text and
// facets, each made at the first asking. Immutable from outside, any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "bus/facets.hpp"
#include "model/event.hpp"

namespace voxbus::bus {

class Rendered {
 public:
  explicit Rendered(model::Event event) : event_(std::move(event)) {}

  [[nodiscard]] const model::Event& event() const { return event_; }
  [[nodiscard]] model::Position position() const { return event_.sequence.position; }
  // CloudEvents 1.0, structured JSON, one line without its line break.
  [[nodiscard]] const std::string& json() const {
    std::call_once(json_once_, [this] { json_ = model::to_cloudevent(event_); });
    return json_;
  }
  [[nodiscard]] const Facets& facets() const {
    std::call_once(facets_once_, [this] { facets_ = read_facets(event_.body); });
    return facets_;
  }
  // Memory that it may come to occupy: the row, its text, its facets.
  [[nodiscard]] std::size_t weight() const {
    return sizeof(Rendered) + 512 + 3 * event_.body.size();
  }

 private:
  model::Event event_;
  mutable std::once_flag json_once_, facets_once_;
  mutable std::string json_;
  mutable Facets facets_;
};

using SharedEvent = std::shared_ptr<const Rendered>;

}  // namespace voxbus::bus
