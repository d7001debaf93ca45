// SPDX-License-Identifier: Apache-2.0
#include "seen_mails.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "little_endian.hpp"

namespace voxbus::email {
namespace {

// The cursor: a version, then for each range the seconds and microseconds of its last mail in four
// bytes each, that mail's hash and the sum of the range in eight each, all little-endian. In the
// second version a byte and as many hashes of open mails, of eight bytes each, stand before the
// ranges; it is written only where there are some.
constexpr std::string_view kVersion = "maildir1";
constexpr std::string_view kVersionWithOpen = "maildir2";
constexpr std::size_t kRangeBytes = 24;
constexpr std::size_t kHashBytes = 8;

std::uint64_t hash_of(std::string_view text, std::uint64_t hash) {
  for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211ULL;
  return hash;
}

std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace

// "1767607200.M123456P7.host:2,S": seconds, and microseconds behind the M.
MailKey MailKey::of(std::string_view folder, std::string_view file_name) {
  const std::string_view name = file_name.substr(0, file_name.find(":2,"));
  MailKey key;
  const char* end = name.data() + name.size();
  const char* rest = std::from_chars(name.data(), end, key.seconds).ptr;
  if (rest != end && *rest == '.') {
    std::string_view middle{rest + 1, end};
    middle = middle.substr(0, middle.find('.'));
    const std::size_t micros = middle.find('M');
    if (micros != middle.npos) std::from_chars(middle.data() + micros + 1, end, key.micros);
  } else {
    key.seconds = 0;
  }
  key.hash = mixed(hash_of(name, hash_of("/", hash_of(folder, 14695981039346656037ULL))));
  return key;
}

bool SeenMails::load(std::string_view cursor) {
  known_.clear();
  open_.clear();
  loaded_.clear();
  loaded_open_.clear();
  if (cursor.empty()) return true;
  const bool with_open = cursor.starts_with(kVersionWithOpen);
  if (!with_open && !cursor.starts_with(kVersion)) return false;
  cursor.remove_prefix(kVersion.size());
  if (with_open) {
    const std::size_t count = cursor.empty() ? 0 : take_number(cursor, 1);
    if (count == 0 || cursor.size() < count * kHashBytes) return false;
    while (loaded_open_.size() < count) loaded_open_.push_back(take_number(cursor, kHashBytes));
  }
  if (cursor.size() % kRangeBytes != 0) return false;
  while (!cursor.empty()) {
    Range range{};
    range.last.seconds = static_cast<std::uint32_t>(take_number(cursor, 4));
    range.last.micros = static_cast<std::uint32_t>(take_number(cursor, 4));
    range.last.hash = take_number(cursor, 8);
    range.sum = take_number(cursor, 8);
    if (!loaded_.empty() && !(loaded_.back().last < range.last)) return false;
    loaded_.push_back(range);
  }
  return true;
}

std::string SeenMails::cursor() const {
  std::string out{open_.empty() ? kVersion : kVersionWithOpen};
  if (!open_.empty()) append_number(out, open_.size(), 1);
  for (const std::uint64_t hash : open_) append_number(out, hash, kHashBytes);
  const std::size_t newest = std::min(known_.size(), kNewest * kNewestLength);
  const std::size_t older = known_.size() - newest;
  const std::size_t older_length = std::max<std::size_t>(1, (older + kOlder - 1) / kOlder);
  for (std::size_t begin = 0; begin < known_.size();) {
    const bool is_old = begin < older;
    const std::size_t end = is_old ? std::min(begin + older_length, older)
                                   : std::min(begin + kNewestLength, known_.size());
    std::uint64_t sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += known_[i].hash;
    const MailKey& last = known_[end - 1];
    append_number(out, last.seconds, 4);
    append_number(out, last.micros, 4);
    append_number(out, last.hash, 8);
    append_number(out, sum, 8);
    begin = end;
  }
  return out;
}

void SeenMails::present(std::vector<MailKey> keys) {
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::vector<MailKey> known;
  if (loaded_.empty()) {
    std::set_intersection(known_.begin(), known_.end(), keys.begin(), keys.end(),
                          std::back_inserter(known));
  }
  auto begin = keys.begin();
  for (const Range& range : loaded_) {
    const auto end = std::upper_bound(begin, keys.end(), range.last);
    std::uint64_t sum = 0;
    for (auto key = begin; key != end; ++key) sum += key->hash;
    if (sum == range.sum) known.insert(known.end(), begin, end);
    begin = end;
  }
  std::erase_if(known, [&](const MailKey& key) {
    return std::find(loaded_open_.begin(), loaded_open_.end(), key.hash) != loaded_open_.end();
  });
  loaded_.clear();
  loaded_open_.clear();
  known_ = std::move(known);
}

bool SeenMails::contains(const MailKey& key) const {
  return std::binary_search(known_.begin(), known_.end(), key);
}

void SeenMails::add(const MailKey& key, bool open) {
  const auto place = std::lower_bound(known_.begin(), known_.end(), key);
  if (place == known_.end() || *place != key) known_.insert(place, key);
  close(key);
  if (!open) return;
  if (open_.size() == kMostOpen) open_.erase(open_.begin());
  open_.push_back(key.hash);
}

void SeenMails::close(const MailKey& key) { std::erase(open_, key.hash); }

void SeenMails::remove(const MailKey& key) {
  close(key);
  const auto place = std::lower_bound(known_.begin(), known_.end(), key);
  if (place != known_.end() && *place == key) known_.erase(place);
}

}  // namespace voxbus::email
