// SPDX-License-Identifier: Apache-2.0
// Any text is split into new and quoted words, and what is new of it has no quotes but new words.

#include "words_check.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace voxbus::kit::mail;
  const std::string_view text = bytes_of(data, size);
  const NewAndQuoted split = split_quotes(plain_lines(text));
  check_split(split);
  std::size_t words = split.text.size() + split.signature.size();
  for (const QuotedBlock& block : split.blocks) words += block.quoted.text.size();
  demand(words <= 2 * size + 2 * split.blocks.size() + 2, "nothing that was not in it");
  return 0;
}
