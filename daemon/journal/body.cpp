// SPDX-License-Identifier: Apache-2.0
#include "journal/body.hpp"

#include <algorithm>

#include "base/json.hpp"

namespace voxbus::journal {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

// The members of a JSON object without its braces; nothing when it has none. Between tokens a line
// break may stand, and nowhere else: it becomes a blank, because an event is one line.
void append_members(std::string& out, std::string_view object) {
  const auto first = object.find_first_not_of(kBlanks);
  const auto last = object.find_last_not_of(kBlanks);
  if (first == object.npos || object[first] != '{' || object[last] != '}' || last <= first) return;
  const auto inner = object.substr(first + 1, last - first - 1);
  if (inner.find_first_not_of(kBlanks) == inner.npos) return;
  out += ',';
  const auto at = out.size();
  out += inner;
  const auto is_break = [](char c) { return c == '\n' || c == '\r'; };
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(at), out.end(), is_break, ' ');
}

void append_envelope(std::string& out, TimePoint time, std::string_view schema) {
  out += R"({"time":")";
  append_rfc3339(out, time);
  out += R"(","datacontenttype":"application/json",)";
  if (!schema.empty()) {
    out += R"("dataschema":"urn:voxbus:schema:)";
    out += schema;
    out += R"(",)";
  }
  out += R"("data":{)";
}

}  // namespace

void append_item_body(std::string& out, const model::Item& item, const Placed& placed) {
  append_envelope(out, item.occurred.value_or(placed.recorded),
                  item.quarantined ? "quarantined.v1" : "interaction.v1");
  out += R"("channel":)";
  json::append_string(out, placed.channel);
  out += R"(,"plugin":)";
  json::append_string(out, placed.plugin);
  out += R"(,"native_id":)";
  json::append_string(out, item.native_id);
  out += R"(,"revision":)";
  out += std::to_string(placed.revision);
  out += placed.historic ? R"(,"historic":true)" : R"(,"historic":false)";
  append_members(out, placed.record);
  if (item.reparsed && !item.quarantined) out += R"(,"reason":"reparsed")";
  if (!placed.raw.empty()) {
    out += R"(,"raw":")";
    out += placed.raw;
    out += '"';
  }
  out += "}}";
}

void append_fact_body(std::string& out, const Fact& fact, TimePoint recorded) {
  append_envelope(out, fact.time.value_or(recorded), fact.schema);
  const auto at = out.size();
  append_members(out, fact.data);
  if (out.size() > at) out.erase(at, 1);  // nothing stands before the first member here
  out += "}}";
}

}  // namespace voxbus::journal
