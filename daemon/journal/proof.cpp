// SPDX-License-Identifier: Apache-2.0
#include "journal/proof.hpp"

namespace voxbus::journal {

Seal Prover::seal(const Row& row) {
  if (row.body.empty()) return Seal::dropped;
  if (hash_.add(row.body).finish() != row.body_hash) return Seal::altered;
  Key key;
  switch (ring_.get(row.header.key, key)) {
    case KeyState::erased:
      return Seal::erased;
    case KeyState::damaged:
    case KeyState::missing:
      return Seal::key_damaged;
    case KeyState::usable:
      break;
  }
  return opener_.body(key, row.header, row.body) ? Seal::proved : Seal::altered;
}

Digest Prover::chain_of(const Row& row, const Digest& before) {
  canonical_.clear();
  append_canonical(canonical_, row.header);
  return chain_after(hash_, before, canonical_, row.body_hash, row.evidence_hash);
}

bool Prover::chained(const Row& row, const Digest& before) {
  return chain_of(row, before) == row.chain;
}

bool Prover::evidence_fits(const Row& row, std::string_view sealed) {
  return row.evidence_hash && hash_.add(sealed).finish() == *row.evidence_hash;
}

bool Prover::cursor_opens(const Keys& keys, const model::ChannelIdentity& channel,
                          std::string_view sealed) {
  return sealed.empty() || opener_.cursor(keys.system(), channel, sealed).has_value();
}

}  // namespace voxbus::journal
