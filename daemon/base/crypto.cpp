// SPDX-License-Identifier: Apache-2.0
// The low-level SHA-256 is called deprecated and is what the EVP one calls; see Sha256::state_.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/crypto.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstdlib>
#include <cstring>

#include "base/text.hpp"

namespace voxbus {

static_assert(sizeof(SHA256_CTX) == 112 && alignof(SHA256_CTX) <= 8, "see Sha256::state_");

namespace {

// OpenSSL fails here only when it is broken or out of memory; going on would store unsealed or
// misnamed rows, so the process ends.
void must(int ok) {
  if (ok != 1) std::abort();
}

// Fetched once: looking an algorithm up by name costs more than sealing a kilobyte.
const EVP_CIPHER* gcm_algorithm() {
  static const EVP_CIPHER* const algorithm = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return algorithm;
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

Sha256::Sha256() { must(SHA256_Init(state())); }
Sha256::~Sha256() { OPENSSL_cleanse(state_.data(), state_.size()); }
SHA256state_st* Sha256::state() { return reinterpret_cast<SHA256_CTX*>(state_.data()); }

Sha256& Sha256::add(std::string_view bytes) {
  must(SHA256_Update(state(), bytes.data(), bytes.size()));
  return *this;
}
Sha256& Sha256::add_field(std::string_view bytes) { return add_number(bytes.size()).add(bytes); }
Sha256& Sha256::add_number(std::uint64_t number) {
  unsigned char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(number >> (8 * i));
  must(SHA256_Update(state(), bytes, sizeof bytes));
  return *this;
}
Digest Sha256::finish() {
  Digest digest;
  must(SHA256_Final(digest.data(), state()));
  must(SHA256_Init(state()));
  return digest;
}

Digest sha256(std::string_view bytes) { return Sha256().add(bytes).finish(); }

Hmac::Hmac(std::string_view key) {
  std::array<unsigned char, 64> block{};
  if (key.size() > block.size()) {
    const auto digest = sha256(key);
    std::memcpy(block.data(), digest.data(), digest.size());
  } else if (!key.empty()) {
    std::memcpy(block.data(), key.data(), key.size());
  }
  auto inner_pad = block, outer_pad = block;
  for (auto& byte : inner_pad) byte ^= 0x36;
  for (auto& byte : outer_pad) byte ^= 0x5c;
  inner_.add(as_text(inner_pad));
  outer_.add(as_text(outer_pad));
  working_ = inner_;
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(inner_pad.data(), inner_pad.size());
  OPENSSL_cleanse(outer_pad.data(), outer_pad.size());
}

Hmac& Hmac::add_field(std::string_view bytes) {
  working_.add_field(bytes);
  return *this;
}
Hmac& Hmac::add_number(std::uint64_t number) {
  working_.add_number(number);
  return *this;
}
Digest Hmac::finish() {
  const auto inside = working_.finish();
  working_ = outer_;
  const auto digest = working_.add(as_text(inside)).finish();
  working_ = inner_;
  return digest;
}
Mac Hmac::finish_short() {
  const auto digest = finish();
  Mac mac;
  std::memcpy(mac.data(), digest.data(), mac.size());
  return mac;
}

Aead::Aead() : sealing_(EVP_CIPHER_CTX_new()), opening_(EVP_CIPHER_CTX_new()) {
  must(EVP_EncryptInit_ex2(sealing_, gcm_algorithm(), nullptr, nullptr, nullptr));
  must(EVP_DecryptInit_ex2(opening_, gcm_algorithm(), nullptr, nullptr, nullptr));
}
Aead::~Aead() {
  EVP_CIPHER_CTX_free(sealing_);
  EVP_CIPHER_CTX_free(opening_);
}

void Aead::next_nonce(unsigned char* out) {
  if (used_nonces_ == nonces_.size()) {
    random_bytes(nonces_.data(), nonces_.size());
    used_nonces_ = 0;
  }
  std::memcpy(out, nonces_.data() + used_nonces_, kNonceSize);
  used_nonces_ += kNonceSize;
}

std::string Aead::seal(const Key& key, std::string_view bound, std::string_view text) {
  std::string out(kNonceSize + text.size() + kTagSize, '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  next_nonce(bytes);
  int length = 0;
  must(EVP_EncryptInit_ex2(sealing_, nullptr, key.data(), bytes, nullptr));
  must(EVP_EncryptUpdate(sealing_, nullptr, &length, bytes_of(bound),
                         static_cast<int>(bound.size())));
  must(EVP_EncryptUpdate(sealing_, bytes + kNonceSize, &length, bytes_of(text),
                         static_cast<int>(text.size())));
  must(EVP_EncryptFinal_ex(sealing_, bytes + kNonceSize + text.size(), &length));
  must(EVP_CIPHER_CTX_ctrl(sealing_, EVP_CTRL_GCM_GET_TAG, kTagSize,
                           bytes + kNonceSize + text.size()));
  return out;
}

std::optional<std::string> Aead::open(const Key& key, std::string_view bound,
                                      std::string_view sealed) {
  if (sealed.size() < kNonceSize + kTagSize) return std::nullopt;
  const std::size_t size = sealed.size() - kNonceSize - kTagSize;
  std::string out(size, '\0');
  std::array<unsigned char, kTagSize> tag;
  std::memcpy(tag.data(), sealed.data() + kNonceSize + size, kTagSize);
  int length = 0;
  must(EVP_DecryptInit_ex2(opening_, nullptr, key.data(), bytes_of(sealed), nullptr));
  must(EVP_DecryptUpdate(opening_, nullptr, &length, bytes_of(bound),
                         static_cast<int>(bound.size())));
  must(EVP_DecryptUpdate(opening_, reinterpret_cast<unsigned char*>(out.data()), &length,
                         bytes_of(sealed) + kNonceSize, static_cast<int>(size)));
  must(EVP_CIPHER_CTX_ctrl(opening_, EVP_CTRL_GCM_SET_TAG, kTagSize, tag.data()));
  unsigned char rest[16];
  if (EVP_DecryptFinal_ex(opening_, rest, &length) != 1) return std::nullopt;
  return out;
}

void random_bytes(unsigned char* out, std::size_t size) {
  must(RAND_bytes(out, static_cast<int>(size)));
}
std::string random_token(std::size_t bytes) {
  std::string raw(bytes, '\0');
  random_bytes(reinterpret_cast<unsigned char*>(raw.data()), bytes);
  return to_hex(raw);
}
Key random_key() {
  Key key;
  random_bytes(key.data(), key.size());
  return key;
}

Key derive_key(std::string_view secret, std::string_view purpose) {
  // HKDF (RFC 5869) with an empty salt and one block of output is two HMACs.
  const auto pseudorandom = [&] {
    unsigned char out[32];
    unsigned length = 0;
    const unsigned char salt[32] = {};
    HMAC(EVP_sha256(), salt, sizeof salt, bytes_of(secret), secret.size(), out, &length);
    return std::string(reinterpret_cast<char*>(out), sizeof out);
  }();
  const std::string expanded = std::string(purpose) + '\x01';
  Key key;
  unsigned length = 0;
  HMAC(EVP_sha256(), pseudorandom.data(), static_cast<int>(pseudorandom.size()), bytes_of(expanded),
       expanded.size(), key.data(), &length);
  return key;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace voxbus
