// SPDX-License-Identifier: Apache-2.0
// Whether a library can be loaded at all, found out in a process that may die of it, within a time
// limit, before any channel runs it. What twice ended that process is set aside by the hash of its
// bytes: another file of that name is another library. One for all channels, on the supervisor's
// thread; answers come there too.
//
// Decision, 2026-11: a library that cannot be loaded (wrong ABI, a missing symbol) is refused but
// not set aside, because its file says so each time without harm; and one crash is not enough,
// because a machine out of memory kills the innocent. Only deaths after the process said that it
// begins to load count, and what died under one limit of memory is still tried under a larger one.
// What is set aside stands in a file of the state directory, which survives a restart and which a
// person may edit.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/posix.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace voxbus::host {

class PluginScan {
 public:
  struct Options {
    std::filesystem::path host_program;
    std::string build;
    std::filesystem::path set_aside;           // the file; empty: nothing is kept
    std::chrono::milliseconds within{10'000};  // to load it
    const Clock* clock = nullptr;
  };
  struct Subject {
    std::string plugin;             // the id that its manifest gives
    std::filesystem::path library;  // for words only
    std::uint64_t memory = 0;       // bytes of address space, as its channel's process has
    // Also makes a channel of these, a JSON object, and frees it: what the plugin has against them
    // is its refusal. Nothing: the library is loaded only.
    std::optional<std::string> settings{};
  };
  using Answer = std::function<void(Status)>;

  PluginScan(boost::asio::io_context& loop, Options options);
  ~PluginScan();  // ends what runs; its answers are never given
  PluginScan(const PluginScan&) = delete;
  PluginScan& operator=(const PluginScan&) = delete;

  // Calls `answer`, never from inside, once it is known; at once for bytes that were loaded before.
  // `library` may be closed when this returns.
  void examine(const Subject& subject, const FileDescriptor& library, Answer answer);

 private:
  struct Trial;
  // A file that was not written since has the hash that it had.
  struct Seen {
    std::int64_t size = 0, modified = 0, changed = 0;
    std::string hash;
  };

  Result<std::string> hash_of(const FileDescriptor& library);
  Result<std::shared_ptr<Trial>> start(const Subject& subject, const FileDescriptor& library);
  void watch(const std::shared_ptr<Trial>& trial);
  void wait_for_end(const std::shared_ptr<Trial>& trial);
  void ended(const std::shared_ptr<Trial>& trial);
  Status judge(Trial& trial);
  Status refusal_of(const std::string& hash, const Subject& subject) const;
  void set_aside(const Trial& trial, const std::string& how);
  [[nodiscard]] json::object read_set_aside() const;

  boost::asio::io_context& loop_;
  const Options options_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Seen> seen_;  // by device and inode
  std::set<std::string> sound_;                                   // hash, id, memory and settings
  std::map<std::string, std::shared_ptr<Trial>> trials_;          // by the same
  std::map<std::pair<std::string, std::uint64_t>, int> crashes_;  // by hash and memory
};

}  // namespace voxbus::host
