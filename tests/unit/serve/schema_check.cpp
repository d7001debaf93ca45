// SPDX-License-Identifier: Apache-2.0
#include "schema_check.hpp"

#include <re2/re2.h>

#include "base/time.hpp"
#include "model/schemas.hpp"

namespace voxbus::test {
namespace {

std::string fault_in(const json::object& schema, const json::value& value, const std::string& at);

bool has_type(std::string_view type, const json::value& value) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_bool();
  if (type == "integer") return value.is_int64() || value.is_uint64();
  if (type == "number") return value.is_number();
  return false;
}

std::string object_fault(const json::object& schema, const json::object& value,
                         const std::string& at) {
  if (const auto* required = json::array_at(schema, "required")) {
    for (const auto& name : *required) {
      if (!value.contains(name.as_string()))
        return at + ": " + std::string(name.as_string()) + " is missing";
    }
  }
  const auto* properties = json::object_at(schema, "properties");
  const auto* further = schema.if_contains("additionalProperties");
  for (const auto& [key, member] : value) {
    const std::string name(key.data(), key.size());
    const auto* known = properties ? json::object_at(*properties, name) : nullptr;
    std::string fault;
    if (known)
      fault = fault_in(*known, member, at + "." + name);
    else if (further && further->is_bool() && !further->get_bool())
      fault = at + "." + name + " is unknown";
    else if (further && further->is_object())
      fault = fault_in(further->get_object(), member, at + "." + name);
    if (!fault.empty()) return fault;
  }
  return {};
}

std::string text_fault(const json::object& schema, const std::string& text, const std::string& at) {
  if (const auto pattern = json::text_at(schema, "pattern");
      pattern && !re2::RE2::PartialMatch(text, std::string(*pattern))) {
    return at + ": '" + text + "' is not " + std::string(*pattern);
  }
  if (const auto most = json::integer_at(schema, "maxLength");
      most && text.size() > static_cast<std::size_t>(*most))
    return at + " is too long";
  if (json::text_at(schema, "format") == "date-time" && !parse_rfc3339(text))
    return at + ": '" + text + "' is not a time";
  return {};
}

std::string fault_in(const json::object& schema, const json::value& value, const std::string& at) {
  for (const auto& [key, rule] : schema) {
    const std::string_view name(key.data(), key.size());
    if (name == "type" &&
        !has_type(std::string_view(rule.as_string().data(), rule.as_string().size()), value))
      return at + " is no " + std::string(rule.as_string());
    else if (name == "const" && rule != value)
      return at + " is not " + json::serialize(rule);
    else if (name == "enum") {
      bool known = false;
      for (const auto& choice : rule.as_array()) known = known || choice == value;
      if (!known) return at + " is none of " + json::serialize(rule);
    } else if (name == "minimum" && value.to_number<double>() < rule.to_number<double>())
      return at + " is too small";
    else if (name == "maximum" && value.to_number<double>() > rule.to_number<double>())
      return at + " is too large";
    else if (name == "maxItems" && value.as_array().size() > rule.to_number<std::size_t>())
      return at + " is too long";
    else if (name == "items") {
      for (std::size_t i = 0; i < value.as_array().size(); ++i) {
        auto fault =
            fault_in(rule.as_object(), value.as_array()[i], at + "[" + std::to_string(i) + "]");
        if (!fault.empty()) return fault;
      }
    } else {
      static constexpr std::string_view kElsewhere[] = {"$schema",
                                                        "$id",
                                                        "title",
                                                        "description",
                                                        "default",
                                                        "type",
                                                        "const",
                                                        "minimum",
                                                        "maximum",
                                                        "maxItems",
                                                        "required",
                                                        "properties",
                                                        "additionalProperties",
                                                        "pattern",
                                                        "maxLength",
                                                        "format"};
      bool known = false;
      for (const auto& keyword : kElsewhere) known = known || keyword == name;
      if (!known)
        return at + ": the schema says '" + std::string(name) + "', which this check does not know";
    }
  }
  if (value.is_object()) return object_fault(schema, value.get_object(), at);
  if (value.is_string()) return text_fault(schema, std::string(value.get_string()), at);
  return {};
}

}  // namespace

std::string schema_fault(std::string_view schema, const json::value& value) {
  for (const auto& known : model::schemas()) {
    if (known.name == schema)
      return fault_in(json::parse(known.text)->as_object(), value, std::string(schema));
  }
  return "there is no schema " + std::string(schema);
}

}  // namespace voxbus::test
