// SPDX-License-Identifier: Apache-2.0
// Any bytes are the target of a request that means the same when it is written anew, or none; and
// an Accept header that chooses one of the offers, or none.

#include "serve/target.hpp"
#include "serve/accept.hpp"

#include "check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace voxbus::serve;
  constexpr std::string_view kOffers[] = {"application/json", "application/x-ndjson", "text/*"};
  const auto chosen = preferred(bytes_of(data, size), kOffers);
  demand(!chosen || *chosen < std::size(kOffers), "what is chosen was offered");
  const auto target = parse_target(bytes_of(data, size));
  if (!target) return 0;
  std::string text = target->authority.empty() ? "" : "HTTPS://" + target->authority;
  for (const auto& segment : target->path) text += '/' + percent_encoded(segment);
  // An empty last segment needs its slash said once more.
  if (target->path.empty() || text.ends_with('/')) text += '/';
  char separator = '?';
  for (const auto& [name, value] : target->parameters) {
    text += separator + percent_encoded(name) + '=' + percent_encoded(value);
    separator = '&';
  }
  const auto again = parse_target(text);
  demand(again.has_value(), "its own spelling can be read");
  demand(again->authority == target->authority, "for the same host");
  demand(again->path == target->path, "the same path");
  demand(again->parameters.size() == target->parameters.size(), "the same parameters");
  for (std::size_t i = 0; i < again->parameters.size(); ++i) {
    demand(again->parameters[i].name == target->parameters[i].name, "the same name");
    demand(again->parameters[i].value == target->parameters[i].value, "the same value");
  }
  return 0;
}
