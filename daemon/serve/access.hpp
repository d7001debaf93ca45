// SPDX-License-Identifier: Apache-2.0
// Who may ask: the Host and Origin checks that keep browsers' pages out, bearer tokens on TCP, the
// kernel's word about the peer on the Unix socket. Owned by the server, used on its loop's thread.
//
// The Unix socket admits root, the service's own user and members of the socket's group without a
// token: for all that reads, and for the consumers' own positions. Commands that act for a person
// need a token there too (root is one by itself), so that each has an actor.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.hpp"
#include "serve/tokens.hpp"

namespace voxbus::serve {

// The other end of a connection.
struct Peer {
  bool by_unix_socket = false;
  std::string local_address;  // TCP: the address it came to, without port
  std::string remote;         // for the log
  uid_t uid = 0;              // Unix socket
  std::vector<gid_t> groups;  // Unix socket: primary and further
  std::string user;           // Unix socket: its name, or the number
};
// Asks the kernel and the user database. Nothing when the kernel does not know.
[[nodiscard]] std::optional<Peer> unix_peer(int socket);

class Access {
 public:
  struct Options {
    std::string listen;                // "127.0.0.1:8420"
    std::vector<std::string> hosts;    // further names of ours
    std::vector<std::string> origins;  // "https://desk.example.org"
    std::filesystem::path tokens;
  };
  explicit Access(Options options);
  void set_socket_group(gid_t group) { socket_group_ = group; }

  struct Headers {
    std::optional<std::string> host, origin, authorization;
    bool http_1_1 = true;
  };
  // Nothing: the connection may ask. Before any route is looked up.
  [[nodiscard]] std::optional<Answer> refuse_place(const Peer& peer, const Headers& headers) const;
  // The actor's name, or why not.
  struct Verdict {
    std::string actor;
    std::optional<Answer> refusal;
    std::string token;  // the SHA-256 of the one that opened the door; empty: none was needed
  };
  [[nodiscard]] Verdict identify(const Peer& peer, const Headers& headers);
  // Whether tokens changed since the last call: then ask still_opens() for what they opened.
  [[nodiscard]] bool tokens_changed();
  [[nodiscard]] bool still_opens(std::string_view token) const { return tokens_.is_known(token); }

 private:
  [[nodiscard]] bool is_our_host(std::string_view host, const Peer& peer) const;

  Options options_;
  TokenStore tokens_;
  std::uint64_t tokens_seen_ = 0;
  std::optional<gid_t> socket_group_;
};

// "example.org" of "Example.org:8420", "::1" of "[::1]:8420".
[[nodiscard]] std::string host_name(std::string_view host);

}  // namespace voxbus::serve
