// SPDX-License-Identifier: Apache-2.0
#include "config/places.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace voxbus::config {
namespace {

namespace fs = std::filesystem;

static_assert(kMaxSocketPath == sizeof(sockaddr_un::sun_path) - 1);

bool is_v4(const std::string& text) {
  in_addr parsed{};
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1;
}

// fe80::1%eth0 names an interface as well, as RFC 4007 writes it.
bool is_v6(const std::string& text) {
  const auto percent = text.find('%');
  if (percent != text.npos) {
    const auto zone = text.size() - percent - 1;
    if (zone == 0 || zone >= IF_NAMESIZE) return false;
  }
  in6_addr parsed{};
  return ::inet_pton(AF_INET6, text.substr(0, percent).c_str(), &parsed) == 1;
}

// A path that can be used wherever the daemon is started.
std::optional<fs::path> absolute_path(Mapping& in, const char* key, const Node& node,
                                      const char* example) {
  const auto& text = node.scalar;
  if (!text.starts_with('/')) {
    in.report(node.mark, "'" + std::string(key) + "' must be an absolute path", example);
    return std::nullopt;
  }
  if (text.find('\0') != text.npos) {
    in.report(node.mark, "'" + std::string(key) + "' holds a NUL byte", example);
    return std::nullopt;
  }
  return fs::path(text);
}

// What stands at `path` or above it and is no folder, so that none can be made there. What may not
// be looked at is not judged: whoever checks need not be the daemon's user.
std::optional<fs::path> obstacle(const fs::path& path) {
  for (fs::path at = path; at.has_relative_path(); at = at.parent_path()) {
    std::error_code code;
    const auto there = fs::status(at, code);
    if (fs::exists(there)) {
      if (fs::is_directory(there)) return std::nullopt;
      return at;
    }
    if (code && code != std::errc::no_such_file_or_directory &&
        code != std::errc::not_a_directory) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<Listen> parse_listen(const std::string& text) {
  const auto bad = [&](const char* why) {
    return permanent("cannot listen on '" + text + "': " + why +
                     "; write ADDRESS:PORT, as 127.0.0.1:8420 or [::1]:8420");
  };
  const auto colon = text.rfind(':');
  if (colon == text.npos) return bad("there is no port");
  Listen listen;
  listen.host = text.substr(0, colon);
  const auto* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data() + colon + 1, end, listen.port);
  if (code != std::errc{} || stop != end) return bad("the port is no number from 0 to 65535");
  if (listen.host.starts_with('[') && listen.host.ends_with(']')) {
    listen.is_v6 = true;
    listen.address = listen.host.substr(1, listen.host.size() - 2);
  } else {
    listen.address = listen.host == "localhost" ? "127.0.0.1" : listen.host;
  }
  // inet_pton would end at a NUL.
  const bool whole = listen.address.find('\0') == listen.address.npos;
  if (!whole || !(listen.is_v6 ? is_v6(listen.address) : is_v4(listen.address)))
    return bad("the address is neither of IPv4, nor of IPv6 in brackets, nor localhost");
  return listen;
}

void read_listen(Mapping& in, std::string& listen) {
  if (!in.text("listen", listen) || parse_listen(listen)) return;
  const auto& text = listen;
  const auto colon = text.rfind(':');
  const bool has_port = colon != text.npos && colon + 1 < text.size() &&
                        std::all_of(text.begin() + static_cast<std::ptrdiff_t>(colon) + 1,
                                    text.end(), [](char c) { return c >= '0' && c <= '9'; });
  const bool bad_port = has_port && parse_listen(text.substr(0, colon) + ":0");
  in.report(in.node("listen")->mark,
            bad_port ? "'listen' has no such port: they go from 0 to 65535"
                     : "'listen' must be ADDRESS:PORT, the address of IPv4, of IPv6 in brackets, "
                       "or localhost",
            "as 127.0.0.1:8420 or '[::1]:8420'");
}

void read_socket(Mapping& in, fs::path& socket) {
  std::string text;
  if (!in.text("socket", text)) return;
  socket = text;
  const auto& node = *in.node("socket");
  const auto path = absolute_path(in, "socket", node, "as /run/voxbus/voxbus.sock");
  if (!path) return;
  if (text.size() > kMaxSocketPath) {
    return in.report(node.mark,
                     "'socket' has " + std::to_string(text.size()) +
                         " bytes: a socket's path may have " + std::to_string(kMaxSocketPath),
                     "as /run/voxbus/voxbus.sock");
  }
  std::error_code code;
  // A socket that is there is a dead daemon's, and is replaced.
  const auto there = fs::symlink_status(*path, code);
  if (text.ends_with('/') || (fs::exists(there) && !fs::is_socket(there)))
    return in.report(node.mark, "'socket' must name a socket: something else is there",
                     "name a file that is not there yet");
  if (const auto file = obstacle(path->parent_path())) {
    return in.report(node.mark, "'socket' cannot be made: " + file->string() + " is no folder",
                     "name one below a folder");
  }
}

void read_state(Mapping& in, fs::path& state) {
  std::string text;
  if (!in.text("state", text)) return;
  state = text;
  const auto& node = *in.node("state");
  const auto path = absolute_path(in, "state", node, "as /var/lib/voxbus");
  if (!path) return;
  if (!path->lexically_normal().has_relative_path()) {
    return in.report(node.mark, "'state' must be a folder of its own, not the root of all",
                     "as /var/lib/voxbus");
  }
  if (const auto file = obstacle(*path)) {
    return in.report(node.mark, "'state' must be a folder: " + file->string() + " is none",
                     "as /var/lib/voxbus");
  }
}

Status check_state(const fs::path& state) {
  struct stat status {};
  if (::stat(state.c_str(), &status) != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return permanent("the state folder " + state.string() + " may be written by others: chmod 700 " +
                   state.string());
}

bool read_plugin_folders(Mapping& in, std::vector<fs::path>& folders) {
  if (!in.node("plugins")) return true;
  bool right = true;
  folders.clear();
  in.each_word("plugins", [&](const Node& word) {
    const auto folder = absolute_path(in, "plugins", word, "as /usr/lib/voxbus/plugins");
    if (folder) folders.push_back(*folder);
    right = right && folder;
  });
  return right;
}

}  // namespace voxbus::config
