// SPDX-License-Identifier: Apache-2.0
#include "serve/tokens.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/crypto.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "base/posix.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

namespace voxbus::serve {
namespace {

constexpr std::size_t kMaxFile = 4 << 20;

bool is_token_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '@';
  });
}

std::string digest_of(std::string_view token) { return to_hex(as_text(sha256(token))); }

// Held while the file is read, changed and replaced, so that two commands do not undo each other.
Result<FileDescriptor> lock(const std::filesystem::path& file) {
  VOXBUS_TRY(descriptor, open_file(file.string() + ".lock", O_RDWR | O_CREAT, 0600));
  while (::flock(descriptor.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return system_error("lock " + file.string(), errno);
  }
  return descriptor;
}

// Root writes for the service's user.
Status give_to(const std::filesystem::path& path, const struct stat& owner) {
  if (::geteuid() != 0 || owner.st_uid == 0) return {};
  if (::chown(path.c_str(), owner.st_uid, owner.st_gid) != 0)
    return system_error("hand over " + path.string(), errno);
  return {};
}

Status write_tokens(const std::filesystem::path& file, const std::vector<Token>& tokens) {
  json::array list;
  for (const auto& token : tokens) {
    list.push_back(
        json::object{{"name", token.name}, {"sha256", token.sha256}, {"created", token.created}});
  }
  json::object document;
  document["tokens"] = std::move(list);
  VOXBUS_CHECK(replace_file(file, json::serialize(document) + "\n", 0600));
  struct stat folder {};
  if (::stat(file.parent_path().c_str(), &folder) != 0)
    return system_error("look at " + file.parent_path().string(), errno);
  return give_to(file, folder);
}

Status make_folder(const std::filesystem::path& folder) {
  std::error_code code;
  if (std::filesystem::exists(folder, code)) return {};
  auto nearest = folder;
  while (!std::filesystem::exists(nearest, code) && nearest.has_relative_path())
    nearest = nearest.parent_path();
  VOXBUS_CHECK(make_directory(folder));
  struct stat owner {};
  if (::stat(nearest.c_str(), &owner) != 0) return {};
  return give_to(folder, owner);
}

}  // namespace

Result<std::vector<Token>> read_tokens(const std::filesystem::path& file) {
  std::vector<Token> tokens;
  std::error_code code;
  if (!std::filesystem::exists(file, code) && !code) return tokens;
  VOXBUS_TRY(text, read_file(file, kMaxFile));
  const auto parsed = json::parse(text);
  const auto* list =
      parsed && parsed->is_object() ? json::array_at(parsed->get_object(), "tokens") : nullptr;
  if (!list) return permanent("cannot read " + file.string() + ": it is not a list of tokens");
  for (const auto& entry : *list) {
    const auto* object = entry.if_object();
    if (!object) return permanent("cannot read " + file.string() + ": it is not a list of tokens");
    tokens.push_back({std::string(json::text_at(*object, "name").value_or("")),
                      std::string(json::text_at(*object, "sha256").value_or("")),
                      std::string(json::text_at(*object, "created").value_or(""))});
  }
  return tokens;
}

Result<std::string> add_token(const std::filesystem::path& file, const std::string& name) {
  if (!is_token_name(name))
    return permanent("a token's name has up to 64 letters, digits and . _ - @");
  VOXBUS_CHECK(make_folder(file.parent_path()));
  VOXBUS_TRY(held, lock(file));
  VOXBUS_TRY(tokens, read_tokens(file));
  const auto same = [&](const Token& token) { return token.name == name; };
  if (std::any_of(tokens.begin(), tokens.end(), same)) {
    return permanent("there is a token named '" + name +
                     "' already: remove it first, or choose another name");
  }
  auto secret = "vxb_" + random_token(20);
  tokens.push_back(
      {name, digest_of(secret), format_rfc3339(std::chrono::floor<seconds>(SystemClock().now()))});
  VOXBUS_CHECK(write_tokens(file, tokens));
  return secret;
}

Status remove_token(const std::filesystem::path& file, const std::string& name) {
  std::error_code code;
  if (!std::filesystem::exists(file, code))
    return permanent("there is no token named '" + utf8_repaired(name) + "'");
  VOXBUS_TRY(held, lock(file));
  VOXBUS_TRY(tokens, read_tokens(file));
  if (std::erase_if(tokens, [&](const Token& token) { return token.name == name; }) == 0) {
    return permanent("there is no token named '" + utf8_repaired(name) + "'");
  }
  return write_tokens(file, tokens);
}

void TokenStore::refresh() {
  struct stat now {};
  if (::stat(file_.c_str(), &now) != 0) now = {};
  const bool same = known_ && now.st_ino == seen_.st_ino && now.st_size == seen_.st_size &&
                    now.st_ctim.tv_sec == seen_.st_ctim.tv_sec &&
                    now.st_ctim.tv_nsec == seen_.st_ctim.tv_nsec;
  if (same) return;
  known_ = true;
  seen_ = now;
  auto tokens = read_tokens(file_);
  if (!tokens) {
    // A file that cannot be read gives nobody access, and takes it from nobody who has it.
    log::error("the tokens stay as they were: {}", tokens.error().message);
    return;
  }
  tokens_ = std::move(*tokens);
  ++generation_;
}

std::optional<TokenStore::Owner> TokenStore::owner_of(std::string_view token) {
  refresh();
  const auto digest = digest_of(token);
  std::optional<Owner> owner;
  for (const auto& known : tokens_) {
    if (equal_in_constant_time(known.sha256, digest)) owner = Owner{known.name, digest};
  }
  return owner;
}

std::uint64_t TokenStore::generation() {
  refresh();
  return generation_;
}

bool TokenStore::is_known(std::string_view sha256) const {
  return std::any_of(tokens_.begin(), tokens_.end(),
                     [&](const Token& token) { return token.sha256 == sha256; });
}

}  // namespace voxbus::serve
