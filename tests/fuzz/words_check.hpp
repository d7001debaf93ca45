// SPDX-License-Identifier: Apache-2.0
//
// What holds of every split of words, whatever came in.
#pragma once

#include "check.hpp"
#include "kit/mail/quotes.hpp"

inline void check_split(const voxbus::kit::mail::NewAndQuoted& split) {
  using namespace voxbus::kit::mail;
  demand(split.blocks.size() <= kMostBlocks, "a bounded number of blocks");
  demand(split.signature.size() <= kMostSignature, "a bounded signature");
  std::uint64_t before = 0;
  for (const QuotedBlock& block : split.blocks) {
    demand(block.quoted.depth >= 1 && block.quoted.depth <= kMostDepth, "a depth");
    demand(block.quoted.at && *block.quoted.at >= before, "places in order");
    demand(*block.quoted.at <= split.text.size(), "a place among the words");
    demand(!block.quoted.text.empty(), "a block with words");
    before = *block.quoted.at;
  }
}
