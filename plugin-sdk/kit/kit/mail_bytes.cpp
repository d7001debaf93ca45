// SPDX-License-Identifier: Apache-2.0
#include "kit/mail_bytes.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include "kit/mail/declared_type.hpp"

namespace voxbus::kit {
namespace {

constexpr std::string_view kFrom = "From ";
// The longest dropped name with its colon; a longer beginning is none of them.
constexpr std::size_t kLongestName = std::string_view{"content-length:"}.size();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string lowered(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

bool is_dropped(std::string_view name_with_colon) {
  static constexpr std::array<std::string_view, 5> kNames{
      "status:", "x-status:", "x-keywords:", "x-uid:", "content-length:"};
  const std::string name = lowered(name_with_colon);
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
         name.starts_with("x-imap");
}

// "Name:" or "Name :" with nothing but printable characters before it.
bool looks_like_header(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == ':') return i > 0;
    if (line[i] <= ' ' || line[i] > '~') return false;
  }
  return false;
}

bool names_content_type(std::string_view line) {
  constexpr std::string_view kName = "content-type";
  if (line.size() <= kName.size() || lowered(line.substr(0, kName.size())) != kName) return false;
  const std::size_t next = line.find_first_not_of(" \t", kName.size());
  return next != line.npos && line[next] == ':';
}

bool names_people(std::string_view line) {
  const std::string name = lowered(line.substr(0, std::min<std::size_t>(line.find(':'), 16)));
  for (const std::string_view one : {"from", "sender", "reply-to", "to", "cc", "bcc"}) {
    if (name == one) return true;
  }
  return false;
}

// How far it is, in sum, from each comma of a header with addresses to the next sign of one.
class PeopleWork {
 public:
  void begin_header(bool has_people) { *this = PeopleWork{has_people}; }
  void add(std::string_view line) {
    if (!has_people_) return;
    for (std::size_t at = line.find_first_of(",@<"); at != line.npos;
         at = line.find_first_of(",@<", at + 1)) {
      if (line[at] == ',') {
        ++open_;
        begins_ += length_ + at;
      } else {
        work_ += open_ * (length_ + at) - begins_;
        open_ = begins_ = 0;
      }
    }
    length_ += line.size();
  }
  std::uint64_t sum() const { return work_ + open_ * length_ - begins_; }

  explicit PeopleWork(bool has_people = false) : has_people_{has_people} {}

 private:
  bool has_people_;
  std::uint64_t work_ = 0;
  std::uint64_t open_ = 0;
  std::uint64_t begins_ = 0;
  std::uint64_t length_ = 0;
};

// How far it is, in sum, from each "=?" of a header to the next "?=" or the header's end.
class EncodedWordWork {
 public:
  void begin_header() { *this = {}; }
  void add(std::string_view line) {
    for (std::size_t at = line.find('?'); at != line.npos; at = line.find('?', at + 1)) {
      if (at > 0 && line[at - 1] == '=') {
        ++open_;
        begins_ += length_ + at;
      } else if (at + 1 < line.size() && line[at + 1] == '=') {
        work_ += open_ * (length_ + at) - begins_;
        open_ = begins_ = 0;
      }
    }
    length_ += line.size();
  }
  std::uint64_t sum() const { return work_ + open_ * length_ - begins_; }

 private:
  std::uint64_t work_ = 0;
  std::uint64_t open_ = 0;
  std::uint64_t begins_ = 0;
  std::uint64_t length_ = 0;
};

}  // namespace

void MailDigest::update(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    if (!piece.empty()) {
      if (held_return_) content("\r");
      held_return_ = piece.back() == '\r';
      if (held_return_) piece.remove_suffix(1);
      content(piece);
    }
    if (end == bytes.npos) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void MailDigest::content(std::string_view piece) {
  if (piece.empty()) return;
  if (!has_content_ && header_ && (piece.front() == ' ' || piece.front() == '\t')) {
    line_ = dropping_header_ ? Line::kDropped : Line::kKept;
  }
  has_content_ = true;
  while (line_ == Line::kUndecided && !piece.empty()) {
    if (!header_ && begin_.empty() && piece.front() == '>') {
      ++arrows_;
    } else {
      begin_ += piece.front();
      header_ ? decide_header(false) : decide_body(false);
    }
    piece.remove_prefix(1);
  }
  if (line_ == Line::kKept) digest_.update(piece);
}

void MailDigest::decide_header(bool at_end) {
  const bool envelope = first_line_ && std::string_view{begin_}.starts_with(kFrom);
  const bool complete = begin_.back() == ':' || begin_.size() > kLongestName;
  if (!envelope && !complete && !at_end && lowered(begin_) != "x-imap") return;
  line_ = envelope || is_dropped(begin_) ? Line::kDropped : Line::kKept;
  dropping_header_ = line_ == Line::kDropped;
  if (line_ == Line::kKept) digest_.update(begin_);
  begin_.clear();
}

void MailDigest::decide_body(bool at_end) {
  const bool is_from = begin_ == kFrom;
  if (!is_from && !at_end && kFrom.starts_with(begin_)) return;
  line_ = Line::kKept;
  if (!is_from) digest_.update(std::string(arrows_, '>'));
  digest_.update(begin_);
  begin_.clear();
}

void MailDigest::end_line() {
  held_return_ = false;
  if (line_ == Line::kUndecided && has_content_) {
    if (!header_) {
      decide_body(true);
    } else {
      decide_header(true);
    }
  }
  if (line_ != Line::kDropped) digest_.update("\r\n");
  if (!has_content_) header_ = false;
  first_line_ = false;
  has_content_ = false;
  line_ = Line::kUndecided;
  arrows_ = 0;
}

std::string MailDigest::hex() {
  if (held_return_ || has_content_) end_line();
  return digest_.hex();
}

std::string mail_id(std::string_view mail) {
  MailDigest digest;
  digest.update(mail);
  return digest.hex();
}

std::string canonical_mail(std::string_view mail) {
  std::string out;
  out.reserve(mail.size() + 1);
  bool in_header = true;
  bool dropping = false;
  for (std::size_t at = 0; at < mail.size();) {
    const std::size_t end = std::min(mail.find('\n', at), mail.size());
    std::string_view line = mail.substr(at, end - at);
    // A second CR before the break is content, and stays so only beside the first.
    if (line.ends_with('\r') && !line.ends_with("\r\r")) line.remove_suffix(1);
    if (in_header && line.empty()) in_header = dropping = false;
    if (in_header && line.front() != ' ' && line.front() != '\t') {
      const std::string_view name = line.substr(0, line.find(':') + 1);
      dropping = (at == 0 && line.starts_with(kFrom)) ||
                 (name.size() <= 64 && !name.empty() && is_dropped(name));
    }
    if (!dropping) out.append(line) += '\n';
    at = end + 1;
  }
  return out;
}

std::string_view mail_header(std::string_view mail) {
  for (std::size_t at = 0; at < mail.size();) {
    const std::size_t end = mail.find('\n', at);
    if (end == mail.npos) return mail;
    if (end == at || (end == at + 1 && mail[at] == '\r')) return mail.substr(0, end + 1);
    at = end + 1;
  }
  return mail;
}

namespace {

// Where a parser finds headers: at the beginning, behind a boundary that a multipart header
// declared, and behind the header of a mail within a mail. Each doubt is decided for more of them:
// what is taken for the words of a part here must never be one to the parser.
class Places {
 public:
  bool in_header() const { return in_header_; }
  // Of the header at hand, whole with its continuations.
  void content_type(const std::string& value) {
    has_type_ = true;
    // A parser sees a NUL as the end, or as a blank where it was made one.
    for (const bool cut : {true, false}) {
      const std::size_t nul = value.find('\0');
      const std::string seen = cut ? value.substr(0, nul) : blank_for_nul(value);
      const mail::DeclaredType type = mail::declared_type(seen);
      holds_mail_ = holds_mail_ || type.holds_mail;
      has_digest_ = has_digest_ || type.is_digest;
      if (!type.boundary.empty()) boundaries_.insert(without_blanks(type.boundary));
      if (nul == value.npos) break;
    }
  }
  void header_line() { begun_ = true; }
  void empty_line() {
    if (!in_header_ || (!begun_ && is_mail_)) return;
    // Without a type a digest's part is a mail (RFC 2046).
    is_mail_ = in_header_ = holds_mail_ || (has_digest_ && !has_type_ && !is_mail_);
    begun_ = has_type_ = holds_mail_ = false;
  }
  // Of a line that begins with "--".
  bool is_boundary(std::string_view line) {
    if (boundaries_.empty()) return false;
    std::string name = without_blanks(line.substr(2));
    const bool opens = boundaries_.contains(name);
    bool ends = false;
    if (!opens && name.ends_with("--")) {
      name.resize(name.size() - 2);
      ends = boundaries_.contains(name);
    }
    if (opens || ends) {
      in_header_ = opens;
      is_mail_ = begun_ = has_type_ = holds_mail_ = false;
    }
    return opens || ends;
  }

 private:
  static std::string blank_for_nul(std::string value) {
    std::replace(value.begin(), value.end(), '\0', ' ');
    return value;
  }
  static std::string without_blanks(std::string_view text) {
    const std::size_t last = text.find_last_not_of(" \t\r\n");
    return std::string{text.substr(0, last == text.npos ? 0 : last + 1)};
  }

  std::unordered_set<std::string> boundaries_;
  bool in_header_ = true;
  bool is_mail_ = true;  // the header is a mail's, and may have empty lines before it
  bool begun_ = false;
  bool has_type_ = false;
  bool holds_mail_ = false;  // it said so
  bool has_digest_ = false;  // any part so far
};

}  // namespace

std::string beyond_limits(std::string_view mail, const MailLimits& limits) {
  std::size_t headers = 0;
  std::size_t header_bytes = 0;
  std::size_t parts = 0;
  std::uint64_t dashes = 0;
  EncodedWordWork words;
  PeopleWork people;
  Places places;
  std::string type;  // the header that names one, as far as it was read
  const auto end_header = [&] {
    header_bytes = 0;
    if (!type.empty()) places.content_type(std::exchange(type, {}));
  };
  for (std::size_t at = 0; at < mail.size();) {
    const std::size_t end = std::min(mail.find('\n', at), mail.size());
    const std::string_view line = mail.substr(at, end - at);
    at = end + 1;
    const bool dashed = line.starts_with("--");
    dashes += dashed ? 1 : 0;
    if (dashed) {
      end_header();
      if (places.is_boundary(line)) continue;
    }
    if (!places.in_header()) continue;
    if (line.empty() || line == "\r") {
      end_header();
      places.empty_line();
      continue;
    }
    if (line.starts_with(' ') || line.starts_with('\t')) {
      header_bytes += line.size();
      if (!type.empty()) type.append("\n").append(line);
      words.add(line);
      people.add(line);
    } else if (looks_like_header(line) || names_content_type(line)) {
      end_header();
      places.header_line();
      if (++headers > limits.headers) {
        return "more than " + std::to_string(limits.headers) + " headers";
      }
      if (names_content_type(line)) {
        if (++parts > limits.parts) return "more than " + std::to_string(limits.parts) + " parts";
        type = std::string{line.substr(line.find(':') + 1)} + '\n';
      }
      header_bytes = line.size();
      words.begin_header();
      words.add(line);
      people.begin_header(names_people(line));
      people.add(line);
    }
    if (people.sum() > limits.people_work) return "too many people without an address in a header";
    if (words.sum() > limits.word_work) return "encoded words without end in a header";
    if (header_bytes > limits.header_bytes) {
      return "a header longer than " + std::to_string(limits.header_bytes / 1024) + " KiB";
    }
  }
  if (headers == 0 && mail.size() > limits.header_bytes) return "no header";
  if (parts * dashes > limits.boundary_work) return "too many parts and boundaries";
  return {};
}

}  // namespace voxbus::kit
