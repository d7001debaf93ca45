// SPDX-License-Identifier: Apache-2.0
#include "kit/csv.hpp"

#include <algorithm>

namespace voxbus::kit {
namespace {

Error refused(std::size_t at, const char* what) {
  return Error::permanent("byte " + std::to_string(at) + ": " + what);
}

// Reads the quoted field whose opening quote stands at `at`, and moves behind its closing one.
const char* read_quoted(std::string_view line, std::size_t& at, std::string& field) {
  for (++at;;) {
    const std::size_t quote = line.find('"', at);
    if (quote == line.npos) return "a quote that does not end";
    field.append(line, at, quote - at);
    at = quote + 1;
    if (at == line.size() || line[at] != '"') return nullptr;
    field += '"';
    ++at;
  }
}

}  // namespace

Result<std::vector<std::string>> parse_csv(std::string_view line, std::size_t most) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (const std::size_t nul = line.find('\0'); nul != line.npos) return refused(nul, "a NUL byte");
  std::vector<std::string> fields;
  for (std::size_t at = 0;; ++at) {
    if (fields.size() == most) return refused(at, "too many fields");
    std::string& field = fields.emplace_back();
    if (at < line.size() && line[at] == '"') {
      if (const char* problem = read_quoted(line, at, field)) return refused(at, problem);
      if (at < line.size() && line[at] != ',') return refused(at, "text after a closing quote");
    } else {
      const std::size_t end = std::min(line.find(',', at), line.size());
      field = line.substr(at, end - at);
      if (const auto quote = field.find('"'); quote != field.npos) {
        return refused(at + quote, "a quote inside a bare field");
      }
      at = end;
    }
    if (at == line.size()) return fields;
  }
}

}  // namespace voxbus::kit
