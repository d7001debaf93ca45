// SPDX-License-Identifier: Apache-2.0
// Cannot read what it finds until somebody mends it, by making a file; and reads anew what it once
// handed over. The n-th of its items has the id "n" and says so.

#include <cstdlib>
#include <filesystem>

#include "voxbus/plugin.hpp"

class Mends final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.voxbus.test.mends",
                                        .version = "1.0.0",
                                        .summary = "Cannot read until it is mended",
                                        .isolation = voxbus::Isolation::kProcessOrInline};
  struct Settings {
    std::filesystem::path mended;
    std::uint64_t count = 3;
    bool dies = false, misnames = false;
    void fields(auto& field) {
      field("mended", mended, "The file that makes it read; missing: it cannot");
      field("count", count, "How many items there are");
      field("dies", dies, "Crash while reading anew");
      field("misnames", misnames, "Give another id to what is read anew");
    }
  };
  explicit Mends(Settings settings) : settings_{std::move(settings)} {}

  voxbus::Result<voxbus::Item> reread(std::string_view id, std::string_view raw) {
    if (settings_.dies) std::abort();
    return read(settings_.misnames ? "another" : std::string{id}, std::string{raw});
  }

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since, voxbus::Context&) override {
    voxbus::Batch batch;
    if (!since.empty()) return batch;
    for (std::uint64_t i = 1; i <= settings_.count; ++i)
      batch.items.push_back(read(std::to_string(i), "bytes of " + std::to_string(i)));
    batch.cursor.bytes = "all";
    return batch;
  }

 private:
  voxbus::Item read(std::string id, std::string raw) const {
    voxbus::Item item{.native_id = std::move(id), .raw = std::move(raw)};
    if (std::filesystem::exists(settings_.mended)) {
      item.record.kind = voxbus::Kind::kPost;
      item.record.text = "words of " + item.native_id;
    } else {
      item.unreadable = "words that nobody knows yet";
    }
    return item;
  }
  const Settings settings_;
};

VOXBUS_PLUGIN(Mends);
