// SPDX-License-Identifier: Apache-2.0
//
// Emits a good item, one that breaks a rule of the ABI or of the record's schema, and a good one
// again. Speaks the ABI directly, since the SDK would not let it.

#include <string>

#include "voxbus/plugin.hpp"

class HostileItems final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.hostile_items",
                                        .version = "1.0.0",
                                        .summary = "Emits items that break the rules",
                                        .isolation = voxbus::Isolation::kProcessOrInline};
  struct Settings {
    std::string what = "not_utf8";
    voxbus::Size size = voxbus::Size::mebibytes(64);
    void fields(auto& field) {
      field("what", what, "Which rule is broken")
          .choices({"not_utf8", "not_json", "no_kind", "unknown_kind", "unknown_member", "empty_id",
                    "long_id", "deep_json", "huge_record", "huge_raw", "small_struct",
                    "nul_in_text", "long_cursor", "no_reason"});
      field("size", size, "How huge a huge one is");
    }
  };
  explicit HostileItems(Settings settings) : settings_{std::move(settings)} {}

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since,
                                     voxbus::Context& context) override {
    if (!since.empty()) return voxbus::Batch{};
    std::string id = "bad";
    std::string record = R"({"kind":"message","text":"bad"})";
    std::string raw;
    voxbus_item item{};
    item.size = sizeof item;
    const std::string& what = settings_.what;
    if (what == "not_utf8") record = "{\"kind\":\"message\",\"text\":\"\xFF\xFE\"}";
    if (what == "not_json") record = "{\"kind\":";
    if (what == "no_kind") record = R"({"text":"bad"})";
    if (what == "unknown_kind") record = R"({"kind":"letter"})";
    if (what == "unknown_member") record = R"({"kind":"message","colour":"red"})";
    if (what == "empty_id") id.clear();
    if (what == "long_id") id.assign(1025, 'x');
    if (what == "deep_json") {
      record = R"({"kind":"message","native":{"x":)" + std::string(100'000, '[') +
               std::string(100'000, ']') + "}}";
    }
    if (what == "huge_record") {
      record = R"({"kind":"message","text":")" + std::string(settings_.size.bytes, 'x') + "\"}";
    }
    if (what == "huge_raw") raw.assign(settings_.size.bytes, 'x');
    if (what == "small_struct") item.size = 8;
    if (what == "nul_in_text") record = R"({"kind":"message","text":"a\u0000b"})";
    if (what == "no_reason") {
      item.flags = VOXBUS_ITEM_UNREADABLE;
      record = "{}";
    }
    item.native_id = voxbus::detail::view(id);
    item.record = voxbus::detail::view(record);
    item.raw = voxbus::detail::view(raw);
    if (!context.emit(good("before"))) return voxbus::Batch{};
    try {
      (void)context.emit(item);
      if (what == "long_cursor") (void)context.commit({std::string(65'537, 'x')});
    } catch (const voxbus::Failure&) {  // the host saw it and refused; go on
    }
    if (!context.emit(good("after")) || !context.commit({"1"})) return voxbus::Batch{};
    return voxbus::Batch{};
  }

 private:
  static voxbus::Item good(const std::string& id) {
    return {.native_id = id, .record = {.text = "a good one"}};
  }

  Settings settings_;
};

VOXBUS_PLUGIN(HostileItems);
