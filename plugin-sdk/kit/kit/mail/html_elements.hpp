// SPDX-License-Identifier: Apache-2.0
//
// What HTML's elements and styles mean to a reader of mail: which are lines, which are quotes,
// which are not to be seen. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace voxbus::kit::mail {

enum class Tag : std::uint8_t {
  kOther,
  kBlock,
  kSpaced,
  kBreak,
  kRule,
  kItem,
  kCell,
  kRow,
  kLink,
  kImage,
  kPre,
  kQuote,
  kUnseen,
  kOrdered,
  kUnordered,
  kParagraph,
  kDiv,
  kBody
};

// Of a name in any case; kOther for whatever has no meaning of its own.
Tag tag_of(std::string_view name);
// Has no closing tag and nothing inside.
bool is_void(std::string_view name);

// The attribute `style` without its blanks, in lower case, to be searched.
std::string compact_style(std::string_view attributes);
// Whether such a style has this declaration: "display:none".
bool declares(const std::string& style, std::string_view declaration);
// Whether the property ("opacity:") is 0, 0px, 0.0em.
bool is_nothing(const std::string& style, std::string_view property);
// The value that counts of a property ("display"): the last one, unless another is important. Empty
// when the style does not set it.
std::string_view value_of(std::string_view style, std::string_view property);

// Whether neither the element nor anything inside it can be seen, whatever that says of itself.
bool is_gone(std::string_view attributes, const std::string& style);
// What elements inherit and may change: letters without size, letters that are not painted.
struct Unseen {
  bool tiny = false;
  bool veiled = false;
  bool any() const { return tiny || veiled; }
  friend bool operator==(const Unseen&, const Unseen&) = default;
};
// Of an element inside one that has `outer`. `sheets`: the mail has style sheets, which are not
// read: where a class may have given letters their size back, they have it.
Unseen unseen_within(Unseen outer, std::string_view name, std::string_view attributes,
                     const std::string& style, bool sheets);
// Whether one of the blank-separated classes is this one.
bool has_class(const std::string& classes, std::string_view one);

}  // namespace voxbus::kit::mail
