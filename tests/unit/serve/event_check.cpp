// SPDX-License-Identifier: Apache-2.0
// event_check: reads events as NDJSON from standard input and holds each against our own schemas,
// its envelope and its data, and against RFC 8259's advice that names be unique. Prints what is
// wrong; exits 1 if anything is. The flows pipe all that their daemons recorded through it.
#include <iostream>
#include <string>

#include "base/json.hpp"
#include "schema_check.hpp"

namespace {

constexpr std::string_view kSchemaPrefix = "urn:voxbus:schema:";

std::string fault_of(const std::string& line) {
  using namespace voxbus;
  const auto event = json::parse(line, 64);
  if (!event) return event.error().message;
  if (json::has_repeated_keys(line, *event)) return "a member is named twice";
  if (auto fault = test::schema_fault("event.v1", *event); !fault.empty()) return fault;
  const auto& object = event->get_object();
  const auto schema = json::text_at(object, "dataschema");
  if (!schema) return "";
  if (!schema->starts_with(kSchemaPrefix)) return "a dataschema that is not ours";
  const auto* data = object.if_contains("data");
  if (!data) return "";  // erased, or dropped by retention
  return test::schema_fault(schema->substr(kSchemaPrefix.size()), *data);
}

}  // namespace

int main() {
  int faults = 0, lines = 0;
  for (std::string line; std::getline(std::cin, line); ++lines) {
    const auto fault = fault_of(line);
    if (fault.empty()) continue;
    ++faults;
    std::cout << fault << ": " << line.substr(0, 2000) << '\n';
  }
  std::cout << lines << " events, " << faults << " faults\n";
  return faults == 0 ? 0 : 1;
}
