// SPDX-License-Identifier: Apache-2.0
// What a plugin says of itself in NAME.plugin.yaml, read without running a line of its code. The
// format is described in plugin-sdk/docs/manifest.md. Plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "config/problem.hpp"

namespace voxbus::config {

struct SettingRule {
  enum class Type { string, integer, number, boolean, duration, size, path, list, choice };
  std::string name;
  Type type = Type::string;
  std::string help;
  std::string default_value;  // as written, for help only: the plugin applies it
  std::vector<std::string> choices;
  std::optional<std::int64_t> minimum, maximum;  // of sizes in bytes, of durations in milliseconds
  bool required = false;
  bool identity = false;  // part of the cursor's origin
  bool secret = false;    // never inline
};

struct Manifest {
  std::string id, name, version, summary;
  int abi_major = -1, abi_minor = -1;
  std::vector<std::string> capabilities, egress;
  bool inline_permitted = false;
  std::string network = "none";
  std::chrono::milliseconds stop_within{2000};
  std::uint64_t memory = 512ull << 20;
  std::uint64_t max_item = 32ull << 20;
  std::vector<SettingRule> settings;
  std::filesystem::path file;     // the manifest
  std::filesystem::path library;  // NAME.so beside it
};

// Reads every NAME.plugin.yaml of the folders in order; of two with one name the first wins, and
// the second is a problem. A folder that does not exist holds none.
[[nodiscard]] std::vector<Manifest> find_manifests(
    const std::vector<std::filesystem::path>& folders, Problems& problems);
[[nodiscard]] std::optional<Manifest> read_manifest(const std::filesystem::path& file,
                                                    Problems& problems);
[[nodiscard]] std::string_view name_of(SettingRule::Type type);
// As the API and `voxbus describe --json` show it.
[[nodiscard]] json::object to_json(const Manifest& manifest);

// What a plugin or a channel may ask for.
inline constexpr std::chrono::milliseconds kLeastStop{10}, kMostStop{20'000};
// Of address space: the bare process with its libraries takes about 80 MiB of it.
inline constexpr std::uint64_t kLeastMemory = 128ull << 20, kMostMemory = 1ull << 40;
inline constexpr std::uint64_t kCopiesOfAnItem = 8;

}  // namespace voxbus::config
