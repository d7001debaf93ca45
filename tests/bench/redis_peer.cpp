// SPDX-License-Identifier: Apache-2.0
#include "redis_peer.hpp"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <deque>
#include <string>
#include <thread>

#include "load.hpp"

extern char** environ;

namespace voxbus::bench {
namespace {

constexpr const char* kServer = "/usr/bin/redis-server";
constexpr const char* kAdd =
    "if redis.call('HSETNX', KEYS[1], ARGV[1], '') == 0 then return 0 end "
    "redis.call('XADD', KEYS[2], '*', 'record', ARGV[2]) return 1";

redisReply* checked(void* answer) {
  auto* reply = static_cast<redisReply*>(answer);
  if (!reply) give_up("redis: the connection is gone");
  if (reply->type == REDIS_REPLY_ERROR) give_up("redis: " + std::string(reply->str));
  return reply;
}

}  // namespace

std::unique_ptr<RedisPeer> RedisPeer::start(const std::filesystem::path& folder) {
  if (!std::filesystem::exists(kServer)) return nullptr;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string socket = (std::filesystem::absolute(folder) / "socket").string();
  const std::string home = std::filesystem::absolute(folder).string();
  const char* arguments[] = {
      kServer, VOXBUS_PEERS "/redis.conf", "--unixsocket", socket.c_str(), "--dir", home.c_str(),
      nullptr};
  pid_t process = 0;
  if (::posix_spawn(&process, kServer, nullptr, nullptr, const_cast<char**>(arguments), environ))
    give_up("redis: cannot start it");
  std::unique_ptr<RedisPeer> peer(new RedisPeer(process));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  for (;;) {
    peer->connection_ = redisConnectUnix(socket.c_str());
    if (peer->connection_ && !peer->connection_->err) return peer;
    if (peer->connection_) redisFree(peer->connection_);
    peer->connection_ = nullptr;
    if (std::chrono::steady_clock::now() > deadline) give_up("redis: it does not come up");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

RedisPeer::~RedisPeer() {
  if (connection_) redisFree(connection_);
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
}

double RedisPeer::rate(std::span<const model::Item> items, std::size_t group,
                       std::size_t in_flight) {
  freeReplyObject(checked(redisCommand(connection_, "FLUSHALL")));
  auto* loaded = checked(redisCommand(connection_, "SCRIPT LOAD %s", kAdd));
  const std::string script = loaded->str;
  freeReplyObject(loaded);
  const auto start = std::chrono::steady_clock::now();
  std::size_t answers = 0;
  const auto take_answer = [&] {
    void* answer = nullptr;
    if (redisGetReply(connection_, &answer) != REDIS_OK) give_up("redis: no answer");
    freeReplyObject(checked(answer));
    --answers;
  };
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto& item = items[i];
    redisAppendCommand(connection_, "EVALSHA %b 2 seen stream %b %b", script.data(), script.size(),
                       item.native_id.data(), item.native_id.size(), item.record.data(),
                       item.record.size());
    ++answers;
    if ((i + 1) % group == 0 || i + 1 == items.size()) {
      redisAppendCommand(connection_, "SET cursor %d", static_cast<int>(i + 1));
      ++answers;
      // Everything up to the last group but `in_flight` has been answered.
      while (answers > in_flight) take_answer();
    }
  }
  while (answers > 0) take_answer();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return static_cast<double>(items.size()) / took.count();
}

}  // namespace voxbus::bench
