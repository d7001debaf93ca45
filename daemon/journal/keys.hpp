// SPDX-License-Identifier: Apache-2.0
// The key file: one key per author handle, each in a slot of its own, so that erasing a customer is
// overwriting slots. Owned by the journal; reading is for any thread, making blocks for one thread.
//
// File `keys`: two copies of the header, at 0 and 2048, then from 4096 on slots of 64 bytes, key 1
// first. A header is "VXKEYS01", u32 format (1), u32 slots in a block, the installation secret
// sealed by the master key (60 bytes), and the first four bytes of the SHA-256 of all that. A slot
// is a key sealed by the master key and bound to its number (12 nonce, 32 text, 16 tag), and the
// first four bytes of the SHA-256 of number and those 60. 60 zero bytes and "GONE": erased for
// ever.
//   Slots are made in blocks, written and synced before the first of them is used, so a torn block
// at the end was never used and is cut off. Which slots are used, the journal's rows say.
// Key 0, the system's, is derived from the secret and has no slot: it seals what has no author and
// is never erased. The secret also gives the keys of all keyed hashes.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/crypto.hpp"
#include "base/posix.hpp"
#include "base/result.hpp"
#include "journal/row.hpp"

namespace voxbus::journal {

enum class KeyState { usable, erased, damaged, missing };

class Keys {
 public:
  static constexpr KeyId kBlockSlots = 1024;

  // Makes the file and its first block; fails when one is there already.
  [[nodiscard]] static Status create(const std::filesystem::path& file, const Key& master);
  // `writable`: cuts a torn block off and can make and erase.
  [[nodiscard]] static Result<std::unique_ptr<Keys>> open(const std::filesystem::path& file,
                                                          const Key& master, bool writable);

  [[nodiscard]] Key purpose(std::string_view name) const;  // for one kind of keyed hash
  [[nodiscard]] const Key& system() const { return system_; }
  // Slots that are made and durable.
  [[nodiscard]] KeyId made() const { return made_.load(std::memory_order_acquire); }
  // Adds a block and syncs it. One thread only.
  [[nodiscard]] Status make_block();

  // Reads and unwraps. `aead` is the caller's own.
  [[nodiscard]] KeyState read(KeyId id, Aead& aead, Key& out) const;
  // Overwrites the slot and syncs: what was sealed under it cannot be read again by anybody.
  [[nodiscard]] Status erase(KeyId id);
  // Grows with each erasure, so that caches know.
  [[nodiscard]] std::uint64_t erasures() const { return erasures_.load(std::memory_order_acquire); }

 private:
  Keys() = default;
  std::filesystem::path path_;
  FileDescriptor file_;
  Key wrap_{};
  Key system_{};
  std::string secret_;
  std::atomic<KeyId> made_{0};
  std::atomic<std::uint64_t> erasures_{0};
};

// Keys lately used, unwrapped; at most so many (some 80 bytes each). One per thread.
class KeyRing {
 public:
  explicit KeyRing(const Keys& keys, std::size_t most = 4096) : keys_(keys), most_(most) {}
  [[nodiscard]] KeyState get(KeyId id, Key& out);

 private:
  struct Entry {
    KeyState state;
    Key key;
  };
  const Keys& keys_;
  std::size_t most_;
  Aead aead_;
  std::uint64_t erasures_ = 0;
  std::unordered_map<KeyId, Entry> entries_;
};

// The master key: given, or from `file`, where it is made when `create` allows it.
[[nodiscard]] Result<Key> master_key(const std::optional<Key>& given,
                                     const std::filesystem::path& file, bool create);

}  // namespace voxbus::journal
