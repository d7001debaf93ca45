// SPDX-License-Identifier: Apache-2.0
//
// The manifest of a plugin and the JSON Schema of its settings, made from its About and its
// described settings. Pure; called by describe() at build time and by the conformance kit.
#ifndef VOXBUS_MANIFEST_HPP
#define VOXBUS_MANIFEST_HPP

#include <string>
#include <string_view>

#include "voxbus/channel.hpp"
#include "voxbus/settings.hpp"

namespace voxbus {

inline std::string_view plugin_name(const About& about) {
  if (about.name && *about.name) return about.name;
  const std::string_view id = about.id;
  const std::size_t dot = id.rfind('.');
  return dot == id.npos ? id : id.substr(dot + 1);
}

inline Json describe_setting(const detail::Setting& setting) {
  Json out{Json::Object{}};
  out.set("name", setting.name).set("type", setting.type);
  if (setting.required) out.set("required", true);
  if (!setting.fallback.is_null()) out.set("default", setting.fallback);
  if (!setting.choices.empty()) {
    Json::Array words;
    for (const std::string& word : setting.choices) words.emplace_back(word);
    out.set("choices", std::move(words));
  }
  if (!setting.minimum.is_null()) out.set("minimum", setting.minimum);
  if (!setting.maximum.is_null()) out.set("maximum", setting.maximum);
  out.set("help", setting.help);
  if (setting.identity) out.set("identity", true);
  if (setting.secret) out.set("secret", true);
  return out;
}

inline Json make_manifest(const About& about, const Fields& fields, Json::Array capabilities) {
  Json out{Json::Object{}};
  out.set("id", about.id).set("name", plugin_name(about)).set("version", about.version);
  out.set("summary", about.summary);
  out.set("abi", Json::Object{{"major", VOXBUS_ABI_MAJOR}, {"minor", VOXBUS_ABI_MINOR}});
  out.set("capabilities", std::move(capabilities));
  Json::Array isolation{"process"};
  if (about.isolation == Isolation::kProcessOrInline) isolation.emplace_back("inline");
  out.set("isolation", std::move(isolation));
  constexpr const char* kNetworks[] = {"none", "connect", "own"};
  out.set("network", kNetworks[static_cast<std::size_t>(about.network)]);
  out.set("stop_within", show(std::chrono::milliseconds{about.stop_within}));
  if (about.max_item.bytes != 0) out.set("max_item", show(about.max_item));
  if (about.memory.bytes != 0) out.set("memory", show(about.memory));
  Json::Array egress;
  for (const char* host : about.egress) {
    if (host) egress.emplace_back(host);
  }
  out.set("egress", std::move(egress));
  Json::Array settings;
  for (const auto& setting : fields.list()) settings.push_back(describe_setting(*setting));
  out.set("settings", std::move(settings));
  return out;
}

// The JSON Schema of the settings object, from a manifest.
inline Json settings_schema(const Json& manifest) {
  Json::Object properties;
  Json::Array required;
  if (const Json* settings = manifest.find("settings"); settings && settings->array()) {
    for (const Json& setting : *settings->array()) {
      const std::string_view type = setting.text("type");
      Json property{Json::Object{}};
      if (type == "integer" || type == "number" || type == "boolean") {
        property.set("type", type);
      } else if (type == "list") {
        property.set("type", "array").set("items", Json::Object{{"type", "string"}});
      } else {
        property.set("type", "string");
      }
      if (type == "duration") property.set("pattern", "^(0|[0-9]+(ms|s|m|h|d))$");
      if (type == "size") property.set("pattern", "^(0|[0-9]+([KMG]iB|[kMG]?B))$");
      if (const Json* choices = setting.find("choices")) property.set("enum", *choices);
      if (type == "integer" || type == "number") {
        if (const Json* least = setting.find("minimum")) property.set("minimum", *least);
        if (const Json* most = setting.find("maximum")) property.set("maximum", *most);
      }
      if (const Json* fallback = setting.find("default")) property.set("default", *fallback);
      property.set("description", setting.text("help"));
      if (const Json* secret = setting.find("secret"); secret && secret->boolean()) {
        property.set("writeOnly", *secret);
      }
      const Json* needed = setting.find("required");
      if (needed && needed->boolean() && *needed->boolean())
        required.emplace_back(setting.text("name"));
      properties.emplace_back(setting.text("name"), std::move(property));
    }
  }
  Json schema{Json::Object{}};
  schema.set("$schema", "https://json-schema.org/draft/2020-12/schema");
  schema.set("title", "Settings of " + std::string{manifest.text("name")});
  schema.set("type", "object").set("properties", std::move(properties));
  schema.set("required", std::move(required)).set("additionalProperties", false);
  return schema;
}

}  // namespace voxbus

#endif  // VOXBUS_MANIFEST_HPP
