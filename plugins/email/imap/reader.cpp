// SPDX-License-Identifier: Apache-2.0
#include "imap/reader.hpp"

#include <algorithm>
#include <charconv>

#include "imap/names.hpp"

namespace voxbus::email::imap {
namespace {

constexpr std::size_t kKeep = 1 << 20;  // memory that stays for what comes next
constexpr std::size_t kRoom = 1 << 16;  // for what follows a literal, and the next read

std::optional<std::uint64_t> number_of(std::string_view digits) {
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value);
  if (digits.empty() || error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

Error broken(const std::string& how) {
  return Error::retry("the mail server breaks the IMAP protocol: " + how);
}

// The length that a literal at the end of this line announces; an error when it is no number that
// we could count to.
Result<std::optional<std::uint64_t>> literal_at_end(std::string_view line) {
  std::optional<std::uint64_t> none;
  if (!line.ends_with('}')) return none;
  const auto open = line.rfind('{');
  if (open == line.npos) return none;
  auto digits = line.substr(open + 1, line.size() - open - 2);
  if (digits.ends_with('+')) digits.remove_suffix(1);
  const bool all_digits = !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) {
    return c >= '0' && c <= '9';
  });
  if (!all_digits) return none;
  const auto size = number_of(digits);
  if (!size) return broken("a literal of " + std::string(digits.substr(0, 40)) + " bytes");
  return size;
}

bool begins_with_status(std::string_view response) {
  const auto beginning = response.substr(0, 64);
  const auto line = beginning.substr(0, beginning.find_first_of("\r\n"));
  if (line.starts_with('+')) return true;
  const auto space = line.find(' ');
  if (space == line.npos) return false;
  const auto word = capitals(line.substr(space + 1, 8));
  for (const std::string_view status : {"OK", "NO", "BAD", "BYE", "PREAUTH"}) {
    if (word.starts_with(status) && (word.size() == status.size() || word[status.size()] == ' '))
      return true;
  }
  return false;
}

// The values of one whole response.
class Parser {
 public:
  Parser(std::string_view bytes, const Limits& limits) : bytes_{bytes}, limits_{limits} {}

  bool at_end() const { return at_ >= bytes_.size(); }
  void skip_spaces() {
    while (!at_end() && bytes_[at_] == ' ') ++at_;
  }
  std::string_view rest() const { return bytes_.substr(std::min(at_, bytes_.size())); }
  std::string_view word() {
    const auto end = std::min(bytes_.find(' ', at_), bytes_.size());
    const auto found = bytes_.substr(at_, end - at_);
    at_ = std::min(end + 1, bytes_.size());
    return found;
  }

  // Until the end, or until a bracket closes.
  Result<std::vector<Value>> values(char close = 0) {
    std::vector<Value> out;
    for (skip_spaces(); !at_end(); skip_spaces()) {
      if (close != 0 && bytes_[at_] == close) {
        ++at_;
        return out;
      }
      auto one = value(0);
      if (!one) return one.error();
      out.push_back(std::move(*one));
    }
    if (close != 0) return broken("a bracket that is not closed");
    return out;
  }

 private:
  Result<Value> value(std::size_t depth) {
    if (++count_ > limits_.values) return broken("a response of too many values");
    if (depth > limits_.depth) return broken("lists that are nested too deep");
    const char c = bytes_[at_];
    if (c == '(') return list(depth);
    if (c == '"') return quoted();
    if (c == '{' || (c == '~' && bytes_.substr(at_ + 1).starts_with('{'))) return literal();
    return atom();
  }

  Result<Value> list(std::size_t depth) {
    Value out{Value::Kind::kList, {}, {}};
    for (++at_;;) {
      skip_spaces();
      if (at_end()) return broken("a list that is not closed");
      if (bytes_[at_] == ')') {
        ++at_;
        return out;
      }
      auto one = value(depth + 1);
      if (!one) return one.error();
      out.items.push_back(std::move(*one));
    }
  }

  Result<Value> quoted() {
    Value out{Value::Kind::kString, {}, {}};
    for (++at_; !at_end(); ++at_) {
      char c = bytes_[at_];
      if (c == '"') {
        ++at_;
        return out;
      }
      if (c == '\\' && at_ + 1 < bytes_.size()) c = bytes_[++at_];
      if (c == '\r' || c == '\n') break;
      out.text += c;
    }
    return broken("a quoted text that is not closed");
  }

  Result<Value> literal() {
    const auto end = bytes_.find('}', at_);
    const auto open = bytes_.find('{', at_);
    if (end == bytes_.npos) return broken("a literal without a length");
    auto digits = bytes_.substr(open + 1, end - open - 1);
    if (digits.ends_with('+')) digits.remove_suffix(1);
    const auto size = number_of(digits);
    auto begin = end + 1;
    if (bytes_.substr(begin).starts_with("\r\n"))
      begin += 2;
    else if (bytes_.substr(begin).starts_with('\n'))
      begin += 1;
    else
      return broken("a literal within a line");
    if (!size || *size > bytes_.size() - begin) return broken("a literal that is not there");
    at_ = begin + static_cast<std::size_t>(*size);
    return Value{Value::Kind::kString,
                 std::string(bytes_.substr(begin, static_cast<std::size_t>(*size))),
                 {}};
  }

  // The section of a body belongs to its name, spaces and parentheses included: BODY[HEADER.FIELDS
  // (X)]. Elsewhere brackets are letters like any other, as in a mailbox called "[old".
  Result<Value> atom() {
    const auto begin = at_;
    bool in_section = false;
    for (; !at_end(); ++at_) {
      const char c = bytes_[at_];
      if (c == '\r' || c == '\n') break;
      if (c == '[' && !in_section) in_section = has_section(bytes_.substr(begin, at_ - begin));
      if (c == ']') in_section = false;
      if (!in_section && (c == ' ' || c == '(' || c == ')' || c == '"')) break;
    }
    if (at_ == begin) return broken("a character where none may be");
    Value out{Value::Kind::kAtom, std::string(bytes_.substr(begin, at_ - begin)), {}};
    if (out.is_atom("NIL")) out.kind = Value::Kind::kNil;
    return out;
  }
  static bool has_section(std::string_view name) {
    if (name.size() > 11) return false;
    const auto word = capitals(name);
    return word == "BODY" || word == "BINARY" || word == "BINARY.SIZE";
  }

  std::string_view bytes_;
  const Limits& limits_;
  std::size_t at_ = 0;
  std::size_t count_ = 0;
};

// "[UIDVALIDITY 5] words", the bracket included or not there.
Result<void> read_status(Parser& parser, Response& response) {
  auto text = parser.rest();
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos) return broken("a response code that is not closed");
    const auto code = text.substr(1, close - 1);
    const auto space = code.find(' ');
    response.code = capitals(code.substr(0, space));
    if (space != code.npos) {
      // What follows a code is the server's own affair; only what can be read is of use.
      Limits few;
      Parser inner{code.substr(space + 1), few};
      if (auto values = inner.values()) response.values = std::move(*values);
    }
    text.remove_prefix(close + 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  response.text = text;
  return {};
}

Result<Response> parse(std::string_view bytes, const Limits& limits) {
  // One line break, no more: what stands before it may be the end of a literal.
  bytes.remove_suffix(1);
  if (bytes.ends_with('\r')) bytes.remove_suffix(1);
  Response response;
  Parser parser{bytes, limits};
  if (bytes.starts_with('+')) {
    response.kind = Response::Kind::kContinuation;
    response.text =
        bytes.substr(std::min<std::size_t>(bytes.size(), bytes.starts_with("+ ") ? 2 : 1));
    return response;
  }
  const auto tag = parser.word();
  if (tag.empty()) return broken("an empty line");
  if (tag != "*") {
    response.kind = Response::Kind::kTagged;
    response.tag = tag;
  }
  auto name = parser.word();
  if (response.kind == Response::Kind::kUntagged) {
    response.number = number_of(name);
    if (response.number) name = parser.word();
  }
  response.name = capitals(name);
  if (response.is_status()) {
    if (auto read = read_status(parser, response); !read) return read.error();
    return response;
  }
  if (response.kind == Response::Kind::kTagged) return broken("a tagged answer without a verdict");
  auto values = parser.values();
  if (!values) return values.error();
  response.values = std::move(*values);
  return response;
}

}  // namespace

bool Value::is_atom(std::string_view word) const {
  return kind == Kind::kAtom && text.size() == word.size() && capitals(text) == word;
}
std::optional<std::uint64_t> Value::number() const {
  if (kind != Kind::kAtom && kind != Kind::kString) return std::nullopt;
  return number_of(text);
}

std::uint32_t Value::number32() const {
  const auto value = number();
  return value && *value <= 0xFFFFFFFF ? static_cast<std::uint32_t>(*value) : 0;
}

bool Response::is_status() const {
  return !number &&
         (name == "OK" || name == "NO" || name == "BAD" || name == "BYE" || name == "PREAUTH");
}

void Reader::feed(std::string_view bytes) {
  if (begin_ > 0 && begin_ >= bytes_.size() / 2) {
    if (begin_ == bytes_.size() && bytes_.capacity() > kKeep) {
      std::string{}.swap(bytes_);  // one large mail is no reason to hold its memory for ever
    } else {
      bytes_.erase(0, begin_);
    }
    begin_ = 0;
  }
  bytes_ += bytes;
}

// Goes on where it stopped, so that no byte is looked at twice.
Result<bool> Reader::find_end() {
  for (;;) {
    const std::string_view response = std::string_view{bytes_}.substr(begin_);
    const auto at = response.find('\n', std::min(scanned_, response.size()));
    const auto line_end = std::min(at, response.size());
    const std::size_t of_line = line_end > line_begin_ ? line_end - line_begin_ : 0;
    if (line_bytes_ + of_line > limits_.line) return broken("a line that never ends");
    if (at == response.npos) {
      // Within a literal nothing is looked at before all of it is there.
      scanned_ = std::max(scanned_, response.size());
      return false;
    }
    auto line = response.substr(line_begin_, at - line_begin_);
    if (line.ends_with('\r')) line.remove_suffix(1);
    line_bytes_ += line.size();
    auto literal = begins_with_status(response)
                       ? Result<std::optional<std::uint64_t>>{std::optional<std::uint64_t>{}}
                       : literal_at_end(line);
    if (!literal) return literal.error();
    if (!*literal) {
      end_ = begin_ + at + 1;
      return true;
    }
    if (**literal > limits_.literal || at + **literal > limits_.response)
      return broken("a literal of " + std::to_string(**literal) + " bytes");
    line_begin_ = scanned_ = at + 1 + static_cast<std::size_t>(**literal);
    // Room for just that, so that a large mail does not take twice its size; untouched it costs
    // nothing.
    bytes_.reserve(begin_ + line_begin_ + kRoom);
  }
}

Result<std::optional<Response>> Reader::next() {
  auto whole = find_end();
  if (!whole) return whole.error();
  if (!*whole) return std::optional<Response>{};
  auto response = parse(std::string_view{bytes_}.substr(begin_, end_ - begin_), limits_);
  begin_ = end_;
  scanned_ = line_begin_ = line_bytes_ = 0;
  if (!response) return response.error();
  return std::optional<Response>{std::move(*response)};
}

}  // namespace voxbus::email::imap
