// SPDX-License-Identifier: Apache-2.0
// The values of voxbus.yaml that name a place: where the daemon listens, where it keeps its state,
// where plugins lie. They are judged here, before anything is opened, so that a fault has a line
// and a remedy. The file system is looked at and never changed; one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/mapping.hpp"

namespace voxbus::config {

struct Listen {
  std::string host;     // as it was written: "localhost", "[::1]"
  std::string address;  // what to bind, without brackets: "127.0.0.1", "::1"
  bool is_v6 = false;
  std::uint16_t port = 0;  // 0: any free one
};

// ADDRESS:PORT; the address is one of IPv4, one of IPv6 in brackets, or localhost. Errors are
// permanent. Pure, any thread.
[[nodiscard]] Result<Listen> parse_listen(const std::string& text);

// Each reads one key of voxbus.yaml and reports what cannot be used. It is taken over all the same:
// a command that goes on in spite of a problem must not come to work on the default place.
void read_listen(Mapping& in, std::string& listen);
void read_socket(Mapping& in, std::filesystem::path& socket);
void read_state(Mapping& in, std::filesystem::path& state);
// Whether a state folder that is there may be used: whoever else may write in it can let himself
// in, by a token of his own. Any thread.
[[nodiscard]] Status check_state(const std::filesystem::path& state);
// Whether the address of `listen`, one that parse_listen() takes, is one of this machine's, by
// binding a socket to a port of the system's choice. Any thread.
[[nodiscard]] Status check_listen(const std::string& listen);
// Only what can be used is taken over; false when there was more.
[[nodiscard]] bool read_plugin_folders(Mapping& in, std::vector<std::filesystem::path>& folders);

// How long the path of a Unix socket may be: sockaddr_un holds it with a NUL.
inline constexpr std::size_t kMaxSocketPath = 107;

}  // namespace voxbus::config
