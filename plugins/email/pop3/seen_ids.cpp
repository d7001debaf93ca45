// SPDX-License-Identifier: Apache-2.0
#include "pop3/seen_ids.hpp"

#include <algorithm>
#include <unordered_map>

#include "kit/sha256.hpp"
#include "little_endian.hpp"

namespace voxbus::email::pop3 {
namespace {

// The cursor: this, then for each range the hash of its last id and the sum of its hashes.
constexpr std::string_view kVersion = "pop3-1";
constexpr std::size_t kNewest = 64;       // ranges
constexpr std::size_t kNewestLength = 8;  // mails in each of them
constexpr std::size_t kOlder = 192;       // ranges
constexpr std::size_t kRangeBytes = 16;

}  // namespace

// A stranger who sends mail may choose its id on some servers: a collision must not be to be had.
IdHash hash_of(std::string_view unique_id) {
  return std::stoull(kit::sha256_hex(unique_id).substr(0, 16), nullptr, 16);
}

bool SeenIds::load(std::string_view cursor) {
  present_.clear();
  known_.clear();
  loaded_.clear();
  if (cursor.empty()) return true;
  if (!cursor.starts_with(kVersion)) return false;
  cursor.remove_prefix(kVersion.size());
  if (cursor.size() % kRangeBytes != 0) return false;
  while (!cursor.empty()) {
    const IdHash last = take_number(cursor, 8);
    loaded_.push_back({last, take_number(cursor, 8)});
  }
  return true;
}

std::string SeenIds::cursor() const {
  std::vector<IdHash> brought;
  for (const IdHash id : present_) {
    if (contains(id)) brought.push_back(id);
  }
  std::string out{kVersion};
  const std::size_t newest = std::min(brought.size(), kNewest * kNewestLength);
  const std::size_t older = brought.size() - newest;
  const std::size_t older_length = std::max<std::size_t>(1, (older + kOlder - 1) / kOlder);
  for (std::size_t begin = 0; begin < brought.size();) {
    const std::size_t end = begin < older ? std::min(begin + older_length, older)
                                          : std::min(begin + kNewestLength, brought.size());
    std::uint64_t sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += brought[i];
    append_number(out, brought[end - 1], 8);
    append_number(out, sum, 8);
    begin = end;
  }
  return out;
}

void SeenIds::present(std::vector<IdHash> ids) {
  std::unordered_map<IdHash, std::size_t> places;
  for (std::size_t i = 0; i < ids.size(); ++i) places.emplace(ids[i], i);
  std::unordered_set<IdHash> known;
  std::size_t begin = 0;
  for (const Range& range : loaded_) {
    const auto last = places.find(range.last);
    if (last == places.end() || last->second < begin) continue;
    const std::size_t end = last->second + 1;
    std::uint64_t sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += ids[i];
    if (sum == range.sum) known.insert(&ids[begin], &ids[begin] + (end - begin));
    begin = end;
  }
  if (loaded_.empty()) {
    for (const IdHash id : ids) {
      if (contains(id)) known.insert(id);
    }
  }
  loaded_.clear();
  known_ = std::move(known);
  present_ = std::move(ids);
}

}  // namespace voxbus::email::pop3
