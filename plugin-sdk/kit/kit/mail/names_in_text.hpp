// SPDX-License-Identifier: Apache-2.0
//
// Names and addresses in running text: the words by which a person or a program says whose a quote
// is. Pure; any bytes, which should be UTF-8; linear for texts of the length that attributions
// have.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace voxbus::kit::mail {

struct Token {
  std::string_view text;  // with its punctuation
  std::size_t at = 0;
  bool ends_clause = false;  // a comma follows
};

// At most kMostTokens, parted by blanks and wide commas.
inline constexpr std::size_t kMostTokens = 64;
std::vector<Token> tokens_of(std::string_view text);
// The token in lower case without quotes, brackets, commas around it.
std::string bare(std::string_view token);
bool has_digit(std::string_view text);
// "van", "de": inside a name, where one stands before it.
bool is_particle(std::string_view word);
bool is_capital(std::string_view token);

// "has", "the following": beside a verb; a capital is a name's.
bool is_around_verb(const Token& token);

struct Address {
  std::size_t begin = 0;  // with its bracket
  std::size_t end = 0;
  std::string_view text;
};

// The last address; archives that cut them ("name...@host") are understood.
std::optional<Address> last_address(std::string_view text);

// The name without quotes, brackets and marks around it.
std::string unquoted(std::string_view name);
// The name that ends before token `end`, from behind; and the one that begins with token `begin`.
std::string name_before(std::string_view text, const std::vector<Token>& tokens, std::size_t end);
std::string name_from(std::string_view text, const std::vector<Token>& tokens, std::size_t begin);
// The name of a mailbox as headers write it, else its address.
std::string shown_name(std::string_view mailbox);

}  // namespace voxbus::kit::mail
