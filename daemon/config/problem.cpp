// SPDX-License-Identifier: Apache-2.0
#include "config/problem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace voxbus::config {

bool Problems::fatal() const {
  return std::any_of(list_.begin(), list_.end(),
                     [](const auto& problem) { return problem.channel.empty(); });
}

void Problems::confine(std::string_view file, const std::string& channel) {
  for (auto& problem : list_) {
    if (problem.file == file) problem.channel = channel;
  }
}

void Problems::sort() {
  std::map<std::string, std::size_t> files;  // in the order in which they were read
  for (const auto& problem : list_) files.emplace(problem.file, files.size());
  std::stable_sort(list_.begin(), list_.end(), [&](const auto& one, const auto& other) {
    const auto place = [&](const Problem& problem) {
      return std::tuple(files.at(problem.file), problem.mark.line, problem.mark.column);
    };
    return place(one) < place(other);
  });
  // What two looks at one place found is told once.
  const auto same = [](const Problem& one, const Problem& other) {
    return one.file == other.file && one.mark.line == other.mark.line &&
           one.mark.column == other.mark.column && one.message == other.message;
  };
  list_.erase(std::unique(list_.begin(), list_.end(), same), list_.end());
}

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                            std::string_view ending, Problems& problems) {
  std::vector<std::filesystem::path> files;
  std::error_code code;
  std::filesystem::directory_iterator entry(folder, code);
  for (; !code && entry != std::filesystem::directory_iterator(); entry.increment(code)) {
    const auto name = entry->path().filename().string();
    if (name.size() > ending.size() && name.ends_with(ending) && name.front() != '.')
      files.push_back(entry->path());
  }
  std::error_code not_there;
  if (code == std::errc::no_such_file_or_directory &&
      std::filesystem::is_symlink(folder, not_there)) {
    problems.add({.file = folder.string(),
                  .message = "the link leads nowhere",
                  .remedy = "make the folder that it names, or remove it"});
  } else if (code == std::errc::not_a_directory) {
    problems.add({.file = folder.string(),
                  .message = "is no folder",
                  .remedy = "put a folder there, or remove it"});
  } else if (code && code != std::errc::no_such_file_or_directory) {
    problems.add({.file = folder.string(),
                  .message = "cannot be read: " + code.message(),
                  .remedy = "the daemon's user must be able to list it"});
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string render(const Problem& problem) {
  std::string out = problem.file;
  if (problem.mark.line > 0) out += fmt::format(":{}:{}", problem.mark.line, problem.mark.column);
  out += ": " + problem.message + '\n';
  if (problem.mark.line > 0 && !problem.excerpt.empty()) {
    out += fmt::format("{:5} | {}\n", problem.mark.line, problem.excerpt);
    // Tabs before the mark are kept, so that the caret stands under its word on any terminal.
    std::string indent;
    for (int i = 0; i + 1 < problem.mark.column && i < static_cast<int>(problem.excerpt.size());
         ++i) {
      indent += problem.excerpt[static_cast<std::size_t>(i)] == '\t' ? '\t' : ' ';
    }
    out += fmt::format("      | {}{}", indent,
                       std::string(static_cast<std::size_t>(std::max(1, problem.mark.width)), '^'));
    out += problem.remedy.empty() ? "\n" : ' ' + problem.remedy + '\n';
  } else if (!problem.remedy.empty()) {
    out += "        " + problem.remedy + '\n';
  }
  return out;
}

}  // namespace voxbus::config
