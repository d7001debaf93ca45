// SPDX-License-Identifier: Apache-2.0
#include "host/supervised.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "host/plugin_file.hpp"
#include "host/plugin_scan.hpp"
#include "voxbus/abi.h"

namespace voxbus::host {
namespace {

constexpr int kLogLinesPerSecond = 20;

}  // namespace

std::string_view name_of(Level level) {
  switch (level) {
    case Level::starting:
      return "starting";
    case Level::up:
      return "up";
    case Level::degraded:
      return "degraded";
    case Level::down:
      return "down";
  }
  return "unknown";
}

Supervised::Supervised(const config::Channel& channel, Surroundings& surroundings)
    : channel_(channel),
      around_(surroundings),
      backoff_(surroundings.first_backoff, surroundings.longest_backoff) {
  status_.with([&](ChannelStatus& status) {
    status.name = channel.name;
    status.plugin = channel.plugin;
    status.plugin_id = channel.plugin_id;
    status.isolated = channel.isolated;
    status.since = surroundings.clock->now();
  });
}

bool Supervised::change(Level level, std::string reason, std::string remedy) {
  const bool news = status_.with([&](ChannelStatus& status) {
    const bool changed = status.level != level || status.reason != reason;
    if (status.level != level) status.since = around_.clock->now();
    status.level = level;
    status.reason = reason;
    status.remedy = remedy;
    return changed;
  });
  if (!news) return false;
  switch (level) {
    case Level::starting:
      log::debug("channel {}: starting", channel_.name);
      break;
    case Level::up:
      log::info("channel {}: up", channel_.name);
      break;
    case Level::degraded:
      log::warn("channel {}: degraded: {}{}{}", channel_.name, reason, remedy.empty() ? "" : "; ",
                remedy);
      break;
    case Level::down:
      log::error("channel {}: down: {}{}{}", channel_.name, reason, remedy.empty() ? "" : "; ",
                 remedy);
      break;
  }
  if (around_.on_change) around_.on_change(status());
  return true;
}

void Supervised::note_log(const LogLine& line) {
  static constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                          spdlog::level::warn, spdlog::level::err};
  const auto now = std::chrono::steady_clock::now();
  int dropped = 0;
  const bool write = log_share_.with([&](LogShare& share) {
    if (now - share.since >= std::chrono::seconds(1)) {
      dropped = share.dropped;
      share = {now, 0, 0};
    }
    if (++share.written <= kLogLinesPerSecond) return true;
    ++share.dropped;
    return false;
  });
  if (dropped > 0)
    log::warn("channel {}: {} lines of the plugin's were dropped", channel_.name, dropped);
  if (write)
    log::log(kLevels[std::clamp(line.level, 0, 3)], "channel {}: {}", channel_.name, line.message);
}

void Supervised::note_poll(const Outcome& outcome) {
  // What the probe found is of the state before.
  if (judge_poll(outcome)) ask_probe();
}

bool Supervised::judge_poll(const Outcome& outcome) {
  switch (outcome.status) {
    case VOXBUS_OK:
    case VOXBUS_MORE:
    case VOXBUS_STOPPED:
      if (outcome.message.empty()) {
        return change(Level::up);
      }
      return change(Level::degraded, outcome.message,
                    "the rest of it works; tried again by itself");
    case VOXBUS_PERMANENT:
      return change(Level::degraded,
                    outcome.message.empty() ? "the plugin says it cannot go on" : outcome.message,
                    "change what it names; it is tried again every five minutes");
    default:
      return change(Level::degraded,
                    outcome.message.empty()
                        ? "the plugin's poll failed with status " + std::to_string(outcome.status)
                        : outcome.message,
                    "it is tried again by itself");
  }
}

void Supervised::note_probe(const Outcome& outcome) {
  if (outcome.status == VOXBUS_UNSUPPORTED) return;
  amend([&](ChannelStatus& status) {
    status.probe = outcome.status == VOXBUS_OK ? "ok"
                   : !outcome.message.empty()
                       ? outcome.message
                       : "the plugin's probe failed with status " + std::to_string(outcome.status);
  });
}

void Supervised::with_library(std::function<void(Result<FileDescriptor>)> loaded) {
  auto opened = open_plugin(channel_.library, around_.trust_plugins ? Trust::given : Trust::owned);
  if (!opened) return loaded(opened.error());
  const auto library = std::make_shared<FileDescriptor>(std::move(*opened));
  around_.scan->examine({channel_.plugin_id, channel_.library, channel_.memory}, *library,
                        [library, loaded = std::move(loaded)](const Status& sound) {
                          if (!sound) return loaded(sound.error());
                          loaded(std::move(*library));
                        });
}

Result<std::string> Supervised::settings() const {
  auto values = channel_.settings.values;
  for (const auto& reference : channel_.settings.secrets) {
    VOXBUS_TRY(secret, config::resolve(reference));
    values[reference.setting] = secret;
  }
  return json::serialize(values);
}

Result<journal::Opening> Supervised::open_channel(journal::ChannelSink* sink) {
  using From = config::Begin::Kind;
  using To = journal::Begin::Kind;
  const auto kind = channel_.begin.kind;
  const journal::Begin begin{kind == From::now   ? To::now
                             : kind == From::all ? To::all
                                                 : To::date,
                             channel_.begin.date};
  auto opening = around_.journal->open_channel(
      {channel_.name, channel_.plugin_id, channel_.settings.origin}, begin, sink);
  if (opening && opening->new_origin) {
    log::info("channel {}: a new origin; {} counts as {}", channel_.name,
              opening->begin == kEarliest ? "all that it brings"
                                          : "what is older than " + format_rfc3339(opening->begin),
              opening->begin == kEarliest ? "new" : "historic");
  }
  return opening;
}

Start Supervised::start_frame(const journal::Opening& opening, std::string settings) const {
  Start start;
  start.channel = channel_.name;
  start.plugin = channel_.plugin_id;
  start.settings = std::move(settings);
  start.cursor = opening.cursor;
  start.region = channel_.region;
  start.build = around_.build;
  start.max_item = channel_.max_item;
  start.credit = around_.credit;
  start.poll_every_ms = channel_.poll_every.count();
  start.keep_raw_of_all = channel_.keep_raw_of_all;
  return start;
}

}  // namespace voxbus::host
