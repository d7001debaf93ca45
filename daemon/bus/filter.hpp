// SPDX-License-Identifier: Apache-2.0
// Which events a consumer wants: by channel, type, kind, direction, audience, language, age and a
// pattern over the words. Several values of one name mean any of them, several names mean all of
// them. Built from the parameters of a request or from a stored JSON object; afterwards immutable,
// cheap to copy, any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "bus/facets.hpp"
#include "model/event.hpp"

namespace re2 {
class RE2;
}

namespace voxbus::bus {

class Filter {
 public:
  // The empty filter: everything matches.
  Filter() = default;

  // channel, type, kind, direction, audience, language, text, historic.
  [[nodiscard]] static bool is_parameter(std::string_view name);
  // Narrows the filter by one parameter. `text` is taken whole, the others are lists separated by
  // commas. Errors name the parameter, and leave the filter as it was.
  [[nodiscard]] Status add(std::string_view name, std::string_view value);
  // The object that canonical() gives, or one written by hand: members are a text, a list of texts,
  // or for `historic` a truth value.
  [[nodiscard]] static Result<Filter> from_json(const json::object& object);

  // The same filter gives the same text, however it was spelt. "{}" for everything.
  [[nodiscard]] json::object to_json() const;
  [[nodiscard]] std::string canonical() const { return json::serialize(to_json()); }

  [[nodiscard]] bool everything() const;
  // Whether matches() looks into the body.
  [[nodiscard]] bool needs_facets() const;
  // Whether it runs patterns over the words: too much work for a thread that serves many.
  [[nodiscard]] bool needs_words() const { return !patterns_.empty(); }

  // `facets()` gives a const Facets& and is called only when it is needed, after what the envelope
  // tells has matched.
  template<class ReadFacets>
  [[nodiscard]] bool matches(const model::Event& event, ReadFacets&& facets) const {
    return matches_envelope(event) && (!needs_facets() || matches_facets(facets()));
  }

 private:
  struct Pattern {
    std::string text;
    std::shared_ptr<const re2::RE2> compiled;
  };
  // "org.voxbus.interaction." with any, or the whole name.
  struct TypeRule {
    std::string name;
    bool prefix = false;
  };

  [[nodiscard]] Status add_value(std::string_view name, std::string_view value);
  [[nodiscard]] Status add_pattern(std::string_view text);
  [[nodiscard]] bool matches_envelope(const model::Event& event) const;
  [[nodiscard]] bool matches_facets(const Facets& facets) const;

  // Each sorted and without repetitions; an empty one asks nothing.
  std::vector<std::string> channels_, types_, kinds_, directions_, audiences_, languages_;
  std::vector<TypeRule> type_rules_;
  std::vector<Pattern> patterns_;
  std::optional<bool> historic_;
};

}  // namespace voxbus::bus
