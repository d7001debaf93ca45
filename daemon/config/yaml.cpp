// SPDX-License-Identifier: Apache-2.0
#include "config/yaml.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <unistd.h>

#include <functional>
#include <map>
#include <sstream>

#include "base/posix.hpp"
#include "base/text.hpp"

namespace voxbus::config {
namespace {

constexpr std::size_t kMaxFile = 1 << 20;
constexpr std::size_t kMaxNodes = 100'000;
constexpr std::size_t kMaxRepeated = 20;  // keys told to stand twice

// Ends the parse from inside an event; caught where the parse was begun.
struct Refused {
  Mark mark;
  std::string message;
  std::string remedy;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  // `report` hears of keys that stand twice: the first counts, so that the rest of the file is
  // judged as well.
  TreeBuilder(Node& root, std::function<void(const Refused&)> report)
      : root_(root), report_(std::move(report)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    place({.kind = Node::Kind::null, .mark = at(mark, 1)}, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{at(mark, 1), "aliases are not used in configuration", "write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    place({.kind = Node::Kind::scalar,
           .mark = at(mark, static_cast<int>(value.size())),
           .scalar = value,
           .quoted = tag == "!"},
          anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open_.push_back({.node = {.kind = Node::Kind::sequence, .mark = at(mark, 1)}});
    refuse(anchor, open_.back().node.mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open_.push_back({.node = {.kind = Node::Kind::mapping, .mark = at(mark, 1)}});
    refuse(anchor, open_.back().node.mark);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Node node;
    std::optional<Node::Member> pending{};  // a key whose value has not come yet
    bool drops_pending = false;             // the key stood before
    std::map<std::string, int> lines{};     // of the keys so far
  };

  static Mark at(const YAML::Mark& mark, int width) {
    return {mark.line + 1, mark.column + 1, width};
  }
  static void refuse(YAML::anchor_t anchor, Mark mark) {
    if (anchor != 0)
      throw Refused{mark, "anchors are not used in configuration", "remove the '&name'"};
  }

  void close() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    place(std::move(node), 0);
  }

  void place(Node node, YAML::anchor_t anchor) {
    refuse(anchor, node.mark);
    if (++count_ > kMaxNodes) throw Refused{node.mark, "the file has too many entries", ""};
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    auto& parent = open_.back();
    if (parent.node.kind == Node::Kind::sequence) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.pending) {
      if (node.kind != Node::Kind::scalar) throw Refused{node.mark, "a key must be a word", ""};
      if (const auto [earlier, added] = parent.lines.emplace(node.scalar, node.mark.line); !added) {
        const Refused twice{node.mark, "key '" + utf8_repaired(node.scalar) + "' stands twice",
                            "the first is in line " + std::to_string(earlier->second)};
        if (++repeated_ == kMaxRepeated) throw Refused{twice};
        report_(twice);
        parent.drops_pending = true;
      }
      parent.pending = Node::Member{std::move(node.scalar), node.mark, {}};
    } else {
      parent.pending->value = std::move(node);
      if (!parent.drops_pending) parent.node.members.push_back(std::move(*parent.pending));
      parent.pending.reset();
      parent.drops_pending = false;
    }
  }

  Node& root_;
  std::vector<Open> open_;
  std::size_t count_ = 0;
  std::size_t repeated_ = 0;
  std::function<void(const Refused&)> report_;
};

// Most files that cannot be read belong to somebody else; but not all.
std::string remedy_for_unreadable(const std::filesystem::path& path) {
  std::error_code code;
  const bool is_link = std::filesystem::is_symlink(path, code);
  const auto type = std::filesystem::status(path, code).type();
  using Type = std::filesystem::file_type;
  if (is_link && type == Type::not_found) return "the link leads nowhere: mend it or remove it";
  if (type == Type::directory || type == Type::fifo || type == Type::socket ||
      type == Type::character || type == Type::block)
    return "put a file there, or a link to one";
  if (type == Type::regular && ::access(path.c_str(), R_OK) == 0) return {};  // too large
  return "the daemon's user must be able to read it";
}

bool is_indented_by_tab(std::string_view line) {
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != line.npos;
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const auto& member : members) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

std::optional<Document> Document::read(const std::filesystem::path& path, Problems& problems,
                                       std::string channel) {
  auto text = read_file(path, kMaxFile);
  if (!text) {
    problems.add({.file = path.string(),
                  .message = text.error().message,
                  .remedy = remedy_for_unreadable(path),
                  .channel = std::move(channel)});
    return std::nullopt;
  }
  return parse(path.string(), std::move(*text), problems, std::move(channel));
}

std::optional<Document> Document::parse(std::string name, std::string text, Problems& problems,
                                        std::string channel) {
  Document document;
  document.name_ = std::move(name);
  document.text_ = std::move(text);
  document.channel_ = std::move(channel);
  document.line_starts_.push_back(0);
  for (auto at = document.text_.find('\n'); at != std::string::npos;
       at = document.text_.find('\n', at + 1)) {
    document.line_starts_.push_back(at + 1);
  }
  if (!is_utf8(document.text_) || document.text_.find('\0') != std::string::npos) {
    document.report(problems, {}, "is not UTF-8 text");
    return std::nullopt;
  }
  const auto report_refused = [&](const Refused& refused) {
    document.report_key(problems, refused.mark, refused.message, refused.remedy);
  };
  try {
    std::istringstream stream(document.text_);
    YAML::Parser parser(stream);
    TreeBuilder builder(document.root_, report_refused);
    const bool any = parser.HandleNextDocument(builder);
    Node second;
    TreeBuilder rest(second, report_refused);
    if (any && parser.HandleNextDocument(rest)) {
      document.report(problems, second.mark, "a second document begins here",
                      "one file holds one document");
      return std::nullopt;
    }
  } catch (const Refused& refused) {
    report_refused(refused);
    return std::nullopt;
  } catch (const YAML::Exception& error) {
    if (is_indented_by_tab(document.line(error.mark.line + 1))) {
      document.report_key(problems, {error.mark.line + 1, 1},
                          "not valid YAML: the line is indented by a tab", "indent it with spaces");
      return std::nullopt;
    }
    document.report_key(problems, {error.mark.line + 1, error.mark.column + 1},
                        "not valid YAML: " + error.msg);
    return std::nullopt;
  }
  return document;
}

void Document::confine_to(std::string channel, Problems& problems) {
  channel_ = std::move(channel);
  problems.confine(name_, channel_);
}

std::string Document::line(int number) const {
  const auto index = static_cast<std::size_t>(number) - 1;
  if (number < 1 || index >= line_starts_.size()) return {};
  const auto start = line_starts_[index];
  const auto end = text_.find('\n', start);
  auto found = text_.substr(start, end == std::string::npos ? end : end - start);
  if (!found.empty() && found.back() == '\r') found.pop_back();
  return std::string(utf8_prefix(found, 200));
}

void Document::report(Problems& problems, Mark mark, std::string message,
                      std::string remedy) const {
  problems.add({name_, mark, std::move(message), std::move(remedy),
                mark.line > 0 ? line(mark.line) : std::string(), channel_});
}

void Document::report_key(Problems& problems, Mark mark, std::string message,
                          std::string remedy) const {
  auto shown = mark.line > 0 ? line(mark.line) : std::string();
  const auto colon = shown.find(':');
  shown = colon == shown.npos ? std::string() : shown.substr(0, colon) + ": ...";
  mark.width = 1;
  problems.add({name_, mark, std::move(message), std::move(remedy), std::move(shown), channel_});
}

}  // namespace voxbus::config
