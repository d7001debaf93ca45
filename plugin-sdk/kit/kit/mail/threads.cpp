// SPDX-License-Identifier: Apache-2.0
#include "kit/mail/threads.hpp"

#include <algorithm>

#include "kit/mail/words.hpp"
#include "kit/sha256.hpp"
#include "voxbus/text.hpp"

namespace voxbus::kit::mail {
namespace {

constexpr std::size_t kLongestId = 1000;  // bytes of a Message-ID that is kept as it stands
constexpr std::size_t kMostIds = 64;
constexpr std::size_t kThreadIndexRoot = 22;  // bytes: a date and a random number (MS-OXOMSG)

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string without_blanks(std::string_view text) {
  std::string out{text};
  std::erase_if(out, is_blank);
  return out;
}

// The bytes of base64, as many as are asked for.
std::string leading_bytes(std::string_view text, std::size_t most) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    if (out.size() == most) break;
    if (is_blank(c)) continue;
    const std::size_t value = kDigits.find(c);
    if (value == kDigits.npos) break;
    bits = (bits << 6) | static_cast<unsigned>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xFF);
    }
  }
  return out;
}

}  // namespace

std::string bounded_id(std::string id) {
  id = to_utf8(id);
  return id.size() <= kLongestId ? id : "sha256:" + sha256_hex(id);
}

std::vector<std::string> message_ids(std::string_view value, std::size_t most) {
  std::vector<std::string> ids;
  const auto add = [&](std::string id) {
    if (id.empty() || std::find(ids.begin(), ids.end(), id) != ids.end()) return;
    if (ids.size() == most) ids.pop_back();
    ids.push_back(std::move(id));
  };
  bool bracket = false;
  for (std::size_t at = value.find('<'); at != value.npos;) {
    const std::size_t end = value.find_first_of("<>", at + 1);
    if (end == value.npos) break;
    if (value[end] == '>') {
      add(bounded_id(without_blanks(value.substr(at + 1, end - at - 1))));
      bracket = true;
      at = value.find('<', end);
    } else {
      at = end;
    }
  }
  if (bracket) return ids;
  // Programs that leave the brackets away; other words have no '@' in their middle.
  for (std::size_t at = 0; at < value.size();) {
    while (at < value.size() && is_blank(value[at])) ++at;
    std::size_t end = at;
    while (end < value.size() && !is_blank(value[end])) ++end;
    std::string_view word = value.substr(at, end - at);
    while (word.starts_with('<')) word.remove_prefix(1);
    const std::size_t sign = word.find('@');
    if (sign != word.npos && sign > 0 && sign + 1 < word.size()) add(bounded_id(std::string{word}));
    at = end;
  }
  return ids;
}

Thread read_thread(const ThreadHeaders& headers) {
  Thread thread;
  if (auto own = message_ids(headers.message_id, 1); !own.empty()) {
    thread.own = std::move(own.front());
  } else {
    const std::string_view word = trimmed(headers.message_id);
    if (word.find_first_of("<> \t") == word.npos) thread.own = bounded_id(std::string{word});
  }
  auto references = message_ids(headers.references, kMostIds);
  thread.answered_all = message_ids(headers.in_reply_to, 8);
  std::erase(references, thread.own);
  std::erase(thread.answered_all, thread.own);
  if (!thread.answered_all.empty()) {
    thread.answered = thread.answered_all.front();
  } else if (!references.empty()) {
    thread.answered = references.back();
  }
  thread.root = references.empty() ? thread.answered : references.front();
  const std::string index = leading_bytes(headers.thread_index, kThreadIndexRoot + 1);
  if (index.size() >= kThreadIndexRoot) {
    static constexpr char kHex[] = "0123456789abcdef";
    for (std::size_t i = 0; i < kThreadIndexRoot; ++i) {
      const auto byte = static_cast<unsigned char>(index[i]);
      thread.outlook += kHex[byte >> 4];
      thread.outlook += kHex[byte & 15];
    }
    thread.outlook_answer = index.size() > kThreadIndexRoot;
  }
  return thread;
}

}  // namespace voxbus::kit::mail
