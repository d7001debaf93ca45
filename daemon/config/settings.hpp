// SPDX-License-Identifier: Apache-2.0
// A channel's `settings:` held against its plugin's manifest, and turned into the JSON object that
// the plugin gets. Secrets stay references until the channel starts. Pure but for resolve(); one
// thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "config/manifest.hpp"
#include "config/yaml.hpp"

namespace voxbus::config {

// Where a secret comes from; the secret itself is read when its channel starts.
struct SecretReference {
  std::string setting;
  enum class From { credential, file } from = From::credential;
  std::string name;  // of the systemd credential, or the file's path
  bool operator==(const SecretReference&) const = default;
};

struct Settings {
  json::object values;  // by the manifest's types; without secrets
  std::vector<SecretReference> secrets;
  // Nothing that is required is missing or unusable, and nothing unusable that is a part of the
  // origin: the plugin can be asked what it thinks of them.
  bool complete = true;
  std::string origin;  // digest of the identity settings: names whose cursor this is
  bool operator==(const Settings&) const = default;
};

// `node` may be null: no settings given.
[[nodiscard]] Settings read_settings(const Document& document, const Node* node, Mark channel,
                                     const Manifest& manifest, Problems& problems);

// The secret's text without its last line break. Credentials are looked up in
// $CREDENTIALS_DIRECTORY, as systemd.exec(5) describes.
[[nodiscard]] Result<std::string> resolve(const SecretReference& reference);

// {credential: NAME} or {file: PATH}, for settings and for the daemon's own secrets.
[[nodiscard]] std::optional<SecretReference> read_secret(const Document& document, const Node& node,
                                                         std::string setting, Problems& problems);

}  // namespace voxbus::config
