// SPDX-License-Identifier: Apache-2.0
// Reads one YAML mapping key by key into typed values. Every key asked for becomes known; finish()
// reports the others with the nearest known one. One thread.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "base/units.hpp"
#include "config/yaml.hpp"

namespace voxbus::config {

class Mapping {
 public:
  // `what` names the place in messages: "channel", "plugin 'email'".
  Mapping(const Document& document, const Node& node, Problems& problems, std::string what)
      : document_(document), node_(node), problems_(problems), what_(std::move(what)) {
    if (node.kind != Node::Kind::mapping && node.kind != Node::Kind::null) {
      report(node.mark, "expected 'key: value' lines here");
    }
    for (const auto& member : node.members) members_.emplace(member.key, &member.value);
  }

  // The member's node, made known; null when it is absent or empty.
  const Node* node(std::string_view key) {
    if (asked_.emplace(key).second) known_.emplace_back(key);
    const auto found = members_.find(key);
    return found != members_.end() && found->second->kind != Node::Kind::null ? found->second
                                                                              : nullptr;
  }
  // The same, and its absence is a problem.
  const Node* required(std::string_view key) {
    const auto* found = node(key);
    if (!found)
      report(node_.mark, "'" + std::string(key) + "' is missing",
             "add '" + std::string(key) + ": ...'");
    return found;
  }

  bool text(std::string_view key, std::string& out) {
    const auto* found = scalar(key);
    if (found) out = found->scalar;
    return found != nullptr;
  }
  void flag(std::string_view key, bool& out) {
    const auto* found = scalar(key);
    if (!found) return;
    if (found->scalar == "true" || found->scalar == "yes" || found->scalar == "on") {
      out = true;
    } else if (found->scalar == "false" || found->scalar == "no" || found->scalar == "off") {
      out = false;
    } else {
      report(found->mark, "'" + std::string(key) + "' is neither true nor false");
    }
  }
  void duration(std::string_view key, std::chrono::milliseconds& out,
                std::chrono::milliseconds least, std::chrono::milliseconds most) {
    unit(key, out, least, most, parse_duration, format_duration);
  }
  void size(std::string_view key, std::uint64_t& out, std::uint64_t least, std::uint64_t most) {
    unit(key, out, least, most, parse_size, format_size);
  }
  template<class Number>
  void count(std::string_view key, Number& out, std::int64_t least, std::int64_t most) {
    const auto* found = scalar(key);
    if (!found) return;
    std::int64_t number = 0;
    const auto* end = found->scalar.data() + found->scalar.size();
    const auto [stop, code] = std::from_chars(found->scalar.data(), end, number);
    if (code != std::errc{} || stop != end || number < least || number > most) {
      report(found->mark, "'" + std::string(key) + "' must be a whole number from " +
                              std::to_string(least) + " to " + std::to_string(most));
    } else {
      out = static_cast<Number>(number);
    }
  }
  // One word or a list of words. `take` is called with the node of each.
  template<class Take>
  void each_word(std::string_view key, Take take) {
    const auto* found = node(key);
    if (!found) return;
    if (found->kind == Node::Kind::scalar) take(*found);
    for (const auto& item : found->items) {
      if (item.kind == Node::Kind::scalar) {
        take(item);
      } else {
        report(item.mark, "'" + std::string(key) + "' must list words");
      }
    }
    if (found->kind == Node::Kind::mapping)
      report(found->mark, "'" + std::string(key) + "' must be a word or a list");
  }
  void words(std::string_view key, std::vector<std::string>& out) {
    if (!node(key)) return;
    out.clear();
    each_word(key, [&](const Node& word) { out.push_back(word.scalar); });
  }
  // One of a few words.
  template<class Choice>
  void choice(std::string_view key, Choice& out,
              const std::vector<std::pair<std::string_view, Choice>>& words) {
    const auto* found = scalar(key);
    if (!found) return;
    std::vector<std::string> names;
    for (const auto& [word, value] : words) {
      if (found->scalar == word) {
        out = value;
        return;
      }
      names.emplace_back(word);
    }
    std::string all;
    for (const auto& name : names) all += (all.empty() ? "" : ", ") + name;
    const auto meant = did_you_mean(found->scalar, names);
    report(found->mark, "'" + std::string(key) + "' must be one of: " + all,
           meant ? "did you mean '" + *meant + "'?" : "");
  }

  // A line that may be a misspelt secret is not shown whole: one that is near to a secret's name,
  // or to none at all where there are secrets. Beyond kMostUnknown the rest is counted only.
  void finish(std::string_view noun = "key", const std::vector<std::string>& secrets = {}) {
    std::size_t count = 0;
    Mark next;
    for (const auto& member : node_.members) {
      if (asked_.contains(member.key)) continue;
      if (++count <= kMostUnknown) report_unknown(member, noun, secrets);
      if (count == kMostUnknown + 1) next = member.mark;
    }
    if (count <= kMostUnknown) return;
    const auto more = count - kMostUnknown;
    document_.report_key(problems_, next,
                         "and " + std::to_string(more) + " more unknown " + std::string(noun) +
                             (more == 1 ? "" : "s") + " for " + what_);
  }

  void report(Mark mark, std::string message, std::string remedy = {}) {
    document_.report(problems_, mark, std::move(message), std::move(remedy));
  }

 private:
  // More of one kind help nobody, and a file may hold tens of thousands.
  static constexpr std::size_t kMostUnknown = 20;

  void report_unknown(const Node::Member& member, std::string_view noun,
                      const std::vector<std::string>& secrets) {
    const auto meant = did_you_mean(member.key, known_);
    std::string all;
    for (const auto& name : known_) all += (all.empty() ? "" : ", ") + name;
    const bool may_be_secret =
        !secrets.empty() &&
        (!meant || std::find(secrets.begin(), secrets.end(), *meant) != secrets.end());
    const auto say = may_be_secret ? &Document::report_key : &Document::report;
    (document_.*say)(problems_, member.mark,
                     "unknown " + std::string(noun) + " '" +
                         utf8_repaired(utf8_prefix(member.key, 64)) + "' for " + what_,
                     meant ? "did you mean '" + *meant + "'?" : "known are: " + all);
  }
  const Node* scalar(std::string_view key) {
    const auto* found = node(key);
    if (found && found->kind != Node::Kind::scalar) {
      report(found->mark, "'" + std::string(key) + "' must be a single value");
      return nullptr;
    }
    return found;
  }
  template<class Value, class Parse, class Format>
  void unit(std::string_view key, Value& out, Value least, Value most, Parse parse, Format format) {
    const auto* found = scalar(key);
    if (!found) return;
    if (auto parsed = parse(found->scalar)) {
      if (*parsed >= least && *parsed <= most) {
        out = *parsed;
      } else {
        report(found->mark, "'" + std::string(key) + "' must lie between " + format(least) +
                                " and " + format(most));
      }
    } else {
      report(found->mark, "'" + std::string(key) + "': " + parsed.error().message);
    }
  }

  const Document& document_;
  const Node& node_;
  Problems& problems_;
  std::string what_;
  std::map<std::string_view, const Node*> members_;
  std::vector<std::string> known_;  // in the order in which they were asked for
  std::set<std::string, std::less<>> asked_;
};

}  // namespace voxbus::config
