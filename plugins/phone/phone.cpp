// SPDX-License-Identifier: Apache-2.0
//
// The channel "phone": the calls in an Asterisk Master.csv, followed as it grows and is rotated.

#include <filesystem>
#include <string>

#include "asterisk_csv.hpp"
#include "kit/access.hpp"
#include "kit/follow_file.hpp"
#include "voxbus/plugin.hpp"

namespace voxbus::phone {
namespace {

constexpr std::size_t kMostItems = 512;
constexpr std::size_t kMostBytes = 4 << 20;

}  // namespace

class Phone final : public Channel {
 public:
  static constexpr About kAbout{.id = "org.voxbus.phone",
                                .version = "0.1.0",
                                .summary = "Call records of an Asterisk Master.csv",
                                .isolation = Isolation::kProcessOrInline,
                                .max_item = Size::mebibytes(4)};
  struct Settings {
    std::filesystem::path file;
    std::string time_zone = "local";
    bool usegmtime = false;
    std::vector<std::string> inbound_contexts, outbound_contexts;
    std::uint32_t extension_digits = 5;

    void fields(auto& field) {
      field.required("file", file, "The Master.csv to follow; rotated files beside it are finished")
          .identity();
      field("time_zone", time_zone,
            "Zone of the times in the file, such as Europe/Berlin; local is this system's");
      field("usegmtime", usegmtime, "The times are UTC, as with usegmtime=yes in cdr.conf");
      field("inbound_contexts", inbound_contexts,
            "Dialplan contexts whose calls come from outside; else judged by the numbers");
      field("outbound_contexts", outbound_contexts, "Dialplan contexts whose calls go outside");
      field("extension_digits", extension_digits,
            "Numbers of at most this many digits are our own extensions")
          .minimum(0)
          .maximum(10);
    }
    void check(Problems& problems) const {
      if (!file.is_absolute()) problems.add("setting 'file': expected an absolute path");
      if (usegmtime && time_zone != "local" && time_zone != "UTC") {
        problems.add("usegmtime says UTC, time_zone says " + time_zone + ": leave out one");
      }
    }
  };

  explicit Phone(Settings settings) : file_{settings.file}, follow_{settings.file} {
    options_.zone = kit::TimeZone::load(settings.usegmtime ? "UTC" : settings.time_zone).value();
    options_.inbound_contexts = std::move(settings.inbound_contexts);
    options_.outbound_contexts = std::move(settings.outbound_contexts);
    options_.extension_digits = settings.extension_digits;
  }

  Result<void> probe(Context&) { return kit::can_read_file(file_); }

  Result<Batch> poll(const Cursor& since, Context& context) override {
    // Unless the host went back, the open file stands where the cursor does.
    if (since.empty() || since.bytes != reached_) {
      if (auto resumed = follow_.resume(since.bytes); !resumed) return resumed.error();
    }
    for (bool is_missing = false;;) {
      auto batch = read_lines(context);
      for (const std::string& notice : follow_.notices()) context.log(LogLevel::kWarning, notice);
      if (!batch || context.stopping()) return batch;
      if (!batch->cursor.empty() && batch->cursor != since) {
        reached_ = batch->cursor.bytes;
        return batch;
      }
      const std::string missing = follow_.missing();
      if (missing.empty() && is_missing) return Batch{};  // the next poll has nothing to say of it
      is_missing = !missing.empty();
      if (is_missing) context.trouble(missing);
      if (follow_.wait(context) == Wake::kStopped) return Batch{};
    }
  }

 private:
  // What is there, up to a full batch.
  Result<Batch> read_lines(Context& context) {
    Batch batch{.more = true};
    std::size_t bytes = 0;
    bool moved = false;
    while (batch.items.size() < kMostItems && bytes < kMostBytes) {
      const auto step = follow_.next();
      if (!step) {
        if (!batch.items.empty()) break;  // first what was read, then the error again
        return step.error();
      }
      if (context.stopping()) return Batch{};
      if (*step == kit::FollowFile::Step::kIdle) break;
      if (*step == kit::FollowFile::Step::kBusy) continue;
      moved = true;
      const kit::FollowedLine& line = follow_.line();
      if (line.text.empty() || line.text == "\r") continue;
      bytes += line.text.size();
      std::string id = line_id(line.text);
      if (line.oversized) {
        batch.items.push_back({.native_id = std::move(id) + "+" + std::to_string(line.size),
                               .raw = std::string{line.text},
                               .unreadable = "a line of " + std::to_string(line.size) +
                                             " bytes, of which the first are kept"});
        continue;
      }
      const Examined examined = context.examine(id, line.text);
      if (examined == Examined::kStopped) return Batch{};
      if (examined == Examined::kSkip) continue;
      batch.items.push_back(read(line, std::move(id)));
    }
    if (moved) batch.cursor.bytes = follow_.cursor();
    return batch;
  }

  Item read(const kit::FollowedLine& line, std::string id) const {
    auto call = parse_call(line.text, options_);
    if (!call) {
      return {.native_id = std::move(id),
              .raw = std::string{line.text},
              .unreadable = call.error().message +
                            (line.unfinished ? " (the last line of a rotated file, cut off)" : "")};
    }
    return {.native_id = std::move(call->native_id),
            .occurred_at = call->occurred_at,
            .record = std::move(call->record),
            .raw = std::string{line.text}};
  }

  const std::filesystem::path file_;
  CallOptions options_;
  kit::FollowFile follow_;
  std::string reached_;  // the cursor that follow_ stands at
};

}  // namespace voxbus::phone

VOXBUS_PLUGIN(voxbus::phone::Phone);
