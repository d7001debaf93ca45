// SPDX-License-Identifier: Apache-2.0
// In the place of redis_peer.cpp where its client library is not installed.
#include "redis_peer.hpp"

namespace voxbus::bench {

std::unique_ptr<RedisPeer> RedisPeer::start(const std::filesystem::path&) { return nullptr; }
RedisPeer::~RedisPeer() = default;
double RedisPeer::rate(std::span<const model::Item>, std::size_t, std::size_t) { return 0; }

}  // namespace voxbus::bench
