// SPDX-License-Identifier: Apache-2.0
// quarantine: what channels brought and could not be read, by way of the daemon.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/text.hpp"
#include "base/units.hpp"
#include "cli/commands.hpp"

namespace voxbus::cli {
namespace {

std::string text_of(const json::object& object, std::string_view name) {
  return std::string(json::text_at(object, name).value_or(""));
}

// Page by page, so that a hundred thousand of them are no matter.
void for_each(Connection& connection, const std::string& channel, bool all,
              const std::function<void(const json::object&)>& take) {
  std::string after;
  do {
    Query query;
    query.add("limit", "500");
    if (!channel.empty()) query.add("channel", channel);
    if (all) query.add("all", "1");
    if (!after.empty()) query.add("after", after);
    const auto page = connection.get_json("/v1/quarantine" + query.text());
    for (const auto& item : page.at("items").as_array()) take(item.as_object());
    after = text_of(page.as_object(), "next");
  } while (!after.empty());
}

// A mistyped name would read as "all is well"; a channel that was removed may still have left some.
void must_be_configured(Connection& connection, const std::string& channel, bool left_some) {
  const auto status = connection.get_json("/v1/status");
  const auto* channels = json::array_at(status.as_object(), "channels");
  const bool known =
      channels && std::any_of(channels->begin(), channels->end(), [&](const auto& one) {
        return text_of(one.as_object(), "name") == channel;
      });
  if (known) return;
  const auto words =
      fmt::format("no channel '{}' is configured; 'voxbus status' lists them", channel);
  if (!left_some) throw Trouble{kFailed, words};
  fmt::print(stderr, "voxbus: {}\n", words);
}

void run_list(const Common& common, const std::string& channel, bool all) {
  Connection connection(common);
  std::uint64_t count = 0;
  for_each(connection, channel, all, [&](const json::object& item) {
    ++count;
    if (common.json) return print_json(item);
    const auto* size = item.if_contains("raw_size");
    fmt::print(
        "{}  {}  {} {:>9}  {}{}\n", text_of(item, "sequence"),
        local_time(text_of(item, "recordedtime")), column(text_of(item, "channel"), 14),
        size && size->is_int64() ? format_size(static_cast<std::uint64_t>(size->get_int64())) : "",
        one_line(text_of(item, "reason")),
        item.at("standing").as_bool() ? "" : " (something newer of it came since)");
  });
  if (!common.json)
    fmt::print("{} in quarantine{}\n", count, channel.empty() ? "" : " of channel " + channel);
  if (!channel.empty()) must_be_configured(connection, channel, count > 0);
}

void refuse_others(const json::object& event, const std::string& sequence) {
  if (text_of(event, "type").find(".quarantined.") == std::string::npos)
    throw Trouble{kFailed, sequence +
                               " is not in quarantine; 'voxbus quarantine list --all' lists "
                               "what is or was"};
}

void run_show(const Common& common, const std::string& sequence, bool raw) {
  Connection connection(common);
  const auto path = "/v1/events/" + escaped(sequence);
  const auto event = connection.get_json(path);
  refuse_others(event.as_object(), sequence);
  if (raw) {
    const auto bytes = connection.get(path + "/raw", "application/octet-stream").body;
    if (::isatty(STDOUT_FILENO)) {
      // Foreign bytes could command a terminal.
      for (std::size_t at = 0; at < bytes.size();) {
        const auto end = std::min(bytes.find('\n', at), bytes.size());
        fmt::print("{}\n", one_line(utf8_repaired(std::string_view(bytes).substr(at, end - at))));
        at = end + 1;
      }
    } else {
      std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    }
    return;
  }
  if (common.json) return print_json(event);
  const auto* data = json::object_at(event.as_object(), "data");
  if (!data) throw Trouble{kFailed, "it was erased"};
  std::size_t widest = std::string_view("sequence").size();
  for (const auto& member : *data) widest = std::max(widest, member.key().size());
  fmt::print("{:<{}}  {}\n{:<{}}  {}\n", "sequence", widest, sequence, "recorded", widest,
             local_time(text_of(event.as_object(), "recordedtime")));
  for (const auto& member : *data) {
    const auto value = member.value().is_string() ? std::string(member.value().get_string())
                                                  : json::serialize(member.value());
    fmt::print("{:<{}}  {}\n", std::string_view(member.key().data(), member.key().size()), widest,
               one_line(value));
  }
  fmt::print("\nIts bytes: voxbus quarantine show {} --raw\n", sequence);
}

struct Replays {
  std::uint64_t readable = 0, unreadable = 0, superseded = 0, failed = 0;
};

void replay_one(Connection& connection, const Common& common, const std::string& sequence,
                Replays& replays) {
  json::object result{{"sequence", sequence}};
  try {
    const auto answer = connection.send("POST", "/v1/quarantine/" + escaped(sequence) + "/replay");
    const auto parsed = json::parse(answer.body);
    if (!parsed || !parsed->is_object()) throw Trouble{kFailed, "an answer that is no JSON"};
    for (const auto& member : parsed->get_object()) result[member.key()] = member.value();
  } catch (const Trouble& trouble) {
    if (trouble.code == kUnreachable) throw;
    result["outcome"] = "failed";
    result["reason"] = trouble.message;
  }
  const auto outcome = text_of(result, "outcome");
  ++(outcome == "readable"     ? replays.readable
     : outcome == "unreadable" ? replays.unreadable
     : outcome == "superseded" ? replays.superseded
                               : replays.failed);
  if (common.json) return print_json(result);
  const auto reason = text_of(result, "reason");
  fmt::print("{}  {}{}\n", sequence, outcome, reason.empty() ? "" : ": " + one_line(reason));
}

void run_replay(const Common& common, const std::vector<std::string>& sequences,
                const std::string& channel, bool all) {
  if (sequences.empty() && channel.empty() && !all)
    throw Trouble{kMisused,
                  "say which: sequences of 'voxbus quarantine list', --channel, or --all"};
  Connection connection(common);
  auto wanted = sequences;
  if (wanted.empty()) {
    for_each(connection, channel, false,
             [&](const json::object& item) { wanted.push_back(text_of(item, "sequence")); });
  }
  if (!channel.empty()) must_be_configured(connection, channel, !wanted.empty());
  Replays replays;
  const bool progress = !common.json && ::isatty(STDERR_FILENO) && wanted.size() > 1;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (progress) fmt::print(stderr, "\r{} of {}\r", i + 1, wanted.size());
    replay_one(connection, common, wanted[i], replays);
  }
  if (!common.json)
    fmt::print(
        "{} readable now, {} still not, {} replaced by something newer, {} could not be tried\n",
        replays.readable, replays.unreadable, replays.superseded, replays.failed);
  if (replays.failed > 0) throw Trouble{kFailed, ""};
}

}  // namespace

void add_quarantine(CLI::App& app, Common& common) {
  auto* command = app.add_subcommand("quarantine", "What channels brought and could not be read");
  command->require_subcommand(1);

  auto channel = std::make_shared<std::string>();
  auto all = std::make_shared<bool>(false);
  auto* list = command->add_subcommand("list", "All of it, with sequence, size and reason");
  list->add_option("--channel", *channel, "Of this channel only");
  list->add_flag("--all", *all, "Also what something newer came of");
  list->add_flag("--json", common.json, "As JSON, one object per line");
  list->callback([=, &common] { run_list(common, *channel, *all); });

  auto sequence = std::make_shared<std::string>();
  auto raw = std::make_shared<bool>(false);
  auto* show = command->add_subcommand("show", "One of it");
  show->add_option("SEQUENCE", *sequence, "As 'list' prints it")->required();
  show->add_flag("--raw", *raw, "The bytes that could not be read, as they came");
  show->add_flag("--json", common.json, "As JSON");
  show->callback([=, &common] { run_show(common, *sequence, *raw); });

  auto sequences = std::make_shared<std::vector<std::string>>();
  auto* replay = command->add_subcommand(
      "replay",
      "Have it read anew, after the plugin was mended; what can be read by now comes on "
      "the bus as interaction.revised");
  auto* some = replay->add_option("SEQUENCE", *sequences, "As 'list' prints them");
  auto* of_channel =
      replay->add_option("--channel", *channel, "All of this channel")->excludes(some);
  replay->add_flag("--all", *all, "All of it")->excludes(some)->excludes(of_channel);
  replay->add_flag("--json", common.json, "As JSON, one object per line");
  replay->callback([=, &common] { run_replay(common, *sequences, *channel, *all); });
}

}  // namespace voxbus::cli
