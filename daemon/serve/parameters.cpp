// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/text.hpp"
#include "serve/handlers.hpp"
#include "serve/problem.hpp"

namespace voxbus::serve {

std::optional<Answer> refuse_doubled(const Request& request,
                                     std::initializer_list<std::string_view> names) {
  const auto* doubled = request.target.doubled(names);
  if (!doubled) return std::nullopt;
  return bad_parameter(*doubled, *doubled + ": it may be given once");
}

FilterParameters read_filter(const Request& request,
                             std::initializer_list<std::string_view> others) {
  FilterParameters read;
  read.refusal = refuse_doubled(request, others);
  if (read.refusal) return read;
  for (const auto& [name, value] : request.target.parameters) {
    if (std::find(others.begin(), others.end(), name) != others.end()) continue;
    if (!bus::Filter::is_parameter(name)) {
      std::vector<std::string> known(others.begin(), others.end());
      for (const auto* filter :
           {"channel", "type", "kind", "direction", "audience", "language", "text", "historic"}) {
        known.emplace_back(filter);
      }
      std::string detail = "unknown parameter '" + utf8_repaired(utf8_prefix(name, 64)) + "'";
      if (const auto meant = did_you_mean(name, known))
        detail += ", did you mean '" + *meant + "'?";
      read.refusal = bad_parameter(utf8_prefix(name, 64), detail);
      return read;
    }
    if (const auto added = read.filter.add(name, value); !added) {
      read.refusal = bad_parameter(name, added.error().message);
      return read;
    }
  }
  return read;
}

JsonBody read_json(const Request& request) {
  JsonBody read;
  auto type = request.content_type.substr(0, request.content_type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (request.body.empty()) return read;  // all members have defaults
  if (type != "application/json") {
    read.refusal = problem(Slug::unsupported_media, "send the body as application/json");
    return read;
  }
  auto parsed = json::parse(request.body);
  if (!parsed) {
    read.refusal = problem(Slug::bad_request, "the body is " + parsed.error().message);
  } else if (!parsed->is_object()) {
    read.refusal = problem(Slug::bad_request, "the body is not a JSON object");
  } else if (json::has_repeated_keys(request.body, *parsed)) {
    read.refusal = problem(Slug::bad_request, "an object of the body has a member twice");
  } else {
    read.object = std::move(parsed->get_object());
  }
  return read;
}

SequenceList read_sequences(const json::object& body, std::string_view member) {
  SequenceList read;
  const auto* list = json::array_at(body, member);
  if (!list) {
    read.refusal = bad_parameter(member, std::string(member) + ": a list of sequences is expected");
    return read;
  }
  read.sequences.reserve(list->size());
  for (const auto& entry : *list) {
    const auto sequence = entry.is_string()
                              ? model::parse_sequence(std::string_view(entry.get_string().data(),
                                                                       entry.get_string().size()))
                              : Result<model::Sequence>(permanent("a sequence is a text"));
    if (!sequence) {
      read.refusal = bad_parameter(member, std::string(member) + ": " + sequence.error().message);
      return read;
    }
    read.sequences.push_back(*sequence);
  }
  return read;
}

}  // namespace voxbus::serve
