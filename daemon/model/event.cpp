// SPDX-License-Identifier: Apache-2.0
#include "model/event.hpp"

#include <charconv>

#include "base/json.hpp"
#include "base/text.hpp"

namespace voxbus::model {
namespace {

constexpr int kEpochDigits = 4, kPositionDigits = 18;

void append_digits(std::string& out, std::uint64_t value, int width) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  const auto length = static_cast<int>(end - digits);
  for (int i = length; i < width; ++i) out += '0';
  out.append(digits, static_cast<std::size_t>(length));
}

void append_sequence(std::string& out, Sequence sequence) {
  append_digits(out, sequence.epoch, kEpochDigits);
  out += '.';
  append_digits(out, sequence.position, kPositionDigits);
}

template<class Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), out);
  return code == std::errc{} && end == text.data() + text.size() && !text.empty();
}

}  // namespace

std::string format(Sequence sequence) {
  std::string out;
  append_sequence(out, sequence);
  return out;
}

Result<Sequence> parse_sequence(std::string_view text) {
  Sequence sequence;
  const auto dot = text.find('.');
  if (dot == text.npos || !read_number(text.substr(0, dot), sequence.epoch) ||
      !read_number(text.substr(dot + 1), sequence.position)) {
    return permanent(
        "'" + utf8_repaired(text.substr(0, 64)) +
        "' is not a sequence: pass back one that the bus gave, as 0001.000000000000000042");
  }
  return sequence;
}

void append_cloudevent(std::string& out, const Event& event) {
  out += R"({"specversion":"1.0","id":")";
  out += to_hex(as_text(event.id));
  out += R"(","source":)";
  json::append_string(out, event.source);
  out += R"(,"type":")";
  out += event.type;
  out += R"(","sequence":")";
  append_sequence(out, event.sequence);
  out += R"(","recordedtime":")";
  append_rfc3339(out, event.recorded);
  out += '"';
  if (event.partition) {
    out += R"(,"partitionkey":")";
    out += to_hex(as_text(*event.partition));
    out += '"';
  }
  if (event.body.size() > 2) {  // more than "{}"
    out += ',';
    out.append(event.body, 1, event.body.size() - 1);
  } else {
    out += '}';
  }
}

std::string to_cloudevent(const Event& event) {
  std::string out;
  out.reserve(320 + event.body.size());
  append_cloudevent(out, event);
  return out;
}

}  // namespace voxbus::model
