// SPDX-License-Identifier: Apache-2.0
//
// Guestbook: each complete line of a text file is one message. A whole channel, and the example
// that the SDK's guide explains.

#include <charconv>
#include <fstream>
#include <string>

#include "voxbus/plugin.hpp"

class Guestbook final : public voxbus::Channel {
 public:
  static constexpr voxbus::About kAbout{.id = "org.example.guestbook",
                                        .version = "1.0.0",
                                        .summary = "Lines of a text file",
                                        .isolation = voxbus::Isolation::kProcessOrInline};
  struct Settings {
    std::string file, room = "lobby";
    void fields(auto& field) {
      field.required("file", file, "Text file to follow, one entry per line").identity();
      field("room", room, "Conversation that the entries belong to");
    }
  };
  explicit Guestbook(Settings settings) : settings_{std::move(settings)} {}

  voxbus::Result<voxbus::Batch> poll(const voxbus::Cursor& since, voxbus::Context&) override {
    std::size_t at = 0;  // bytes already read
    const char* end = since.bytes.data() + since.bytes.size();
    const auto read = std::from_chars(since.bytes.data(), end, at);
    if (!since.empty() && (read.ptr != end || read.ec != std::errc{})) {
      return voxbus::Error::permanent("the cursor '" + since.bytes + "' is not a guestbook's");
    }
    std::ifstream file{settings_.file, std::ios::binary};
    if (!file.seekg(static_cast<std::streamoff>(at))) {
      return voxbus::Error::retry("cannot open " + settings_.file);
    }
    voxbus::Batch batch{.items = {}, .cursor = since};
    for (std::string line; batch.items.size() < 100 && std::getline(file, line);) {
      if (file.eof()) break;  // the last line is still being written
      batch.items.push_back(
          {.native_id = std::to_string(at),
           .record = {.kind = voxbus::Kind::kMessage, .conversation = settings_.room, .text = line},
           .raw = line});
      at += line.size() + 1;
    }
    batch.cursor.bytes = std::to_string(at);
    batch.more = batch.items.size() == 100;
    return batch;
  }

 private:
  Settings settings_;
};

VOXBUS_PLUGIN(Guestbook);
