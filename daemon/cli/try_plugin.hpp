// SPDX-License-Identifier: Apache-2.0
// `voxbus try FILE.so --set key=value`: what a plugin would bring, without a daemon, a journal or a
// configuration. It enters by the same door as production: the real voxbus-host process, the same
// checks, the same normalisation. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace voxbus::cli {

struct TryOptions {
  std::filesystem::path library;
  std::filesystem::path host_program;
  std::string build;
  std::vector<std::string> settings;  // "key=value", values as YAML
  std::string cursor;                 // to start from, in Base64
  std::string region;
  bool trust = false;       // skip the ownership check
  bool follow = false;      // go on after the first poll came back
  bool json = false;        // records as NDJSON, else aligned lines
  std::uint64_t limit = 0;  // stop after so many items; 0: no limit
};

// Prints to standard output, says what went wrong on standard error; the exit code of the command.
// At the end the cursor: as JSON a last object {"cursor": BASE64}, else a line on standard error.
int try_plugin(TryOptions options);

}  // namespace voxbus::cli
