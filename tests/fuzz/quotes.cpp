// SPDX-License-Identifier: Apache-2.0
//
// Any text is split into new and quoted words: nothing is added, every byte goes to one place at
// most, and new words, signatures and quoted blocks keep their order.

#include <array>

#include "words_check.hpp"

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

// Whether the words stand in the text behind `at` in this order, with others between them; moves
// on.
bool in_order(std::string_view words, std::string_view text, std::size_t& at) {
  for (const char c : words) {
    if (is_blank(c)) continue;
    at = text.find(c, at);
    if (at == text.npos) return false;
    ++at;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace voxbus::kit::mail;
  const std::string_view text = bytes_of(data, size);
  const NewAndQuoted split = split_quotes(plain_lines(text));
  check_split(split);
  std::array<std::size_t, 256> left{};  // of each byte, for words that nobody has taken
  for (const char c : text) ++left[static_cast<unsigned char>(c)];
  const auto take = [&](std::string_view words, std::size_t& at) {
    demand(in_order(words, text, at), "words in their order");
    for (const char c : words) {
      if (!is_blank(c)) demand(left[static_cast<unsigned char>(c)]-- > 0, "no word twice");
    }
  };
  std::size_t in_text = 0;
  std::size_t in_signature = 0;
  std::size_t in_blocks = 0;
  take(split.text, in_text);
  take(split.signature, in_signature);
  for (const QuotedBlock& block : split.blocks) take(block.quoted.text, in_blocks);
  return 0;
}
