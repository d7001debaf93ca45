// SPDX-License-Identifier: Apache-2.0
//
// Settings described once. A plugin's Settings struct lists its members in
//   void fields(auto& field) { field.required("file", file, "Text file to follow").identity(); }
// and from that one list come the parser (all problems at once), the defaults (each member's
// initial value), the help text, the JSON Schema and the manifest. Used on the thread that creates
// the channel, and at build time.
#ifndef VOXBUS_SETTINGS_HPP
#define VOXBUS_SETTINGS_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "voxbus/json.hpp"
#include "voxbus/units.hpp"

namespace voxbus {

// What is wrong with settings, all of it at once. An optional member function
//   void check(voxbus::Problems& problems) const
// of a Settings struct adds what concerns several settings together.
class Problems {
 public:
  void add(std::string problem) { list_.push_back(std::move(problem)); }
  bool empty() const { return list_.empty(); }
  const std::vector<std::string>& list() const { return list_; }
  std::string joined() const {
    std::string out;
    for (const std::string& problem : list_) out.append(out.empty() ? "" : "; ").append(problem);
    return out;
  }

 private:
  std::vector<std::string> list_;
};

namespace detail {

template<class T>
struct is_duration : std::false_type {};
template<class Rep, class Period>
struct is_duration<std::chrono::duration<Rep, Period>> : std::true_type {};
template<class T>
struct is_optional : std::false_type {};
template<class T>
struct is_optional<std::optional<T>> : std::true_type {};

// Whether every value of a duration can be written in the units that the daemon reads, of which a
// millisecond is the finest.
template<class T>
struct is_whole_milliseconds : std::false_type {};
template<std::integral Rep, class Period>
struct is_whole_milliseconds<std::chrono::duration<Rep, Period>>
    : std::bool_constant<std::ratio_divide<Period, std::milli>::den == 1> {};

// One described setting. `read` puts a JSON value into the member it was described with and
// returns what is wrong with it, or an empty string.
struct Setting {
  std::string name;
  std::string type;  // as in the manifest
  std::string help;
  bool required = false;
  bool identity = false;
  bool secret = false;
  std::vector<std::string> choices;
  Json minimum;  // null: none
  Json maximum;
  Json fallback;  // the default; null: none
  std::function<std::string(const Json&)> read;
};

template<class T>
constexpr std::string_view type_name() {
  if constexpr (is_optional<T>::value)
    return type_name<typename T::value_type>();
  else if constexpr (std::same_as<T, bool>)
    return "boolean";
  else if constexpr (std::integral<T>)
    return "integer";
  else if constexpr (std::floating_point<T>)
    return "number";
  else if constexpr (is_duration<T>::value) {
    static_assert(is_whole_milliseconds<T>::value,
                  "a setting is no finer than milliseconds: use std::chrono::milliseconds, seconds "
                  "or another duration of whole milliseconds");
    return "duration";
  } else if constexpr (std::same_as<T, Size>)
    return "size";
  else if constexpr (std::same_as<T, std::filesystem::path>)
    return "path";
  else if constexpr (std::same_as<T, std::vector<std::string>>)
    return "list";
  else if constexpr (std::is_enum_v<T>)
    return "choice";
  else {
    static_assert(std::same_as<T, std::string>, "a setting of this type is not supported");
    return "string";
  }
}

// A value as the manifest and the settings write it.
template<class T>
Json to_json(const T& value) {
  if constexpr (is_optional<T>::value)
    return value ? to_json(*value) : Json{};
  else if constexpr (is_duration<T>::value)
    return show(std::chrono::duration_cast<std::chrono::milliseconds>(value));
  else if constexpr (std::same_as<T, Size>)
    return show(value);
  else if constexpr (std::same_as<T, std::filesystem::path>)
    return value.string();
  else if constexpr (std::same_as<T, std::vector<std::string>>) {
    Json::Array list;
    for (const std::string& element : value) list.emplace_back(element);
    return list;
  } else
    return Json{value};
}

// Reads `json` into `out`; an empty string, or what was expected.
template<class T>
std::string from_json(const Json& json, T& out) {
  const std::string* text = json.string();
  if constexpr (is_optional<T>::value) {
    typename T::value_type inner{};
    if (std::string problem = from_json(json, inner); !problem.empty()) return problem;
    out = std::move(inner);
  } else if constexpr (std::same_as<T, bool>) {
    if (!json.boolean()) return "expected true or false";
    out = *json.boolean();
  } else if constexpr (std::integral<T>) {
    if (!json.integer()) return "expected a whole number";
    if (!std::in_range<T>(*json.integer())) return "the number is out of range";
    out = static_cast<T>(*json.integer());
  } else if constexpr (std::floating_point<T>) {
    if (json.real())
      out = static_cast<T>(*json.real());
    else if (json.integer())
      out = static_cast<T>(*json.integer());
    else
      return "expected a number";
  } else if constexpr (is_duration<T>::value) {
    constexpr const char* kWanted = "expected a duration with its unit, such as 30s";
    const auto parsed = text ? parse_duration(*text)
                        : json.integer() && *json.integer() == 0
                            ? std::optional{std::chrono::milliseconds{0}}
                            : std::nullopt;
    if (!parsed) return kWanted;
    out = std::chrono::duration_cast<T>(*parsed);
    if (out != *parsed) return "the duration is finer than the setting can be";
  } else if constexpr (std::same_as<T, Size>) {
    const auto parsed = text                                     ? parse_size(*text)
                        : json.integer() && *json.integer() == 0 ? std::optional{Size{}}
                                                                 : std::nullopt;
    if (!parsed) return "expected a size with its unit, such as 4MiB";
    out = *parsed;
  } else if constexpr (std::same_as<T, std::vector<std::string>>) {
    if (!json.array()) return "expected a list of texts";
    T list;
    for (const Json& element : *json.array()) {
      if (!element.string()) return "expected a list of texts";
      list.push_back(*element.string());
    }
    out = std::move(list);
  } else {
    if (!text) return "expected a text";
    if (text->find('\0') != text->npos) return "a NUL byte in the text";
    out = T{*text};
  }
  return {};
}

template<class T>
bool less(const T& a, const T& b) {
  return a < b;
}

// What `field(...)` returns, to say more about the setting just described.
template<class T>
class Field {
 public:
  Field(Setting& setting, T& member) : setting_{setting}, member_{member} {}

  // Part of the channel's origin: with another value the old cursor no longer applies.
  Field& identity() {
    setting_.identity = true;
    return *this;
  }
  // Comes from a credential, never inline, never shown.
  Field& secret() {
    setting_.secret = true;
    return *this;
  }
  Field& minimum(const T& least) {
    setting_.minimum = to_json(least);
    return bound([least](const T& value) {
      return less(value, least) ? "below the minimum " + plain(to_json(least)) : std::string{};
    });
  }
  Field& maximum(const T& most) {
    setting_.maximum = to_json(most);
    return bound([most](const T& value) {
      return less(most, value) ? "above the maximum " + plain(to_json(most)) : std::string{};
    });
  }
  // For texts: the words that are allowed.
  Field& choices(
      std::initializer_list<std::string_view> words) requires std::same_as<T, std::string> {
    setting_.type = "choice";
    setting_.choices.assign(words.begin(), words.end());
    setting_.read = [&member = member_, words = setting_.choices](const Json& json) -> std::string {
      const std::string* text = json.string();
      for (const std::string& word : words) {
        if (text && *text == word) {
          member = word;
          return {};
        }
      }
      return not_among(text, words);
    };
    return *this;
  }
  // For enumerations: each word with what it stands for.
  Field& choices(
      std::initializer_list<std::pair<std::string_view, T>> words) requires std::is_enum_v<T> {
    std::vector<std::pair<std::string, T>> known;
    for (const auto& [word, value] : words) {
      setting_.choices.emplace_back(word);
      known.emplace_back(word, value);
      if (value == member_ && !setting_.required) setting_.fallback = Json{word};
    }
    setting_.read = [&member = member_, known = std::move(known),
                     names = setting_.choices](const Json& json) -> std::string {
      const std::string* text = json.string();
      for (const auto& [word, value] : known) {
        if (text && *text == word) {
          member = value;
          return {};
        }
      }
      return not_among(text, names);
    };
    return *this;
  }

 private:
  static std::string plain(const Json& json) {
    return json.string() ? *json.string() : json.dump();
  }

  static std::string not_among(const std::string* text, const std::vector<std::string>& words) {
    std::string problem = "expected one of ";
    for (const std::string& word : words) {
      problem.append(&word == words.data() ? "" : ", ").append(word);
    }
    if (text) {
      const auto near = nearest(*text, {words.begin(), words.end()});
      if (!near.empty()) problem += " (did you mean '" + std::string{near} + "'?)";
    }
    return problem;
  }

  Field& bound(std::function<std::string(const T&)> problem_with) {
    setting_.read = [&member = member_, read = std::move(setting_.read),
                     problem_with = std::move(problem_with)](const Json& json) {
      std::string problem = read(json);
      return problem.empty() ? problem_with(member) : problem;
    };
    return *this;
  }

  Setting& setting_;
  T& member_;
};

}  // namespace detail

// The visitor that a Settings struct describes itself to. It refers to the struct's members, which
// therefore must stay where they are while it is used.
class Fields {
 public:
  // An optional setting; the member's present value is its default.
  template<class T>
  detail::Field<T> operator()(std::string name, T& member, std::string help) {
    detail::Setting& setting = add(std::move(name), member, std::move(help));
    if constexpr (!std::is_enum_v<T>) {
      setting.fallback = detail::to_json(member);
      const std::string* text = setting.fallback.string();
      const Json::Array* list = setting.fallback.array();
      // An empty text or list is as good as none: the manifest need not say it.
      if ((text && text->empty()) || (list && list->empty())) setting.fallback = {};
    }
    return {setting, member};
  }
  // A setting that has to be given.
  template<class T>
  detail::Field<T> required(std::string name, T& member, std::string help) {
    detail::Setting& setting = add(std::move(name), member, std::move(help));
    setting.required = true;
    return {setting, member};
  }

  const std::vector<std::unique_ptr<detail::Setting>>& list() const { return list_; }

 private:
  template<class T>
  detail::Setting& add(std::string name, T& member, std::string help) {
    auto setting = std::make_unique<detail::Setting>();
    setting->name = std::move(name);
    setting->type = detail::type_name<T>();
    setting->help = std::move(help);
    if constexpr (std::is_enum_v<T>) {
      setting->read = [](const Json&) { return std::string{"no choices were declared"}; };
    } else {
      setting->read = [&member](const Json& json) { return detail::from_json(json, member); };
    }
    if constexpr (std::integral<T> && !std::same_as<T, bool>) {
      if (sizeof(T) < 8 || std::is_unsigned_v<T>) setting->minimum = std::numeric_limits<T>::min();
      if (sizeof(T) < 8) setting->maximum = std::numeric_limits<T>::max();
    }
    list_.push_back(std::move(setting));
    return *list_.back();
  }

  std::vector<std::unique_ptr<detail::Setting>> list_;
};

// The settings of a channel that has none.
struct NoSettings {
  void fields(auto&) {}
};

// Reads settings into `out`, which keeps its defaults where the object says nothing.
template<class Settings>
Problems read_settings(std::string_view text, Settings& out) {
  Problems problems;
  const Result<Json> json = Json::parse(text.empty() ? "{}" : text, {.depth = 8, .size = 1 << 20});
  if (!json || !json->object()) {
    problems.add("the settings are not a JSON object" +
                 (json ? std::string{} : ": " + json.error().message));
    return problems;
  }
  Fields fields;
  out.fields(fields);
  std::vector<std::string_view> names;
  for (const auto& setting : fields.list()) names.push_back(setting->name);
  for (const auto& [name, value] : *json->object()) {
    bool known = false;
    for (const auto& setting : fields.list()) {
      if (setting->name != name) continue;
      known = true;
      const std::string problem = setting->read(value);
      if (!problem.empty())
        problems.add(std::string{"setting '"}.append(name).append("': ").append(problem));
    }
    if (!known) {
      const std::string_view near = nearest(name, names);
      problems.add("unknown setting '" + name + "'" +
                   (near.empty() ? std::string{} : ", did you mean '" + std::string{near} + "'?"));
    }
  }
  for (const auto& setting : fields.list()) {
    if (setting->required && !json->find(setting->name)) {
      problems.add("setting '" + setting->name + "' is missing (" + setting->help + ")");
    }
  }
  if constexpr (requires { out.check(problems); }) {
    if (problems.empty()) out.check(problems);
  }
  return problems;
}

}  // namespace voxbus

#endif  // VOXBUS_SETTINGS_HPP
