// SPDX-License-Identifier: Apache-2.0
#include "serve/access.hpp"

#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "serve/problem.hpp"

namespace voxbus::serve {

std::string host_name(std::string_view host) {
  if (host.starts_with('[')) {
    host = host.substr(1, host.find(']') == host.npos ? host.npos : host.find(']') - 1);
  } else if (const auto colon = host.find(':');
             colon != host.npos && host.find(':', colon + 1) == host.npos) {
    host = host.substr(0, colon);
  }
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string name(host);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return name;
}

std::optional<Peer> unix_peer(int socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
  Peer peer;
  peer.by_unix_socket = true;
  peer.uid = credentials.uid;
  peer.groups.push_back(credentials.gid);
  gid_t groups[256];
  size = sizeof groups;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
    peer.groups.insert(peer.groups.end(), groups, groups + size / sizeof(gid_t));
  }
  peer.user = std::to_string(peer.uid);
  passwd entry{};
  passwd* found = nullptr;
  char text[4096];
  if (::getpwuid_r(peer.uid, &entry, text, sizeof text, &found) == 0 && found)
    peer.user = found->pw_name;
  peer.remote = peer.user;
  return peer;
}

Access::Access(Options options) : options_(std::move(options)), tokens_(options_.tokens) {}

bool Access::is_our_host(std::string_view host, const Peer& peer) const {
  const auto name = host_name(host);
  if (name == "localhost" || name == host_name(options_.listen)) return true;
  // An address, as opposed to a name, cannot be made to point at us by somebody's DNS.
  if (!peer.local_address.empty() && name == peer.local_address) return true;
  return std::any_of(options_.hosts.begin(), options_.hosts.end(),
                     [&](const auto& known) { return host_name(known) == name; });
}

std::optional<Answer> Access::refuse_place(const Peer& peer, const Headers& headers) const {
  if (headers.origin) {
    const auto& known = options_.origins;
    if (std::find(known.begin(), known.end(), *headers.origin) == known.end()) {
      return problem(Slug::forbidden,
                     "pages of this origin may not ask: name it under 'origins:' to permit it");
    }
  }
  if (peer.by_unix_socket) return std::nullopt;
  if (!headers.host) {
    if (headers.http_1_1) return problem(Slug::bad_request, "the Host header is missing");
    return std::nullopt;
  }
  if (!is_our_host(*headers.host, peer)) {
    return problem(Slug::forbidden,
                   "this host name is not ours: name it under 'hosts:' to permit it");
  }
  return std::nullopt;
}

bool Access::tokens_changed() {
  const auto seen = tokens_.generation();
  return std::exchange(tokens_seen_, seen) != seen;
}

Access::Verdict Access::identify(const Peer& peer, const Headers& headers) {
  if (headers.authorization) {
    constexpr std::string_view kScheme = "bearer ";
    std::string_view text = *headers.authorization;
    std::string scheme(text.substr(0, kScheme.size()));
    std::transform(scheme.begin(), scheme.end(), scheme.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (scheme == kScheme) {
      if (auto owner = tokens_.owner_of(text.substr(kScheme.size())))
        return {std::move(owner->name), std::nullopt, std::move(owner->sha256)};
    }
    return {
        {},
        problem(Slug::unauthorised, "the token is not known: 'voxbus token add NAME' makes one"),
        {}};
  }
  if (!peer.by_unix_socket) {
    return {{},
            problem(Slug::unauthorised,
                    "send Authorization: Bearer TOKEN; 'voxbus token add NAME' makes one"),
            {}};
  }
  const bool member = socket_group_ && std::find(peer.groups.begin(), peer.groups.end(),
                                                 *socket_group_) != peer.groups.end();
  if (peer.uid == 0 || peer.uid == ::geteuid() || member) return {peer.user, std::nullopt, {}};
  return {{},
          problem(Slug::forbidden,
                  "this socket serves root, the service's user and the socket's group"),
          {}};
}

}  // namespace voxbus::serve
