// SPDX-License-Identifier: Apache-2.0
// Compresses and seals what a row carries, and opens it again. Contexts are kept between calls; one
// object per thread.
//
// What is sealed under the row's key is the text, or its zstd frame where that is shorter (codec 2
// for bodies, which have a dictionary, and 1 for evidence; bodies of the first rows have it as
// well). Bound to it, and so proved by it: 'B' + the canonical header for a body, 'E' + the
// evidence's codec + the canonical header for evidence, 'C' + name, plugin and origin for a cursor.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.hpp"
#include "journal/row.hpp"
#include "model/item.hpp"

struct ZSTD_CCtx_s;
struct ZSTD_CDict_s;
struct ZSTD_DCtx_s;
struct ZSTD_DDict_s;

namespace voxbus::journal {

class Sealer {
 public:
  Sealer();
  ~Sealer();
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  // Fills codec, body, evidence, hashes and chain of a row whose other header fields are final.
  // Empty evidence is none. `before` is the chain of the row before.
  void seal(Row& row, const Key& key, std::string_view body, std::string_view evidence,
            const Digest& before);
  [[nodiscard]] std::string seal_cursor(const Key& key, const model::ChannelIdentity& channel,
                                        std::string_view cursor);

 private:
  std::string_view pack(std::string_view text, const ZSTD_CDict_s* dictionary, std::uint8_t& codec);

  Aead aead_;
  Sha256 hash_;
  ZSTD_CCtx_s* compressor_;
  ZSTD_CDict_s* dictionary_;
  std::string packed_;  // kept for its capacity
  std::string bound_;
};

class Opener {
 public:
  Opener();
  ~Opener();
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  // Nothing when anything was altered: key, header or bytes.
  [[nodiscard]] std::optional<std::string> body(const Key& key, const Header& header,
                                                std::string_view sealed);
  [[nodiscard]] std::optional<std::string> evidence(const Key& key, const Header& header,
                                                    std::uint8_t codec, std::string_view sealed);
  [[nodiscard]] std::optional<std::string> cursor(const Key& key,
                                                  const model::ChannelIdentity& channel,
                                                  std::string_view sealed);

 private:
  std::optional<std::string> unpack(std::optional<std::string> text, std::uint8_t codec);

  Aead aead_;
  ZSTD_DCtx_s* decompressor_;
  ZSTD_DDict_s* dictionary_;
  std::string bound_;
};

}  // namespace voxbus::journal
