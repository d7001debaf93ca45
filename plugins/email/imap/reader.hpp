// SPDX-License-Identifier: Apache-2.0
//
// What an IMAP server sends, bytes in and responses out, without I/O (RFC 3501 and 9051). It never
// trusts: every length has a limit, and what breaks the grammar is an error after which the
// connection is of no use. Time is linear in the bytes. Owned by one session, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "voxbus/result.hpp"

namespace voxbus::email::imap {

// A value of a response.
struct Value {
  enum class Kind { kNil, kAtom, kString, kList };
  Kind kind = Kind::kNil;
  std::string text;  // of an atom (and of NIL, which may be a mailbox) as it was sent, of a string
                     // its content
  std::vector<Value> items;

  bool is_list() const { return kind == Kind::kList; }
  // Whether it is this atom, in any case.
  bool is_atom(std::string_view word) const;
  // Digits alone, up to 2^64 - 1.
  std::optional<std::uint64_t> number() const;
  // The same up to 2^32 - 1; 0 for anything else: no UID and no UIDVALIDITY is 0.
  std::uint32_t number32() const;
};

struct Response {
  enum class Kind { kContinuation, kTagged, kUntagged };
  Kind kind = Kind::kUntagged;
  std::string tag;
  std::optional<std::uint64_t> number;  // 5 of "* 5 FETCH"
  std::string name;                     // OK, NO, BAD, BYE, PREAUTH, FETCH, EXISTS, ... in capitals
  std::string code;                     // UIDVALIDITY of "[UIDVALIDITY 5]", in capitals
  std::vector<Value> values;            // of the data, or what follows the code
  std::string text;                     // words for a person, or a continuation's payload

  bool is_status() const;  // OK, NO, BAD, BYE, PREAUTH
};

struct Limits {
  std::size_t literal = std::size_t{33} << 20;   // bytes of one
  std::size_t response = std::size_t{40} << 20;  // bytes of one response with its literals
  std::size_t line = std::size_t{2} << 20;       // bytes without literals
  std::size_t depth = 32;                        // of lists in lists
  std::size_t values = 120'000;                  // of one response
};

class Reader {
 public:
  explicit Reader(Limits limits = {}) : limits_{limits} {}

  // From the next response on.
  void set_limits(const Limits& limits) { limits_ = limits; }

  void feed(std::string_view bytes);
  // The next whole response; nothing while bytes are missing.
  Result<std::optional<Response>> next();
  // Whether bytes are there that next() has not given.
  bool has_bytes() const { return begin_ < bytes_.size(); }
  // Memory that is held for bytes to come.
  std::size_t held() const { return bytes_.capacity(); }

 private:
  Result<bool> find_end();

  Limits limits_;
  std::string bytes_;
  std::size_t begin_ = 0;       // of the response at hand
  std::size_t scanned_ = 0;     // behind it, no end was found up to here
  std::size_t line_begin_ = 0;  // of its line at hand
  std::size_t line_bytes_ = 0;  // of its lines so far
  std::size_t end_ = 0;         // behind its last line break, once it is whole
};

}  // namespace voxbus::email::imap
