// SPDX-License-Identifier: Apache-2.0
// The four primitives we seal and name things with, over OpenSSL: SHA-256, HMAC-SHA-256,
// AES-256-GCM and random bytes. Objects keep their OpenSSL context and are used by one thread at a
// time; free functions may be called from any.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct SHA256state_st;
struct evp_cipher_ctx_st;

namespace voxbus {

using Digest = std::array<unsigned char, 32>;
// 128 bits of a keyed hash: enough that two never meet, small enough to index by the hundred
// million.
using Mac = std::array<unsigned char, 16>;

[[nodiscard]] inline std::string_view as_text(const auto& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class Sha256 {
 public:
  Sha256();
  ~Sha256();  // leaves nothing of what it hashed in memory
  Sha256(const Sha256&) = default;
  Sha256& operator=(const Sha256&) = default;

  Sha256& add(std::string_view bytes);
  // Adds the length first, so that neighbouring fields cannot run into each other.
  Sha256& add_field(std::string_view bytes);
  Sha256& add_number(std::uint64_t number);
  // The digest of all that was added; the object then starts afresh.
  [[nodiscard]] Digest finish();

 private:
  SHA256state_st* state();
  // A state of OpenSSL's low-level functions: hashing by EVP costs more in bookkeeping than the
  // short texts here take to hash (a row's hashes and seals took 4.4 us by EVP, 3.1 us so).
  alignas(8) std::array<unsigned char, 112> state_;
};

[[nodiscard]] Digest sha256(std::string_view bytes);

// HMAC-SHA-256 under one key, its inner and outer states computed once: a call costs two
// compressions beyond the message. One thread at a time.
class Hmac {
 public:
  explicit Hmac(std::string_view key);

  Hmac& add_field(std::string_view bytes);  // length first, as in Sha256
  Hmac& add_number(std::uint64_t number);
  [[nodiscard]] Digest finish();
  [[nodiscard]] Mac finish_short();  // the first 128 bits

 private:
  Sha256 inner_, outer_, working_;
};

inline constexpr std::size_t kKeySize = 32;
inline constexpr std::size_t kNonceSize = 12;
inline constexpr std::size_t kTagSize = 16;
using Key = std::array<unsigned char, kKeySize>;

// AES-256-GCM. What it seals is nonce (random, 12 bytes) + cipher text + tag (16 bytes).
class Aead {
 public:
  Aead();
  ~Aead();
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  // `bound` is authenticated and not stored: the place where the text belongs.
  [[nodiscard]] std::string seal(const Key& key, std::string_view bound, std::string_view text);
  // Nothing when key, place or bytes are not what was sealed.
  [[nodiscard]] std::optional<std::string> open(const Key& key, std::string_view bound,
                                                std::string_view sealed);

 private:
  void next_nonce(unsigned char* out);

  evp_cipher_ctx_st* sealing_;
  evp_cipher_ctx_st* opening_;
  std::array<unsigned char, 256 * kNonceSize> nonces_;  // random, fetched many at a time
  std::size_t used_nonces_ = nonces_.size();
};

// From the kernel's generator by way of OpenSSL; aborts when there is none.
void random_bytes(unsigned char* out, std::size_t size);
[[nodiscard]] std::string random_token(std::size_t bytes);  // lower-case hex
[[nodiscard]] Key random_key();
// HKDF-SHA-256: a key for one purpose from a master secret.
[[nodiscard]] Key derive_key(std::string_view secret, std::string_view purpose);
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace voxbus
