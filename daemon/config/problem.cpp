// SPDX-License-Identifier: Apache-2.0
#include "config/problem.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace voxbus::config {

bool Problems::fatal() const {
  return std::any_of(list_.begin(), list_.end(), [](const auto& problem) { return problem.channel.empty(); });
}

std::string render(const Problem& problem) {
  std::string out = problem.file;
  if (problem.mark.line > 0) out += fmt::format(":{}:{}", problem.mark.line, problem.mark.column);
  out += ": " + problem.message + '\n';
  if (problem.mark.line > 0 && !problem.excerpt.empty()) {
    out += fmt::format("{:5} | {}\n", problem.mark.line, problem.excerpt);
    // Tabs before the mark are kept, so that the caret stands under its word on any terminal.
    std::string indent;
    for (int i = 0; i + 1 < problem.mark.column && i < static_cast<int>(problem.excerpt.size()); ++i) {
      indent += problem.excerpt[static_cast<std::size_t>(i)] == '\t' ? '\t' : ' ';
    }
    out += fmt::format("      | {}{}", indent, std::string(static_cast<std::size_t>(std::max(1, problem.mark.width)), '^'));
    out += problem.remedy.empty() ? "\n" : ' ' + problem.remedy + '\n';
  } else if (!problem.remedy.empty()) {
    out += "        " + problem.remedy + '\n';
  }
  return out;
}

}  // namespace voxbus::config
