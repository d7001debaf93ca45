// SPDX-License-Identifier: Apache-2.0
// Redis Streams with the journal's guarantees: a script takes what is new and drops what is there,
// and with `appendfsync always` each answer means that it is on the disk. Started here, on a Unix
// socket in a folder of its own, with peers/redis.conf. One thread.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <span>

#include "model/item.hpp"

struct redisContext;

namespace voxbus::bench {

class RedisPeer {
 public:
  // Nothing when redis-server is not installed; ends the benchmark when it does not come up.
  static std::unique_ptr<RedisPeer> start(const std::filesystem::path& folder);
  ~RedisPeer();
  RedisPeer(const RedisPeer&) = delete;
  RedisPeer& operator=(const RedisPeer&) = delete;

  // Interactions a second; `in_flight` of them are under way at most, each `group` with a cursor.
  double rate(std::span<const model::Item> items, std::size_t group, std::size_t in_flight);

 private:
  explicit RedisPeer(pid_t process) : process_(process) {}

  pid_t process_;
  redisContext* connection_ = nullptr;
};

}  // namespace voxbus::bench
