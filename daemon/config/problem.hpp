// SPDX-License-Identifier: Apache-2.0
// What is wrong with a configuration, said the way compilers do: file:line:column, the sentence,
// the line, a caret and the remedy. Problems are gathered, never thrown, so that an administrator
// sees all of them at once. Plain values, one thread.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace voxbus::config {

// Where something stands in a file; lines and columns count from 1, 0 means "the whole file".
struct Mark {
  int line = 0;
  int column = 0;
  int width = 1;  // characters that the caret underlines
};

struct Problem {
  std::string file;
  Mark mark;
  std::string message;
  std::string remedy;   // "did you mean 'server'?", may be empty
  std::string excerpt;  // the line as it stands in the file
  std::string channel;  // the channel that this confines itself to; empty: the whole daemon
};

class Problems {
 public:
  void add(Problem problem) { list_.push_back(std::move(problem)); }
  // Those of this file are that channel's.
  void confine(std::string_view file, const std::string& channel);
  [[nodiscard]] const std::vector<Problem>& list() const { return list_; }
  [[nodiscard]] bool empty() const { return list_.empty(); }
  // Those that stop the daemon: not confined to one channel.
  [[nodiscard]] bool fatal() const;
  // Puts those of one file together, in the order of their lines; the files stay in the order in
  // which they were first named. What was told twice of one place stands once.
  void sort();

 private:
  std::vector<Problem> list_;
};

// The files of a folder whose names end so, hidden ones left out, in order. A folder that is not
// there has none; one that cannot be read is a problem of the whole daemon.
[[nodiscard]] std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder,
                                                          std::string_view ending,
                                                          Problems& problems);

// Two or three lines, each ended by a line break.
[[nodiscard]] std::string render(const Problem& problem);

}  // namespace voxbus::config
