// SPDX-License-Identifier: Apache-2.0
// Whether a row is what was written: by its seal, which stands for itself, and by the chain, which
// also proves rows whose body is gone. Used at start, by the salvage and by verify; one per thread.
#pragma once

#include <optional>
#include <string_view>

#include "journal/keys.hpp"
#include "journal/row.hpp"
#include "journal/sealer.hpp"

namespace voxbus::journal {

enum class Seal {
  proved,       // the body opens: every field of the header and the body are what was sealed
  dropped,      // no body any more: only the chain can tell
  erased,       // its key was erased: likewise
  key_damaged,  // its key is damaged or missing: likewise
  altered,      // something is not what was written
};

class Prover {
 public:
  explicit Prover(const Keys& keys) : ring_(keys) {}

  [[nodiscard]] Seal seal(const Row& row);
  [[nodiscard]] bool chained(const Row& row, const Digest& before);
  // Whether the sealed evidence is the row's.
  [[nodiscard]] bool evidence_fits(const Row& row, std::string_view sealed);
  // Opens as well, where the key still can.
  [[nodiscard]] bool cursor_opens(const Keys& keys, const model::ChannelIdentity& channel,
                                  std::string_view sealed);
  // The chain that the row should have.
  [[nodiscard]] Digest chain_of(const Row& row, const Digest& before);

 private:
  KeyRing ring_;
  Opener opener_;
  Sha256 hash_;
  std::string canonical_;
};

}  // namespace voxbus::journal
