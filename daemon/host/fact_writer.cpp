// SPDX-License-Identifier: Apache-2.0
#include "host/fact_writer.hpp"

#include <optional>

#include "base/json.hpp"
#include "base/log.hpp"
#include "base/thread.hpp"

namespace voxbus::host {
namespace {

using Steady = std::chrono::steady_clock;

journal::Fact fact_of(const ChannelStatus& status) {
  json::object data{
      {"channel", status.name}, {"plugin", status.plugin_id}, {"state", name_of(status.level)}};
  if (!status.reason.empty()) data["reason"] = status.reason;
  if (!status.remedy.empty()) data["remedy"] = status.remedy;
  journal::Fact fact;
  fact.source = "channels/" + status.name;
  fact.type = status.level == Level::up     ? model::type::kChannelUp
              : status.level == Level::down ? model::type::kChannelDown
                                            : model::type::kChannelDegraded;
  fact.schema = "channel.v1";
  fact.data = json::serialize(data);
  fact.time = status.since;
  return fact;
}

}  // namespace

FactWriter::FactWriter(journal::Journal& journal, std::chrono::milliseconds least_interval)
    : journal_(journal),
      interval_(least_interval),
      thread_(start_thread("facts", [this] { run(); })) {}

FactWriter::~FactWriter() {
  state_.with([](State& state) { state.stopping = true; });
  state_.notify_all();
  thread_.join();
}

void FactWriter::note(const ChannelStatus& status) {
  if (status.level == Level::starting) return;
  state_.with([&](State& state) {
    auto& note = state.notes[status.name];
    note.status = status;
    note.pending = note.written != status.level;  // back where it was: nothing to tell
  });
  state_.notify_all();
}

void FactWriter::run() {
  for (;;) {
    std::optional<ChannelStatus> due;
    const bool go_on = state_.when_for(
        std::chrono::milliseconds(500),
        [&](const State& state) {
          if (state.stopping) return true;
          for (const auto& [name, note] : state.notes) {
            if (note.pending && Steady::now() >= note.not_before) return true;
          }
          return false;
        },
        [&](State& state, bool) {
          if (state.stopping) return false;
          for (auto& [name, note] : state.notes) {
            if (!note.pending || Steady::now() < note.not_before) continue;
            note.pending = false;
            note.written = note.status.level;
            note.not_before = Steady::now() + interval_;
            due = note.status;
            break;
          }
          return true;
        });
    if (!go_on) return;
    if (!due) continue;
    if (auto written = journal_.append(fact_of(*due)); !written) {
      log::warn("channel {}: its state was not journalled: {}", due->name, written.error().message);
    }
  }
}

}  // namespace voxbus::host
