// SPDX-License-Identifier: Apache-2.0
//
// Checks a record against the schema record.v1 and says in words what does not fit. For tests of
// plugins: the host makes its own checks. Pure.
#ifndef VOXBUS_RECORD_CHECK_HPP
#define VOXBUS_RECORD_CHECK_HPP

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "voxbus/json.hpp"

namespace voxbus {

class RecordCheck {
 public:
  // Everything that is wrong with the record; empty when it fits.
  static std::vector<std::string> check(const Json& record) {
    RecordCheck check;
    check.record(record);
    return std::move(check.problems_);
  }

 private:
  static constexpr std::size_t kAny = std::string_view::npos;
  struct Member {
    std::string_view name;
    std::size_t limit = kAny;  // code points
  };

  void wrong(const std::string& path, std::string_view what) {
    problems_.push_back("record" + path + " " + std::string{what});
  }

  static std::size_t code_points(std::string_view text) {
    std::size_t count = 0;
    for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
    return count;
  }

  void text(const std::string& path, const Json& value, std::size_t limit) {
    if (!value.string()) return wrong(path, "is no string");
    if (limit != kAny && code_points(*value.string()) > limit) {
      wrong(path, "is longer than " + std::to_string(limit));
    }
  }

  // Others could run something in a reader's page: the host lets them go.
  void link(const std::string& path, const Json& value) {
    text(path, value, 2048);
    if (!value.string()) return;
    std::string scheme = value.string()->substr(0, value.string()->find("://"));
    for (char& c : scheme) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (scheme != "http" && scheme != "https") wrong(path, "is no address of http or https");
  }

  void one_of(const std::string& path, const Json& value,
              std::initializer_list<std::string_view> words) {
    for (const std::string_view word : words) {
      if (value.string() && *value.string() == word) return;
    }
    wrong(path, "has an unknown value");
  }

  void count(const std::string& path, const Json& value) {
    if (!value.integer() || *value.integer() < 0) wrong(path, "is no whole number from 0");
  }

  // Runs the function for each member of an object.
  template<class Each>
  void members(const std::string& path, const Json& value, const Each& each) {
    if (!value.object()) return wrong(path, "is no object");
    for (const auto& [name, member] : *value.object()) each(path + "." + name, name, member);
  }

  template<class Each>
  void elements(const std::string& path, const Json& value, std::size_t limit, const Each& each) {
    if (!value.array()) return wrong(path, "is no array");
    if (value.array()->size() > limit) wrong(path, "has too many elements");
    std::size_t index = 0;
    for (const Json& element : *value.array()) {
      each(path + "[" + std::to_string(index++) + "]", element);
    }
  }

  // True when `name` is one of the texts, which is then checked.
  bool texts(const std::string& path, std::string_view name, const Json& value,
             std::initializer_list<Member> known) {
    for (const Member& member : known) {
      if (member.name != name) continue;
      text(path, value, member.limit);
      return true;
    }
    return false;
  }

  void author(const std::string& path, const Json& value) {
    members(path, value, [&](const std::string& at, std::string_view name, const Json& member) {
      if (name == "addresses") {
        elements(at, member, 64, [&](const std::string& i, const Json& e) { text(i, e, 512); });
      } else if (name == "profile") {
        link(at, member);
      } else if (!texts(at, name, member, {{"handle", 512}, {"name", 512}})) {
        wrong(at, "is not in the schema");
      }
    });
  }

  void quoted(const std::string& path, const Json& block) {
    if (!block.find("text")) wrong(path, "has no text");
    members(path, block, [&](const std::string& at, std::string_view name, const Json& member) {
      if (name == "depth" || name == "at") return count(at, member);
      if (!texts(at, name, member, {{"author", 512}, {"text"}, {"native_id", 1024}})) {
        wrong(at, "is not in the schema");
      }
    });
  }

  void file(const std::string& path, const Json& value) {
    members(path, value, [&](const std::string& at, std::string_view name, const Json& member) {
      if (name == "size") return count(at, member);
      if (name == "sha256" && member.string() &&
          (member.string()->size() != 64 ||
           member.string()->find_first_not_of("0123456789abcdef") != std::string::npos)) {
        return wrong(at, "is not 64 lower-case hex digits");
      }
      if (name == "url") return link(at, member);
      if (!texts(at, name, member, {{"name", 1024}, {"type", 255}, {"sha256", 64}})) {
        wrong(at, "is not in the schema");
      }
    });
  }

  void call(const std::string& path, const Json& value) {
    members(path, value, [&](const std::string& at, std::string_view name, const Json& member) {
      if (name == "direction") return one_of(at, member, {"inbound", "outbound", "internal"});
      if (name == "disposition") {
        return one_of(at, member, {"answered", "no_answer", "busy", "failed", "congestion"});
      }
      if (name == "waited_seconds" || name == "talked_seconds") return count(at, member);
      wrong(at, "is not in the schema");
    });
  }

  void native(const std::string& path, const Json& value) {
    members(path, value, [&](const std::string& at, std::string_view name, const Json& member) {
      if (name == "ids") {
        members(at, member, [&](const std::string& id, std::string_view, const Json& text_of) {
          text(id, text_of, kAny);
        });
      } else if (name == "metrics") {
        members(at, member, [&](const std::string& id, std::string_view, const Json& number) {
          if (!number.integer() && !number.real()) wrong(id, "is no number");
        });
      }
    });
  }

  void record(const Json& value) {
    if (!value.object()) return wrong("", "is no object");
    if (!value.find("kind")) wrong(".kind", "is missing");
    members("", value, [&](const std::string& at, std::string_view name, const Json& member) {
      if (name == "kind") {
        return one_of(at, member,
                      {"post", "comment", "message", "mail", "call", "mention", "review",
                       "reaction", "in_person"});
      }
      if (name == "direction") return one_of(at, member, {"inbound", "outbound"});
      if (name == "audience") return one_of(at, member, {"public", "private"});
      if (name == "author") return author(at, member);
      if (name == "quoted") {
        return elements(at, member, 1024,
                        [&](const std::string& i, const Json& e) { quoted(i, e); });
      }
      if (name == "attachments") {
        return elements(at, member, 1024, [&](const std::string& i, const Json& e) { file(i, e); });
      }
      if (name == "call") return call(at, member);
      if (name == "permalink") return link(at, member);
      if (name == "native") return native(at, member);
      if (!texts(at, name, member,
                 {{"conversation", 1024},
                  {"in_reply_to", 1024},
                  {"title", 4096},
                  {"text"},
                  {"html"},
                  {"language", 35}})) {
        wrong(at, "is not in the schema");
      }
    });
  }

  std::vector<std::string> problems_;
};

}  // namespace voxbus

#endif  // VOXBUS_RECORD_CHECK_HPP
