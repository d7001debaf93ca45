// SPDX-License-Identifier: Apache-2.0
// Who may talk to the daemon over TCP: names and the SHA-256 of their tokens, in
// <state>/tokens.json. The command writes the file, the daemon reads it again whenever it changed.
//
//   {"tokens": [{"name": "desk", "sha256": "<64 hex>", "created": "2026-11-22T17:43:08Z"}]}
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace voxbus::serve {

struct Token {
  std::string name, sha256, created;
};

// No file: no tokens. Any thread.
[[nodiscard]] Result<std::vector<Token>> read_tokens(const std::filesystem::path& file);
// Makes a token, "vxb_" and 40 hex digits, and gives it: it is nowhere else. The file and a missing
// folder belong to the owner of the nearest folder that exists, so that the daemon can read what
// root wrote.
[[nodiscard]] Result<std::string> add_token(const std::filesystem::path& file,
                                            const std::string& name);
[[nodiscard]] Status remove_token(const std::filesystem::path& file, const std::string& name);

// The daemon's view. Owned by the server, used on its loop's thread.
class TokenStore {
 public:
  explicit TokenStore(std::filesystem::path file) : file_(std::move(file)) {}
  // Who asks with a token: its name and its SHA-256, by which is_known() finds it again. Nothing
  // when there is none.
  struct Owner {
    std::string name, sha256;
  };
  [[nodiscard]] std::optional<Owner> owner_of(std::string_view token);
  // Reads the file again when it changed. Grows with each change: a token may be gone since.
  std::uint64_t generation();
  [[nodiscard]] bool is_known(std::string_view sha256) const;

 private:
  void refresh();

  std::filesystem::path file_;
  std::vector<Token> tokens_;
  bool known_ = false;
  std::uint64_t generation_ = 0;
  struct stat seen_ {};
};

}  // namespace voxbus::serve
