// SPDX-License-Identifier: Apache-2.0
#include "bus/filter.hpp"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "model/interaction.hpp"

namespace voxbus::bus {
namespace {

constexpr std::array<std::string_view, 8> kNames = {"audience", "channel",  "direction", "historic",
                                                    "kind",     "language", "text",      "type"};
constexpr std::size_t kMaxValues = 256;    // of one name
constexpr std::size_t kMaxValue = 255;     // bytes
constexpr std::size_t kMaxPattern = 1024;  // bytes
constexpr std::size_t kMaxPatterns = 8;
// Bounds what one pattern may cost for each byte of text: RE2 is linear in both.
constexpr std::int64_t kPatternMemory = 1 << 20;
constexpr int kMaxProgram = 4000;

void insert_sorted(std::vector<std::string>& into, std::string value) {
  const auto place = std::lower_bound(into.begin(), into.end(), value);
  if (place == into.end() || *place != value) into.insert(place, std::move(value));
}

bool contains(const std::vector<std::string>& values, std::string_view value) {
  return std::binary_search(values.begin(), values.end(), value);
}

Error unknown_word(std::string_view name, std::string_view value, const auto& known) {
  std::vector<std::string> words(known.begin(), known.end());
  std::string message = std::string(name) + ": unknown value '" + utf8_repaired(value) + "'";
  if (const auto meant = did_you_mean(value, words))
    return permanent(message + ", did you mean '" + *meant + "'?");
  message += ", known are";
  for (const auto& word : words) message += (&word == &words.front() ? " " : ", ") + word;
  return permanent(std::move(message));
}

bool is_made_of(std::string_view text, std::string_view further) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || further.find(c) != further.npos;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Short forms leave out "org.voxbus."; one without a version means all versions.
std::string whole_type(std::string_view value) {
  std::string name(value);
  if (name == "*") return name;
  if (!name.starts_with("org.")) name = "org.voxbus." + name;
  if (name.ends_with('*')) return name;
  const auto last = name.rfind('.');
  const bool versioned = last + 2 < name.size() && name[last + 1] == 'v' &&
                         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(last) + 2,
                                     name.end(), [](char c) { return c >= '0' && c <= '9'; });
  return versioned ? name : name + ".*";
}

// "en" is the language of "en" and "en-GB", not of "eng".
bool speaks(std::string_view language, std::string_view wanted) {
  if (language.size() < wanted.size() || lower(language.substr(0, wanted.size())) != wanted)
    return false;
  return language.size() == wanted.size() || language[wanted.size()] == '-';
}

}  // namespace

bool Filter::is_parameter(std::string_view name) { return model::is_one_of(name, kNames); }

Status Filter::add(std::string_view name, std::string_view value) {
  Filter changed = *this;
  if (name == "text") {
    VOXBUS_CHECK(changed.add_pattern(value));
  } else {
    for (std::size_t begin = 0; begin <= value.size();) {
      const auto comma = std::min(value.find(',', begin), value.size());
      VOXBUS_CHECK(changed.add_value(name, value.substr(begin, comma - begin)));
      begin = comma + 1;
    }
  }
  *this = std::move(changed);
  return {};
}

Status Filter::add_value(std::string_view name, std::string_view value) {
  const auto bad = [&](std::string_view why) {
    return permanent(std::string(name) + ": '" + utf8_repaired(utf8_prefix(value, 64)) + "' " +
                     std::string(why));
  };
  if (value.empty()) return permanent(std::string(name) + ": a value is missing");
  if (value.size() > kMaxValue) return bad("is too long");
  std::vector<std::string>* values = nullptr;
  if (name == "channel") {
    if (!is_made_of(value, "-"))
      return bad("is no name of a channel: they are written with a-z, 0-9 and -");
    insert_sorted(*(values = &channels_), std::string(value));
  } else if (name == "type") {
    const auto star = value.find('*');
    const bool well_placed =
        star == value.npos || (star + 1 == value.size() && (star == 0 || value[star - 1] == '.'));
    if (!is_made_of(value, "._*") || !well_placed) {
      return bad("is no type: write interaction.received, interaction.* or the whole name");
    }
    insert_sorted(*(values = &types_), whole_type(value));
    type_rules_.clear();
    for (const auto& type : types_) {
      const bool prefix = type.ends_with('*');
      type_rules_.push_back({type.substr(0, type.size() - (prefix ? 1 : 0)), prefix});
    }
  } else if (name == "kind") {
    if (!model::is_one_of(value, model::kKinds)) return unknown_word(name, value, model::kKinds);
    insert_sorted(*(values = &kinds_), std::string(value));
  } else if (name == "direction") {
    if (!model::is_one_of(value, model::kDirections))
      return unknown_word(name, value, model::kDirections);
    insert_sorted(*(values = &directions_), std::string(value));
  } else if (name == "audience") {
    if (!model::is_one_of(value, model::kAudiences))
      return unknown_word(name, value, model::kAudiences);
    insert_sorted(*(values = &audiences_), std::string(value));
  } else if (name == "language") {
    auto language = lower(value);
    if (!is_made_of(language, "-") || language.size() > 35)
      return bad("is no language tag such as en or pt-BR");
    insert_sorted(*(values = &languages_), std::move(language));
  } else if (name == "historic") {
    if (value != "true" && value != "false") return bad("is neither true nor false");
    const bool wanted = value == "true";
    if (historic_ && *historic_ != wanted) return bad("contradicts the other value");
    historic_ = wanted;
  } else {
    return unknown_word("filter", name, kNames);
  }
  if (values && values->size() > kMaxValues)
    return permanent(std::string(name) + ": too many values");
  return {};
}

Status Filter::add_pattern(std::string_view text) {
  if (text.empty()) return permanent("text: a pattern is missing");
  if (text.size() > kMaxPattern) return permanent("text: a pattern may have 1,024 bytes");
  const auto same = [&](const Pattern& pattern) { return pattern.text == text; };
  if (std::any_of(patterns_.begin(), patterns_.end(), same)) return {};
  if (patterns_.size() == kMaxPatterns) return permanent("text: too many patterns");
  re2::RE2::Options options;
  options.set_case_sensitive(false);
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemory);
  auto compiled =
      std::make_shared<const re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
  if (!compiled->ok()) return permanent("text: not a pattern of RE2: " + compiled->error());
  if (compiled->ProgramSize() > kMaxProgram)
    return permanent("text: the pattern is too complicated");
  patterns_.push_back({std::string(text), std::move(compiled)});
  std::sort(patterns_.begin(), patterns_.end(),
            [](const Pattern& a, const Pattern& b) { return a.text < b.text; });
  return {};
}

Result<Filter> Filter::from_json(const json::object& object) {
  Filter filter;
  for (const auto& [key, value] : object) {
    const std::string_view name(key.data(), key.size());
    if (!is_parameter(name)) return unknown_word("filter", name, kNames);
    const auto add_text = [&](const json::value& item) -> Status {
      if (!item.is_string())
        return permanent(std::string(name) + ": a text or a list of texts is expected");
      const auto& text = item.get_string();
      return filter.add(name, std::string_view(text.data(), text.size()));
    };
    if (name == "historic" && value.is_bool()) {
      VOXBUS_CHECK(filter.add(name, value.get_bool() ? "true" : "false"));
    } else if (const auto* list = value.if_array()) {
      for (const auto& item : *list) VOXBUS_CHECK(add_text(item));
    } else {
      VOXBUS_CHECK(add_text(value));
    }
  }
  return filter;
}

json::object Filter::to_json() const {
  json::object object;
  const auto put = [&](std::string_view name, const std::vector<std::string>& values) {
    if (!values.empty()) object[name] = json::array(values.begin(), values.end());
  };
  put("audience", audiences_);
  put("channel", channels_);
  put("direction", directions_);
  if (historic_) object["historic"] = *historic_;
  put("kind", kinds_);
  put("language", languages_);
  if (!patterns_.empty()) {
    json::array texts;
    for (const auto& pattern : patterns_) texts.emplace_back(pattern.text);
    object["text"] = std::move(texts);
  }
  put("type", types_);
  return object;
}

bool Filter::everything() const { return channels_.empty() && types_.empty() && !needs_facets(); }

bool Filter::needs_facets() const {
  return historic_ || !kinds_.empty() || !directions_.empty() || !audiences_.empty() ||
         !languages_.empty() || !patterns_.empty();
}

bool Filter::matches_envelope(const model::Event& event) const {
  if (!channels_.empty() && !contains(channels_, channel_of(event.source))) return false;
  if (type_rules_.empty()) return true;
  return std::any_of(type_rules_.begin(), type_rules_.end(), [&](const TypeRule& rule) {
    return rule.prefix ? event.type.starts_with(rule.name) : event.type == rule.name;
  });
}

bool Filter::matches_facets(const Facets& facets) const {
  if (historic_ && *historic_ != facets.historic) return false;
  if (!kinds_.empty() && !contains(kinds_, facets.kind)) return false;
  if (!directions_.empty() && !contains(directions_, facets.direction)) return false;
  if (!audiences_.empty() && !contains(audiences_, facets.audience)) return false;
  if (!languages_.empty() &&
      std::none_of(languages_.begin(), languages_.end(),
                   [&](const auto& wanted) { return speaks(facets.language, wanted); })) {
    return false;
  }
  if (patterns_.empty()) return true;
  const std::string* words[] = {&facets.title, &facets.text, &facets.author_name,
                                &facets.author_handle};
  for (const auto& pattern : patterns_) {
    for (const auto* part : words) {
      if (!part->empty() && re2::RE2::PartialMatch(*part, *pattern.compiled)) return true;
    }
  }
  return false;
}

}  // namespace voxbus::bus
