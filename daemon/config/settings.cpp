// SPDX-License-Identifier: Apache-2.0
#include "config/settings.hpp"

#include <sys/stat.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <map>

#include "base/crypto.hpp"
#include "base/posix.hpp"
#include "config/mapping.hpp"

namespace voxbus::config {
namespace {

using Type = SettingRule::Type;

constexpr std::size_t kMaxSecret = 64 << 10;

class Reader {
 public:
  Reader(const Document& document, Problems& problems) : document_(document), problems_(problems) {}

  // The value by the rule's type; null after a problem was reported.
  json::value value(const SettingRule& rule, const Node& node) {
    if (rule.type == Type::list) return list(rule, node);
    if (node.kind != Node::Kind::scalar) {
      return wrong(rule, node, "must be a single value");
    }
    const auto& text = node.scalar;
    switch (rule.type) {
      case Type::boolean:
        if (text == "true" || text == "yes" || text == "on") return true;
        if (text == "false" || text == "no" || text == "off") return false;
        return wrong(rule, node, "is neither true nor false");
      case Type::integer:
        return integer(rule, node);
      case Type::number: {
        double number = 0;
        const auto* end = text.data() + text.size();
        if (const auto [stop, code] = std::from_chars(text.data(), end, number);
            code != std::errc{} || stop != end) {
          return wrong(rule, node, "is not a number");
        }
        if (!std::isfinite(number)) return wrong(rule, node, "is not a finite number");
        return number;
      }
      case Type::duration:
        if (auto parsed = parse_duration(text); !parsed) {
          return wrong(rule, node, ": " + parsed.error().message);
        } else if (!within(rule, parsed->count())) {
          return wrong(rule, node, "lies outside its bounds");
        }
        break;
      case Type::size:
        if (auto parsed = parse_size(text); !parsed) {
          return wrong(rule, node, ": " + parsed.error().message);
        } else if (!within(rule, static_cast<std::int64_t>(*parsed))) {
          return wrong(rule, node, "lies outside its bounds");
        }
        break;
      case Type::path:
        if (text.empty() || text.front() != '/')
          return wrong(rule, node, "must be an absolute path");
        break;
      case Type::choice:
        return choice(rule, node);
      case Type::string:
      case Type::list:
        break;
    }
    if (text.find('\0') != text.npos) return wrong(rule, node, "holds a NUL byte");
    return json::value(text);
  }

 private:
  static bool within(const SettingRule& rule, std::int64_t value) {
    return (!rule.minimum || value >= *rule.minimum) && (!rule.maximum || value <= *rule.maximum);
  }
  json::value wrong(const SettingRule& rule, const Node& node, std::string_view what,
                    const std::string& remedy = {}) {
    document_.report(
        problems_, node.mark,
        "setting '" + rule.name + "'" + (what.starts_with(':') ? "" : " ") + std::string(what),
        remedy.empty() ? rule.help : remedy);
    return nullptr;
  }
  json::value list(const SettingRule& rule, const Node& node) {
    json::array out;
    if (node.kind == Node::Kind::scalar) out.emplace_back(node.scalar);
    for (const auto& item : node.items) {
      if (item.kind != Node::Kind::scalar) return wrong(rule, item, "must list single values");
      out.emplace_back(item.scalar);
    }
    if (node.kind == Node::Kind::mapping) return wrong(rule, node, "must be a list");
    return out;
  }
  json::value integer(const SettingRule& rule, const Node& node) {
    std::int64_t number = 0;
    const auto* end = node.scalar.data() + node.scalar.size();
    const auto [stop, code] = std::from_chars(node.scalar.data(), end, number);
    if (code != std::errc{} || stop != end) return wrong(rule, node, "is not a whole number");
    if (rule.minimum && number < *rule.minimum)
      return wrong(rule, node, "must be at least " + std::to_string(*rule.minimum));
    if (rule.maximum && number > *rule.maximum)
      return wrong(rule, node, "must be at most " + std::to_string(*rule.maximum));
    return number;
  }
  json::value choice(const SettingRule& rule, const Node& node) {
    std::string all;
    for (const auto& known : rule.choices) {
      if (node.scalar == known) return json::value(known);
      all += (all.empty() ? "" : ", ") + known;
    }
    const auto meant = did_you_mean(node.scalar, rule.choices);
    return wrong(rule, node, "must be one of: " + all,
                 meant ? "did you mean '" + *meant + "'?" : "");
  }

  const Document& document_;
  Problems& problems_;
};

}  // namespace

std::optional<SecretReference> read_secret(const Document& document, const Node& node,
                                           std::string setting, Problems& problems) {
  SecretReference reference;
  reference.setting = std::move(setting);
  const auto* credential = node.find("credential");
  const auto* file = node.find("file");
  const auto* chosen = credential ? credential : file;
  if (node.kind != Node::Kind::mapping || node.members.size() != 1 || !chosen ||
      chosen->kind != Node::Kind::scalar || chosen->scalar.empty()) {
    document.report_key(problems, node.mark,
                        "secret '" + reference.setting + "' must not stand here itself",
                        "write {credential: NAME} (systemd) or {file: /path}");
    return std::nullopt;
  }
  if (file && !chosen->scalar.starts_with('/')) {
    document.report(problems, chosen->mark, "a secret's file must be an absolute path",
                    "as {file: /etc/voxbus/secrets/mail}");
    return std::nullopt;
  }
  reference.from = credential ? SecretReference::From::credential : SecretReference::From::file;
  reference.name = chosen->scalar;
  if (credential && reference.name.find('/') != std::string::npos) {
    document.report(problems, chosen->mark, "a credential's name has no '/'");
    return std::nullopt;
  }
  return reference;
}

Settings read_settings(const Document& document, const Node* node, Mark channel,
                       const Manifest& manifest, Problems& problems) {
  static const Node kNone{};
  Settings settings;
  Mapping in(document, node ? *node : kNone, problems, "plugin '" + manifest.name + "'");
  Reader reader(document, problems);
  std::map<std::string, std::string> identity;  // in the order of names, whatever the manifest's is
  for (const auto& rule : manifest.settings) {
    const auto* given = in.node(rule.name);
    if (!given && rule.identity && !rule.default_value.empty()) {
      const Node otherwise{
          .kind = Node::Kind::scalar, .mark = channel, .scalar = rule.default_value};
      identity[rule.name] = json::serialize(reader.value(rule, otherwise));
    }
    if (!given) {
      if (rule.required) {
        settings.complete = false;
        document.report(problems, node ? node->mark : channel,
                        "setting '" + rule.name + "' is missing for plugin '" + manifest.name + "'",
                        rule.help);
      }
      continue;
    }
    if (rule.secret) {
      if (auto reference = read_secret(document, *given, rule.name, problems)) {
        settings.secrets.push_back(std::move(*reference));
      } else {
        settings.complete = false;
      }
      continue;
    }
    auto value = reader.value(rule, *given);
    if (value.is_null()) {
      // Without what names its source a plugin would find fault with settings that are fine.
      settings.complete = settings.complete && !rule.required && !rule.identity;
      continue;
    }
    if (rule.identity) identity[rule.name] = json::serialize(value);
    settings.values[rule.name] = std::move(value);
  }
  std::vector<std::string> secrets;
  for (const auto& rule : manifest.settings) {
    if (rule.secret) secrets.push_back(rule.name);
  }
  in.finish("setting", secrets);
  Sha256 origin;
  for (const auto& [name, value] : identity) origin.add_field(name).add_field(value);
  settings.origin = to_hex(as_text(origin.finish())).substr(0, 32);
  return settings;
}

Result<std::string> resolve(const SecretReference& reference) {
  std::filesystem::path path = reference.name;
  if (reference.from == SecretReference::From::credential) {
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (!folder) {
      return permanent("credential '" + reference.name +
                       "' is not there: start the daemon from systemd with "
                       "LoadCredential=" +
                       reference.name + ", or write {file: PATH}");
    }
    path = std::filesystem::path(folder) / reference.name;
  }
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return permanent(
        "secret '" + reference.setting + "' in " + path.string() +
        " may be read or written by anybody: keep it in a file of its own, with chmod 600");
  }
  VOXBUS_TRY(secret, read_file(path, kMaxSecret));
  if (!secret.empty() && secret.back() == '\n') secret.pop_back();
  if (!secret.empty() && secret.back() == '\r') secret.pop_back();
  if (secret.empty())
    return permanent("secret '" + reference.setting + "' in " + path.string() + " is empty");
  return secret;
}

}  // namespace voxbus::config
