// SPDX-License-Identifier: Apache-2.0
// Starts a voxbus-host process: its own session, dead when the daemon's supervising thread dies,
// limited in memory and descriptors, with three descriptors and a bare environment.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/posix.hpp"
#include "base/result.hpp"

namespace voxbus::host {

// The voxbus-host that belongs to the running program: beside it, as in a build folder, or in
// ../lib/voxbus from there, as installed. It need not exist.
[[nodiscard]] std::filesystem::path host_program();

struct SpawnOptions {
  std::filesystem::path program;
  int socket = -1, plugin = -1, mark = -1;  // become 3, 4 and 5
  std::uint64_t memory = 0;                 // bytes of address space; 0: unlimited
  std::uint32_t descriptors = 256;
};

struct Process {
  pid_t pid = -1;
  // Readable once the process ended. An event loop that watches it makes it non-blocking, and may
  // call for a descriptor that was closed: has_ended() tells.
  FileDescriptor pidfd;

  [[nodiscard]] bool has_ended() const;  // and was not reaped yet
  void kill() const;                     // SIGKILL to it and whatever it started in its session
  struct End {
    std::string words;      // "exited with 3", "was killed by SIGSEGV"
    bool by_fault = false;  // by its own doing: a fault, an abort, an exit nobody asked for
  };
  // Reaps it, and whatever it started ends with it; one that still runs is killed and waited for.
  [[nodiscard]] End reap();
};

// Call on the thread that supervises: the process dies with it.
[[nodiscard]] Result<Process> spawn(const SpawnOptions& options);

}  // namespace voxbus::host
