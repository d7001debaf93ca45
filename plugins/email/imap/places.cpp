// SPDX-License-Identifier: Apache-2.0
#include "imap/places.hpp"

#include <charconv>

#include "kit/sha256.hpp"

namespace voxbus::email::imap {
namespace {

constexpr std::string_view kCursorVersion = "i1";

}  // namespace

std::string place_key(const std::string& mailbox) { return kit::sha256_hex(mailbox).substr(0, 16); }

std::string Places::cursor() const {
  std::string out{kCursorVersion};
  for (const auto& [key, place] : places_) {
    if (place.validity == 0) continue;
    out += ' ' + key + ' ' + std::to_string(place.validity) + ' ' + std::to_string(place.next);
  }
  return out;
}

bool Places::is_empty(std::string_view cursor) {
  return cursor.empty() || cursor == kCursorVersion;
}

bool Places::load(std::string_view cursor) {
  places_.clear();
  if (cursor.empty()) return true;
  if (!cursor.starts_with(kCursorVersion)) return false;
  cursor.remove_prefix(kCursorVersion.size());
  while (!cursor.empty()) {
    if (cursor.size() < 18 || cursor[0] != ' ' || cursor[17] != ' ') return false;
    Place& place = places_[std::string{cursor.substr(1, 16)}];
    cursor.remove_prefix(17);
    const auto take = [&](auto& number) {
      if (!cursor.starts_with(' ')) return false;
      const auto [end, error] =
          std::from_chars(cursor.data() + 1, cursor.data() + cursor.size(), number);
      if (error != std::errc{}) return false;
      cursor.remove_prefix(static_cast<std::size_t>(end - cursor.data()));
      return true;
    };
    if (!take(place.validity) || !take(place.next) || place.next > kLastUid + 1) return false;
  }
  return true;
}

Place& Places::of(const std::string& mailbox) { return places_[place_key(mailbox)]; }

void Places::keep_only(const std::vector<std::string>& mailboxes) {
  std::map<std::string, Place> kept;
  for (const std::string& mailbox : mailboxes) kept[place_key(mailbox)] = of(mailbox);
  places_ = std::move(kept);
}

}  // namespace voxbus::email::imap
