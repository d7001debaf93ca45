// SPDX-License-Identifier: Apache-2.0
#include "config/places.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/posix.hpp"

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
  std::error_code code;
  auto there = state;
  while (there.has_relative_path() && !fs::exists(there, code)) there = there.parent_path();
  struct statvfs disk {};
  if (::statvfs(there.c_str(), &disk) == 0 && (disk.f_flag & ST_RDONLY) != 0) {
    return permanent("the state folder " + state.string() +
                     " is on a file system that is mounted " + "to be read only");
  }
  struct stat status {};
  if (::stat(state.c_str(), &status) != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return permanent("the state folder " + state.string() +
                   " may be written by others: name a folder of its own, with chmod 700");
}

Status check_listen(const std::string& listen) {
  VOXBUS_TRY(parsed, parse_listen(listen));
  sockaddr_storage address{};
  if (parsed.is_v6) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
    const auto percent = parsed.address.find('%');
    v6.sin6_family = AF_INET6;
    if (percent != parsed.address.npos)
      v6.sin6_scope_id = ::if_nametoindex(parsed.address.c_str() + percent + 1);
    (void)::inet_pton(AF_INET6, parsed.address.substr(0, percent).c_str(), &v6.sin6_addr);
  } else {
    auto& v4 = reinterpret_cast<sockaddr_in&>(address);
    v4.sin_family = AF_INET;
    (void)::inet_pton(AF_INET, parsed.address.c_str(), &v4.sin_addr);
  }
  const FileDescriptor probe(::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto size = parsed.is_v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  // What else may hinder is this caller's, or will have passed when the daemon starts.
  if (probe &&
      ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address),
             static_cast<socklen_t>(size)) != 0 &&
      errno == EADDRNOTAVAIL) {
    return permanent("cannot listen on " + listen + ": this machine has no such address; `ip " +
                     "address` shows those that it has");
  }
  return {};
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
