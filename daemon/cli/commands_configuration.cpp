// SPDX-License-Identifier: Apache-2.0
// check, plugins, describe, try, schema: what needs files and no daemon.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <string_view>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/try_plugin.hpp"
#include "config/configuration.hpp"
#include "config/places.hpp"
#include "host/plugin_file.hpp"
#include "host/plugin_scan.hpp"
#include "host/spawn.hpp"
#include "journal/journal.hpp"
#include "model/schemas.hpp"

namespace voxbus::cli {
namespace {

json::object to_json(const config::Problem& problem) {
  json::object out{{"file", problem.file}, {"message", problem.message}};
  if (problem.mark.line > 0) {
    out["line"] = problem.mark.line;
    out["column"] = problem.mark.column;
  }
  if (!problem.remedy.empty()) out["remedy"] = problem.remedy;
  if (!problem.channel.empty()) out["channel"] = problem.channel;
  return out;
}

std::string plural(std::size_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

// The settings as the plugin will get them; nothing while one of its secrets cannot be had here.
std::optional<std::string> settings_with_secrets(const config::Channel& channel,
                                                 const auto& report) {
  auto values = channel.settings.values;
  bool whole = true;
  for (const auto& secret : channel.settings.secrets) {
    auto read = config::resolve(secret);
    if (read) values[secret.setting] = *read;
    whole = whole && read;
    // systemd hands out credentials at the start of the service only.
    if (!read && secret.from == config::SecretReference::From::file)
      report(read.error().message, "");
  }
  if (!whole) return std::nullopt;
  return json::serialize(values);
}

// What the daemon itself would refuse to start with.
void check_own(const config::Configuration& configuration, config::Problems& problems) {
  const auto report = [&](const Error& error) {
    problems.add({.file = (configuration.directory / "voxbus.yaml").string(),
                  .message = error.message,
                  .remedy = "voxbusd will not start"});
  };
  if (const auto sound = config::check_state(configuration.state); !sound) report(sound.error());
  // One that is no address at all was reported where it stands.
  if (config::parse_listen(configuration.listen)) {
    if (const auto ours = config::check_listen(configuration.listen); !ours) report(ours.error());
  }
  const auto& key = configuration.master_key;
  // systemd hands out credentials at the start of the service only.
  if (key && key->from == config::SecretReference::From::file) {
    if (const auto read = config::resolve(*key); !read) report(read.error());
  }
}

// Beyond the files: is the plugin's library there, may it be loaded, can its secrets be read, and
// what has the plugin itself against its settings? It is asked in a process of its own.
void check_surroundings(const config::Configuration& configuration, host::Trust trust,
                        config::Problems& problems) {
  boost::asio::io_context loop;
  const SystemClock clock;
  host::PluginScan scan(loop,
                        {host::host_program(), VOXBUS_BUILD, {}, std::chrono::seconds(10), &clock});
  check_own(configuration, problems);
  for (const auto& channel : configuration.channels) {
    // Of a plugin that is not known more is said elsewhere.
    if (!channel.settings.complete || !channel.enabled || channel.library.empty()) continue;
    const auto report = [&](std::string message, std::string remedy) {
      problems.add({.file = channel.file.string(),
                    .message = std::move(message),
                    .remedy = std::move(remedy),
                    .channel = channel.name});
    };
    const auto library = host::open_plugin(channel.library, trust);
    if (!library) {
      report(library.error().message, "voxbusd will not load it");
      continue;
    }
    scan.examine({channel.plugin_id, channel.library, channel.memory,
                  settings_with_secrets(channel, report)},
                 *library, [report](const Status& sound) {
                   if (!sound) report(sound.error().message, "");
                 });
  }
  loop.run();
}

// Channels whose cursors will not be used: what they read from is another source than before.
std::vector<std::string> new_origins(const config::Configuration& configuration) {
  std::vector<std::string> notes;
  const auto known = journal::Journal::known_channels(configuration.state / "journal");
  if (!known) {
    notes.push_back("whether channels get new origins cannot be seen: " + known.error().message);
    return notes;
  }
  for (const auto& channel : configuration.channels) {
    if (!channel.enabled || !channel.settings.complete || channel.plugin_id.empty()) continue;
    const auto is_named = [&](const auto& one) { return one.name == channel.name; };
    if (std::none_of(known->begin(), known->end(), is_named)) continue;
    const model::ChannelIdentity now{channel.name, channel.plugin_id, channel.settings.origin};
    if (std::find(known->begin(), known->end(), now) != known->end()) continue;
    notes.push_back("channel " + channel.name +
                    " gets a new origin: it was read from another source until now, and of this "
                    "one 'begin' says what is new");
  }
  return notes;
}

void run_check(const Common& common, const std::string& directory, bool trust) {
  const std::filesystem::path folder =
      directory.empty() ? common.configuration : std::filesystem::path(directory);
  // Without its default folder the daemon starts on defaults, and all is well.
  const bool may_lack = directory.empty() && common.configuration == Common{}.configuration;
  if (std::error_code code; !may_lack && !std::filesystem::is_directory(folder, code)) {
    throw Trouble{kConfiguration,
                  folder.string() + " is no folder: name the one with voxbus.yaml and channels.d/"};
  }
  // As the daemon would be told; voxbusd(8).
  const char* trusted = std::getenv("VOXBUS_TRUST_PLUGINS");
  trust = trust || (trusted && std::string_view(trusted) == "1");
  config::Problems problems;
  const auto configuration = config::load(folder, problems);
  check_surroundings(configuration, trust ? host::Trust::given : host::Trust::owned, problems);
  problems.sort();
  const auto notes = new_origins(configuration);
  if (common.json) {
    json::array list;
    for (const auto& problem : problems.list()) list.emplace_back(to_json(problem));
    print_json(json::object{{"directory", folder.string()},
                            {"channels", configuration.channels.size()},
                            {"problems", std::move(list)},
                            {"notes", json::array(notes.begin(), notes.end())}});
    if (!problems.empty()) throw Trouble{kConfiguration, ""};
    return;
  }
  for (const auto& problem : problems.list()) fmt::print("{}", config::render(problem));
  for (const auto& note : notes) fmt::print("note: {}\n", note);
  if (!problems.empty()) throw Trouble{kConfiguration, plural(problems.list().size(), "problem")};
  fmt::print("{}: {}, no problem\n", folder.string(),
             plural(configuration.channels.size(), "channel"));
}

std::vector<config::Manifest> manifests(const Common& common, config::Problems& problems) {
  return config::load(common.configuration, problems).manifests;
}

void run_plugins(const Common& common) {
  config::Problems problems;
  const auto found = manifests(common, problems);
  json::array list;
  for (const auto& manifest : found) {
    if (common.json) {
      list.emplace_back(config::to_json(manifest));
    } else {
      fmt::print("{} {} {}\n", column(manifest.name, 16), column(manifest.version, 10),
                 manifest.summary);
      fmt::print("                            {}\n", manifest.library.string());
    }
  }
  for (const auto& problem : problems.list()) {
    if (!problem.file.ends_with(".plugin.yaml")) continue;
    if (common.json) {
      list.emplace_back(to_json(problem));
    } else {
      fmt::print("{}", config::render(problem));
    }
  }
  if (common.json) return print_json(list);
  if (found.empty()) fmt::print("no plugins; the folders are named by 'plugins:' in voxbus.yaml\n");
}

void run_describe(const Common& common, const std::string& name) {
  config::Problems problems;
  const auto found = manifests(common, problems);
  const auto manifest =
      std::find_if(found.begin(), found.end(), [&](const auto& one) { return one.name == name; });
  if (manifest == found.end()) {
    std::vector<std::string> names;
    for (const auto& one : found) names.push_back(one.name);
    const auto meant = did_you_mean(name, names);
    throw Trouble{kFailed, "no plugin '" + name + "'" +
                               (meant ? "; did you mean '" + *meant + "'?"
                                      : "; 'voxbus plugins' lists them")};
  }
  if (common.json) return print_json(config::to_json(*manifest));
  fmt::print("{} {} ({})\n{}\n\n", manifest->name, manifest->version, manifest->id,
             manifest->summary);
  fmt::print("isolation: process{}; network: {} (declared, not enforced); ABI {}.{}\n\nsettings:\n",
             manifest->inline_permitted ? " or inline" : "", manifest->network, manifest->abi_major,
             manifest->abi_minor);
  for (const auto& rule : manifest->settings) {
    std::string more = rule.required                ? "required"
                       : rule.default_value.empty() ? ""
                                                    : "default " + rule.default_value;
    if (rule.secret) more += more.empty() ? "secret" : ", secret";
    if (rule.identity) more += more.empty() ? "names the origin" : ", names the origin";
    std::string type(config::name_of(rule.type));
    if (!rule.choices.empty()) {
      type.clear();
      for (const auto& choice : rule.choices) type += (type.empty() ? "" : "|") + choice;
    }
    fmt::print("  {} {} {}\n      {}\n", column(rule.name, 20), column(type, 16), more, rule.help);
  }
}

}  // namespace

void add_check(CLI::App& app, Common& common) {
  struct Options {
    std::string directory;
    bool trust = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand(
      "check", "Show every problem of every configuration file at once; exit 78 if there is one");
  command->add_option("DIRECTORY", options->directory, "Instead of --config");
  command->add_flag("--trust", options->trust, "Do not look at who may write the plugins' files");
  command->add_flag("--json", common.json, "As JSON");
  command->callback([=, &common] { run_check(common, options->directory, options->trust); });
}

void add_plugins(CLI::App& app, Common& common) {
  auto* command = app.add_subcommand("plugins", "List the plugins found, from their manifests");
  command->add_flag("--json", common.json, "As JSON");
  command->callback([&common] { run_plugins(common); });
}

void add_describe(CLI::App& app, Common& common) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("describe", "Show a plugin's settings, from its manifest");
  command->add_option("PLUGIN", *name, "As `voxbus plugins` lists it")->required();
  command->add_flag("--json", common.json, "As JSON");
  command->callback([=, &common] { run_describe(common, *name); });
}

void add_try(CLI::App& app, Common& common) {
  auto options = std::make_shared<TryOptions>();
  auto* command =
      app.add_subcommand("try", "Run a plugin without a daemon and print what it brings");
  command->add_option("FILE", options->library, "The plugin's .so, its manifest beside it")
      ->required();
  command->add_option("--set", options->settings, "key=value, once for each setting")->take_all();
  command->add_option("--cursor", options->cursor,
                      "Start after this cursor, in Base64 as the last run printed it");
  command->add_option("--region", options->region, "Country of phone numbers without one, as US");
  command->add_option("--limit", options->limit, "Stop after so many items")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
  command->add_flag("--trust", options->trust, "Load it whoever may write the file");
  command->add_flag("--follow", options->follow, "Go on after the first poll, until Ctrl-C");
  command->add_flag("--json", common.json, "One JSON object per line");
  command->callback([=, &common] {
    options->json = common.json;
    options->host_program = host::host_program();
    options->build = VOXBUS_BUILD;
    if (const int code = try_plugin(*options); code != 0) throw Trouble{code, ""};
  });
}

void add_schema(CLI::App& app, Common& common) {
  auto name = std::make_shared<std::string>();
  auto* command = app.add_subcommand("schema", "Print a JSON Schema of the records, or list them");
  command->add_option("NAME", *name, "As interaction.v1");
  command->add_flag("--json", common.json, "As JSON");
  command->callback([=, &common] {
    json::array names;
    for (const auto& schema : model::schemas()) {
      if (schema.name == *name) return fmt::print("{}", schema.text);
      names.emplace_back(schema.name);
    }
    if (!name->empty())
      throw Trouble{kFailed, "no schema '" + *name + "'; 'voxbus schema' lists them"};
    if (common.json) return print_json(names);
    for (const auto& schema : model::schemas()) fmt::print("{}\n", schema.name);
  });
}

}  // namespace voxbus::cli
