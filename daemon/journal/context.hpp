// SPDX-License-Identifier: Apache-2.0
// What readers need of the journal they belong to. Made by the journal, shared with its readers;
// fixed but for the atomics.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "journal/file.hpp"
#include "journal/index.hpp"
#include "journal/keys.hpp"

namespace voxbus::journal {

struct ReaderContext {
  std::filesystem::path file;
  std::string vfs;
  const Keys* keys = nullptr;
  const std::unique_ptr<Index>* index = nullptr;  // the journal's, there before any reader
  std::vector<EpochStart> epochs;
  std::vector<Gap> gaps;
  const std::atomic<model::Position>* end = nullptr;
  std::atomic<std::uint64_t>* unreadable = nullptr;
  // A row is not what was written: the next start must salvage.
  std::function<void(const Error&)> damaged;
};

}  // namespace voxbus::journal
