// SPDX-License-Identifier: Apache-2.0
#include "bus/facets.hpp"

#include "base/json.hpp"

namespace voxbus::bus {
namespace {

void take(std::string& out, const json::object& in, std::string_view member) {
  if (const auto text = json::text_at(in, member)) out = *text;
}

}  // namespace

Facets read_facets(std::string_view body) {
  Facets facets;
  if (body.size() <= 2) return facets;
  // Most bodies fit the buffer, so that a parse allocates nothing.
  unsigned char buffer[16 << 10];
  boost::json::monotonic_resource memory(buffer, sizeof buffer);
  const auto parsed = json::parse(body, 32, &memory);
  if (!parsed || !parsed->is_object()) return facets;
  const auto* data = json::object_at(parsed->get_object(), "data");
  if (!data) return facets;
  take(facets.kind, *data, "kind");
  take(facets.direction, *data, "direction");
  take(facets.audience, *data, "audience");
  take(facets.language, *data, "language");
  take(facets.title, *data, "title");
  take(facets.text, *data, "text");
  facets.historic = json::flag_at(*data, "historic");
  if (const auto* author = json::object_at(*data, "author")) {
    take(facets.author_name, *author, "name");
    take(facets.author_handle, *author, "handle");
  }
  return facets;
}

std::string_view channel_of(std::string_view source) {
  constexpr std::string_view kRoom = "/channels/";
  const auto room = source.rfind(kRoom);
  return room == source.npos ? std::string_view{} : source.substr(room + kRoom.size());
}

}  // namespace voxbus::bus
