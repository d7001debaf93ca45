// SPDX-License-Identifier: Apache-2.0
#include "config/manifest.hpp"

#include <algorithm>
#include <charconv>

#include "config/mapping.hpp"

namespace voxbus::config {
namespace {

using Type = SettingRule::Type;
constexpr std::pair<std::string_view, Type> kTypes[] = {
    {"string", Type::string},   {"integer", Type::integer},   {"number", Type::number},
    {"boolean", Type::boolean}, {"duration", Type::duration}, {"size", Type::size},
    {"path", Type::path},       {"list", Type::list},         {"choice", Type::choice}};

// A bound is written as the setting's values are: "32MiB", "30s" or a whole number.
std::optional<std::int64_t> read_bound(Mapping& in, Type type, std::string_view key) {
  if (!in.node(key)) return std::nullopt;
  if (type == Type::size) {
    std::uint64_t bytes = 0;
    in.size(key, bytes, 0, INT64_MAX);
    return static_cast<std::int64_t>(bytes);
  }
  if (type == Type::duration) {
    std::chrono::milliseconds duration{};
    in.duration(key, duration, {}, std::chrono::milliseconds::max());
    return duration.count();
  }
  std::int64_t number = 0;
  in.count(key, number, INT64_MIN, INT64_MAX);
  return number;
}

SettingRule read_rule(const Document& document, const Node& node, Problems& problems) {
  Mapping in(document, node, problems, "a setting of the manifest");
  SettingRule rule;
  if (in.required("name")) in.text("name", rule.name);
  in.choice("type", rule.type,
            {{"string", Type::string},
             {"integer", Type::integer},
             {"number", Type::number},
             {"boolean", Type::boolean},
             {"duration", Type::duration},
             {"size", Type::size},
             {"path", Type::path},
             {"list", Type::list},
             {"choice", Type::choice}});
  in.text("help", rule.help);
  // A list's default may be a list; only its presence matters here.
  if (const auto* value = in.node("default"); value && value->kind == Node::Kind::scalar) {
    rule.default_value = value->scalar;
  }
  in.words("choices", rule.choices);
  in.flag("required", rule.required);
  in.flag("identity", rule.identity);
  in.flag("secret", rule.secret);
  rule.minimum = read_bound(in, rule.type, "minimum");
  rule.maximum = read_bound(in, rule.type, "maximum");
  return rule;
}

}  // namespace

std::string_view name_of(Type type) {
  for (const auto& [name, known] : kTypes) {
    if (known == type) return name;
  }
  return "string";
}

std::optional<Manifest> read_manifest(const std::filesystem::path& file, Problems& problems) {
  const auto before = problems.list().size();
  auto document = Document::read(file, problems, file.string());
  if (!document) return std::nullopt;
  Manifest manifest;
  manifest.file = file;
  Mapping in(*document, document->root(), problems, "a manifest");
  if (in.required("id")) in.text("id", manifest.id);
  if (in.required("name")) in.text("name", manifest.name);
  in.text("version", manifest.version);
  in.text("summary", manifest.summary);
  if (const auto* abi = in.required("abi")) {
    Mapping version(*document, *abi, problems, "abi");
    version.count("major", manifest.abi_major, 0, 65535);
    version.count("minor", manifest.abi_minor, 0, 65535);
  }
  in.words("capabilities", manifest.capabilities);
  in.words("egress", manifest.egress);
  std::vector<std::string> isolation;
  in.words("isolation", isolation);
  manifest.inline_permitted =
      std::find(isolation.begin(), isolation.end(), "inline") != isolation.end();
  in.text("network", manifest.network);
  in.duration("stop_within", manifest.stop_within, kLeastStop, kMostStop);
  in.size("memory", manifest.memory, kLeastMemory, kMostMemory);
  in.size("max_item", manifest.max_item, 1 << 10, 1ull << 30);
  if (const auto* settings = in.node("settings")) {
    for (const auto& item : settings->items)
      manifest.settings.push_back(read_rule(*document, item, problems));
  }
  // Unknown keys pass: a newer plugin may say more than this daemon knows.
  const auto stem = file.filename().string();
  const auto expected = stem.substr(0, stem.find('.'));
  if (!manifest.name.empty() && manifest.name != expected) {
    document->report(
        problems, document->root().mark,
        "the manifest names plugin '" + manifest.name + "', its file '" + expected + "'");
  }
  manifest.library = file.parent_path() / (expected + ".so");
  if (problems.list().size() != before) return std::nullopt;
  return manifest;
}

std::vector<Manifest> find_manifests(const std::vector<std::filesystem::path>& folders,
                                     Problems& problems) {
  static constexpr std::string_view kSuffix = ".plugin.yaml";
  std::vector<Manifest> found;
  for (const auto& folder : folders) {
    for (const auto& file : files_in(folder, kSuffix, problems)) {
      auto manifest = read_manifest(file, problems);
      if (!manifest) continue;
      const auto same = std::find_if(found.begin(), found.end(), [&](const auto& other) {
        return other.name == manifest->name;
      });
      if (same != found.end()) {
        problems.add({.file = file.string(),
                      .message = "plugin '" + manifest->name + "' was already found in " +
                                 same->file.string(),
                      .remedy = "remove one of the two",
                      .channel = file.string()});
        continue;
      }
      found.push_back(std::move(*manifest));
    }
  }
  return found;
}

json::object to_json(const Manifest& manifest) {
  json::array settings;
  for (const auto& rule : manifest.settings) {
    json::object one{{"name", rule.name},
                     {"type", name_of(rule.type)},
                     {"required", rule.required},
                     {"help", rule.help}};
    if (!rule.default_value.empty()) one["default"] = rule.default_value;
    if (!rule.choices.empty())
      one["choices"] = json::array(rule.choices.begin(), rule.choices.end());
    if (rule.identity) one["identity"] = true;
    if (rule.secret) one["secret"] = true;
    if (rule.minimum) one["minimum"] = *rule.minimum;
    if (rule.maximum) one["maximum"] = *rule.maximum;
    settings.emplace_back(std::move(one));
  }
  json::array isolation{"process"};
  if (manifest.inline_permitted) isolation.emplace_back("inline");
  return {{"name", manifest.name},
          {"id", manifest.id},
          {"version", manifest.version},
          {"summary", manifest.summary},
          {"abi", json::object{{"major", manifest.abi_major}, {"minor", manifest.abi_minor}}},
          {"capabilities", json::array(manifest.capabilities.begin(), manifest.capabilities.end())},
          {"isolation", std::move(isolation)},
          {"network", manifest.network},
          {"settings", std::move(settings)},
          {"file", manifest.library.string()}};
}

}  // namespace voxbus::config
