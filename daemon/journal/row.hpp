// SPDX-License-Identifier: Apache-2.0
// One row of the journal: its header, which nothing personal enters in clear, and its sealed parts.
// Plain values.
//
// Every row stands for itself and in the chain. Its seals bind the whole header, so that a row is
// proved by its own key alone; and chain(n) = SHA-256(chain(n-1), header, body hash, evidence
// hash), so that rows whose body was dropped or erased are still proved, and a missing one shows.
// Hashes are of the sealed bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.hpp"
#include "base/time.hpp"
#include "model/event.hpp"

namespace voxbus::journal {

using KeyId = std::uint32_t;  // a slot of the key file; 0 is the system's own key
inline constexpr KeyId kSystemKey = 0;

// Bits of Header::flags. The first three are the state of the native id after this row.
inline constexpr std::uint8_t kWithdrawn = 1;    // deleted upstream
inline constexpr std::uint8_t kQuarantined = 2;  // could not be read
inline constexpr std::uint8_t kReceived = 4;     // some revision of it was an interaction
inline constexpr std::uint8_t kHistoric = 8;
inline constexpr std::uint8_t kRare = 16;            // found by the index over types
inline constexpr std::uint8_t kFirstOfMessage = 32;  // the first to carry its body's message id
inline constexpr std::uint8_t kStateFlags = kWithdrawn | kQuarantined | kReceived;

inline constexpr std::uint8_t kPlain = 0;  // codecs: what was sealed
inline constexpr std::uint8_t kZstd = 1;
inline constexpr std::uint8_t kZstdDictionary = 2;  // a body, with body_dictionary()

struct Header {
  model::Position position = 0;
  std::string_view type;    // belongs to the table of names
  std::string_view source;  // likewise
  std::int64_t recorded = 0;
  KeyId key = kSystemKey;
  std::uint8_t codec = kPlain;  // of the body
  std::uint8_t flags = 0;
  std::uint32_t revision = 0;
  std::optional<std::uint64_t> version;
  Mac id{};
  Mac native{};               // keyed hash of source and native id
  Mac content{};              // keyed hash of the item's digest
  std::optional<Mac> author;  // keyed hash of the handle
  std::optional<Mac> partition;
};

struct Row {
  Header header;
  std::int64_t type_id = 0, source_id = 0;  // in the table of names
  std::string body;                         // sealed
  Digest body_hash{};
  std::optional<std::string> evidence;  // sealed
  std::uint8_t evidence_codec = kPlain;
  std::optional<Digest> evidence_hash;
  Digest chain{};

  [[nodiscard]] std::size_t weight() const {
    return sizeof(Row) + body.size() + (evidence ? evidence->size() : 0);
  }
};

// The header as it enters seals and chain: every field, each with its length or presence.
void append_canonical(std::string& out, const Header& header);
[[nodiscard]] Digest chain_after(Sha256& hash, const Digest& before, std::string_view canonical,
                                 const Digest& body_hash, const std::optional<Digest>& evidence);

}  // namespace voxbus::journal
