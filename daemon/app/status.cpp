// SPDX-License-Identifier: Apache-2.0
#include "app/status.hpp"

#include <algorithm>

namespace voxbus::app {

json::array channels_json(const std::vector<host::ChannelStatus>& channels,
                          const journal::Stats& stats) {
  json::array out;
  for (const auto& channel : channels) {
    json::object one{{"name", channel.name},
                     {"plugin", channel.plugin},
                     {"version", channel.version},
                     {"state", name_of(channel.level)},
                     {"since", format_rfc3339(channel.since)},
                     {"isolation", channel.isolated ? "process" : "inline"},
                     {"restarts", channel.restarts},
                     {"crashes", channel.crashes}};
    if (!channel.reason.empty()) one["reason"] = channel.reason;
    if (!channel.remedy.empty()) one["remedy"] = channel.remedy;
    if (channel.pid > 0) one["pid"] = channel.pid;
    if (!channel.probe.empty()) one["probe"] = channel.probe;
    json::object counts;
    const auto found = std::find_if(stats.channels.begin(), stats.channels.end(),
                                    [&](const auto& known) { return known.name == channel.name; });
    const auto& counted = found == stats.channels.end() ? journal::ChannelStats{} : *found;
    counts["received"] = counted.received;
    counts["stored"] = counted.stored;
    counts["duplicates"] = counted.duplicates;
    counts["revisions"] = counted.revisions;
    counts["withdrawn"] = counted.withdrawn;
    counts["quarantined"] = counted.quarantined;
    counts["late"] = counted.late;
    counts["out_of_order"] = counted.out_of_order;
    counts["queued_bytes"] = counted.queued_bytes;
    one["counts"] = std::move(counts);
    out.emplace_back(std::move(one));
  }
  return out;
}

json::object journal_json(const journal::Stats& stats) {
  return {{"rows", stats.rows},
          {"groups", stats.groups},
          {"last_commit_ms", static_cast<double>(stats.last_commit.count()) / 1000},
          {"longest_commit_ms", static_cast<double>(stats.longest_commit.count()) / 1000},
          {"wal_bytes", stats.wal_bytes},
          {"quarantined", stats.quarantined_total},
          {"rows_lost", stats.rows_lost},
          {"unreadable", stats.unreadable},
          {"waiting_for_space", stats.waiting_for_space},
          {"waiting_for_lock", stats.waiting_for_lock}};
}

json::array plugins_json(const std::vector<config::Manifest>& manifests,
                         const config::Problems& problems) {
  json::array out;
  for (const auto& manifest : manifests) out.emplace_back(config::to_json(manifest));
  for (const auto& problem : problems.list()) {
    if (problem.file.ends_with(".plugin.yaml"))
      out.emplace_back(json::object{{"file", problem.file}, {"problem", problem.message}});
  }
  return out;
}

}  // namespace voxbus::app
