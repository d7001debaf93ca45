// SPDX-License-Identifier: Apache-2.0
// YAML as configuration needs it: a tree in which everything knows its line and column, made from
// yaml-cpp's events. Aliases and anchors are refused (nothing here needs them, and they are how a
// small file becomes a huge one), as are duplicate keys, several documents and files over 1 MiB.
// Pure but for reading the file; one thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/problem.hpp"

namespace voxbus::config {

struct Node {
  enum class Kind { null, scalar, sequence, mapping };
  struct Member;
  Kind kind = Kind::null;
  Mark mark;
  std::string scalar;
  bool quoted = false;  // "true" in quotes is a text, not a truth
  std::vector<Node> items;
  std::vector<Member> members;

  [[nodiscard]] const Node* find(std::string_view key) const;
};
struct Node::Member {
  std::string key;
  Mark mark;
  Node value;
};

// One file being read: its name and text, for problems that point into it.
class Document {
 public:
  // Problems go to `problems`; the root is nothing when the file cannot be read as YAML.
  static std::optional<Document> read(const std::filesystem::path& path, Problems& problems,
                                      std::string channel = {});
  static std::optional<Document> parse(std::string name, std::string text, Problems& problems,
                                       std::string channel = {});

  [[nodiscard]] const Node& root() const { return root_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  // What is reported of it, and was so far, is confined to this channel.
  void confine_to(std::string channel, Problems& problems);
  void report(Problems& problems, Mark mark, std::string message, std::string remedy = {}) const;
  // The same for a line that may hold a secret: only its key is shown.
  void report_key(Problems& problems, Mark mark, std::string message,
                  std::string remedy = {}) const;

 private:
  // Whether there are few problems or tens of thousands: each takes as long as its line.
  [[nodiscard]] std::string line(int number) const;
  std::string name_;
  std::string text_;
  std::vector<std::size_t> line_starts_;
  std::string channel_;
  Node root_;
};

}  // namespace voxbus::config
