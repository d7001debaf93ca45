// SPDX-License-Identifier: Apache-2.0
#include "config/configuration.hpp"

#include <sys/stat.h>
#include <unicode/uloc.h>

#include <algorithm>
#include <cctype>

#include "config/mapping.hpp"
#include "config/places.hpp"
#include "model/limits.hpp"
#include "voxbus/abi.h"

namespace voxbus::config {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

bool is_channel_name(std::string_view name) {
  if (name.empty() || name.size() > 63 || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// A plugin is named, never pointed to: its folders are voxbus.yaml's to choose.
bool is_plugin_name(std::string_view name) {
  return !name.empty() && name.front() != '.' && name.find('/') == name.npos &&
         name.find('\0') == name.npos;
}

bool is_region(std::string_view region) {
  for (const char* const* known = uloc_getISOCountries(); *known; ++known) {
    if (region == *known) return true;
  }
  return false;
}

// A name or address as the Host header carries it, without a port.
bool is_host(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' &&
         std::all_of(host.begin(), host.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '.' || c == ':' || c == '[' || c == ']';
         });
}
bool is_origin(std::string_view origin) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (origin.starts_with(scheme)) return is_host(origin.substr(scheme.size()));
  }
  return false;
}

// Reads a list of words that all must be of one kind.
void read_words(Mapping& in, const char* key, std::vector<std::string>& out,
                bool (*is_right)(std::string_view), const char* what, const char* example) {
  if (!in.node(key)) return;
  out.clear();
  in.each_word(key, [&](const Node& word) {
    out.push_back(word.scalar);
    if (!is_right(word.scalar))
      in.report(word.mark,
                "'" + utf8_repaired(utf8_prefix(word.scalar, 64)) + "' in '" + key + "' is " + what,
                example);
  });
}

void read_region(Mapping& in, std::string& region) {
  const auto* node = in.node("region");
  if (in.text("region", region) && !is_region(region)) {
    in.report(node->mark, "'region' must be a country as ISO 3166 writes it", "as US, GB or DE");
  }
}

// Without all that voxbus.yaml says of them nobody knows which plugins there are.
enum class Plugins { known, unknown };

Plugins read_daemon(const Document& document, Configuration& out, Problems& problems) {
  Mapping in(document, document.root(), problems, "voxbus.yaml");
  read_listen(in, out.listen);
  read_socket(in, out.socket);
  read_state(in, out.state);
  const auto plugins =
      read_plugin_folders(in, out.plugin_folders) ? Plugins::known : Plugins::unknown;
  if (in.text("installation", out.installation) && !is_channel_name(out.installation)) {
    in.report(in.node("installation")->mark,
              "'installation' may hold a-z, 0-9 and '-' only, at most 63");
  }
  std::vector<std::pair<std::string_view, std::string>> levels;
  for (const auto level : kLogLevels) levels.emplace_back(level, level);
  in.choice("log_level", out.log_level, levels);
  read_words(in, "hosts", out.hosts, is_host, "no host name", "as bus.example.org");
  read_words(in, "origins", out.origins, is_origin, "no origin", "as https://desk.example.org");
  read_region(in, out.region);
  in.count("max_connections", out.max_connections, 1, 1'000'000);
  if (const auto* journal = in.node("journal")) {
    Mapping keys(document, *journal, problems, "journal");
    keys.size("wal_ceiling", out.wal_ceiling, 1 << 20, 1ull << 40);
    keys.size("queue", out.queue, 64 << 10, 1ull << 30);
    keys.finish();
  }
  if (const auto* key = in.node("master_key")) {
    out.master_key = read_secret(document, *key, "master_key", problems);
  }
  in.finish();
  return plugins;
}

void read_begin(Mapping& in, Begin& begin) {
  std::string text;
  if (!in.text("begin", text)) return;
  if (text == "now" || text == "all") {
    begin.kind = text == "now" ? Begin::Kind::now : Begin::Kind::all;
  } else if (auto date = parse_rfc3339(text)) {
    begin = {Begin::Kind::date, *date};
  } else {
    in.report(in.node("begin")->mark, "'begin' must be now, all or a date", "as begin: 2026-01-31");
  }
}

// The keys of a channel file that do not need its plugin.
void read_plain_keys(Mapping& in, Channel& channel) {
  in.flag("enabled", channel.enabled);
  in.duration("poll_every", channel.poll_every, 10ms, 7 * 24h);
  read_begin(in, channel.begin);
  in.choice("isolation", channel.isolated, {{"process", true}, {"inline", false}});
  in.choice("keep_raw", channel.keep_raw_of_all, {{"all", true}, {"quarantined", false}});
  read_region(in, channel.region);
  in.size("memory", channel.memory, kLeastMemory, kMostMemory);
  in.count("descriptors", channel.descriptors, 16, 65'536);
  in.duration("stop_within", channel.stop_within, kLeastStop, kMostStop);
}

// Why there is no such plugin: its manifest may be there and unreadable.
void report_missing(Mapping& in, const Node& plugin, const std::string& name,
                    const Configuration& all) {
  if (!is_plugin_name(name)) {
    return in.report(plugin.mark, "'plugin' takes a plugin's name, and no path",
                     "voxbus plugins lists the names; 'plugins:' in voxbus.yaml its folders");
  }
  std::string folders;
  for (const auto& folder : all.plugin_folders) {
    const auto manifest = folder / (name + ".plugin.yaml");
    if (std::error_code code; fs::exists(manifest, code)) {
      return in.report(plugin.mark,
                       "the manifest of plugin '" + utf8_repaired(name) + "' cannot be used",
                       "mend what is reported for " + manifest.string());
    }
    const auto library = folder / (name + ".so");
    if (std::error_code code; fs::exists(library, code)) {
      return in.report(
          plugin.mark, "plugin '" + utf8_repaired(name) + "' has no manifest beside its library",
          "copy " + manifest.filename().string() + " as well, or make it: " + "voxbus-describe " +
              library.string() + " --output " + manifest.string());
    }
    folders += (folders.empty() ? "" : ", ") + folder.string();
  }
  std::vector<std::string> names;
  for (const auto& known : all.manifests) names.push_back(known.name);
  const auto meant = did_you_mean(name, names);
  in.report(plugin.mark, "no plugin '" + utf8_repaired(name) + "' in " + folders,
            meant ? "did you mean '" + *meant + "'?" : "voxbus plugins lists what is installed");
}

void check_abi(Mapping& in, const Node& plugin, const Manifest& manifest) {
  if (manifest.abi_major == VOXBUS_ABI_MAJOR) return;
  in.report(plugin.mark,
            "plugin '" + manifest.name + "' speaks plugin ABI " +
                std::to_string(manifest.abi_major) + ", this program " +
                std::to_string(VOXBUS_ABI_MAJOR),
            "install a build of it for this version");
}

// An item is in memory several times over while it is read, normalised and framed.
void check_memory(Mapping& in, const Node& plugin, const Channel& channel) {
  const auto least = kLeastMemory + kCopiesOfAnItem * channel.max_item;
  if (channel.memory >= least) return;
  const auto* memory = in.node("memory");
  in.report(memory ? memory->mark : plugin.mark,
            "a memory of " + format_size(channel.memory) + " is too little for items of up to " +
                format_size(channel.max_item) + ", as plugin '" + channel.plugin + "' brings them",
            "write 'memory: " + std::to_string((least + (1 << 20) - 1) >> 20) + "MiB' or more");
}

// A file's identity and content as far as the file system tells them.
std::string stamp_of(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return "none";
  return std::to_string(status.st_dev) + ':' + std::to_string(status.st_ino) + ':' +
         std::to_string(status.st_size) + ':' + std::to_string(status.st_mtim.tv_sec) + '.' +
         std::to_string(status.st_mtim.tv_nsec);
}

// Two files may not describe one channel: which of them would get its cursor?
void check_twin(Mapping& in, const Mark& mark, const Channel& channel, const Configuration& all) {
  const auto twin = std::find_if(all.channels.begin(), all.channels.end(),
                                 [&](const auto& other) { return other.name == channel.name; });
  if (twin == all.channels.end()) return;
  in.report(mark, "channel '" + channel.name + "' is already described in " + twin->file.string(),
            "give one of the two another name");
}

struct ChannelFile {
  Channel channel;
  bool is_named = false;  // by the file's contents; else after the file
};

ChannelFile read_channel(const fs::path& file, const Configuration& all, Plugins plugins,
                         Problems& problems) {
  ChannelFile out;
  auto& channel = out.channel;
  channel.file = file;
  channel.name = file.stem().string();
  channel.region = all.region;
  // Under the file's whole name: what it says may be of no channel that another file describes.
  auto document = Document::read(file, problems, file.filename().string());
  if (!document) return out;
  Mapping in(*document, document->root(), problems, "a channel");
  const auto* name = in.required("channel");
  out.is_named = name && in.text("channel", channel.name);
  if (out.is_named) {
    document->confine_to(channel.name, problems);
    if (!is_channel_name(channel.name)) {
      in.report(name->mark,
                "a channel's name may hold a-z, 0-9 and '-' only, at most 63 characters");
    }
  }
  if (out.is_named) check_twin(in, name->mark, channel, all);
  const auto* plugin = in.required("plugin");
  in.text("plugin", channel.plugin);
  const auto* settings = in.node("settings");
  const auto manifest =
      std::find_if(all.manifests.begin(), all.manifests.end(),
                   [&](const auto& known) { return known.name == channel.plugin; });
  if (manifest != all.manifests.end()) {
    channel.library = manifest->library;
    channel.plugin_id = manifest->id;
    channel.memory = manifest->memory;
    channel.max_item = std::min<std::uint64_t>(manifest->max_item, model::kMaxItem);
    channel.stop_within = manifest->stop_within;
    if (plugin) check_abi(in, *plugin, *manifest);
  } else if (plugin && plugins == Plugins::known) {
    report_missing(in, *plugin, channel.plugin, all);
  }
  read_plain_keys(in, channel);
  in.finish();
  if (manifest != all.manifests.end()) {
    if (plugin) check_memory(in, *plugin, channel);
    channel.settings =
        read_settings(*document, settings, document->root().mark, *manifest, problems);
    channel.stamp = stamp_of(channel.library);
    for (const auto& secret : channel.settings.secrets) {
      if (secret.from == SecretReference::From::file) channel.stamp += ' ' + stamp_of(secret.name);
    }
    if (!channel.isolated && !manifest->inline_permitted) {
      in.report(in.node("isolation")->mark,
                "plugin '" + manifest->name + "' does not permit isolation: inline",
                "remove the line: it then runs in a process of its own");
    }
  }
  return out;
}

// One sentence per channel out of what was reported for it.
void mark_faulty(Configuration& out, const Problems& problems) {
  for (auto& channel : out.channels) {
    for (const auto& problem : problems.list()) {
      if (problem.channel != channel.name && problem.file != channel.file.string()) continue;
      if (!channel.faults.empty()) channel.faults += "; ";
      channel.faults += problem.file;
      if (problem.mark.line > 0) channel.faults += ':' + std::to_string(problem.mark.line);
      channel.faults += ": " + problem.message;
    }
  }
}

}  // namespace

Configuration load(const fs::path& directory, Problems& problems) {
  Configuration out;
  out.directory = directory;
  auto plugins = Plugins::known;
  std::error_code code;
  const auto main_file = directory / "voxbus.yaml";
  // "Not there" means defaults; "may not be looked at" must not.
  const bool is_there = fs::exists(fs::symlink_status(main_file, code));  // also one to nowhere
  if (is_there || (code && code != std::errc::no_such_file_or_directory)) {
    if (const auto document = Document::read(main_file, problems)) {
      plugins = read_daemon(*document, out, problems);
    } else {
      plugins = Plugins::unknown;
      out.plugin_folders.clear();
    }
  }
  if (const auto stray = directory / "voxbus.yml"; fs::exists(stray, code)) {
    // In the place of voxbus.yaml it wants another state, other addresses: no daemon may start
    // without them. Beside it, it is only told.
    problems.add({.file = stray.string(),
                  .message = "is not read",
                  .remedy = "call it voxbus.yaml",
                  .channel = is_there ? stray.filename().string() : ""});
  }
  out.manifests = find_manifests(out.plugin_folders, problems);
  const auto add = [&](Channel channel) {
    const bool twin = std::any_of(out.channels.begin(), out.channels.end(),
                                  [&](const auto& other) { return other.name == channel.name; });
    if (!twin) out.channels.push_back(std::move(channel));
  };
  std::vector<Channel> unnamed;
  for (const auto& file : files_in(directory / "channels.d", ".yaml", problems)) {
    auto read = read_channel(file, out, plugins, problems);
    if (read.is_named)
      add(std::move(read.channel));
    else
      unnamed.push_back(std::move(read.channel));
  }
  // Last: a file that cannot be read takes no name from one that can.
  for (auto& channel : unnamed) add(std::move(channel));
  for (const auto& file : files_in(directory / "channels.d", ".yml", problems)) {
    // Under its whole name: no fault of a channel that is read from a file beside it.
    problems.add({.file = file.string(),
                  .message = "is not read",
                  .remedy = "files of channels end with .yaml",
                  .channel = file.filename().string()});
  }
  problems.sort();
  mark_faulty(out, problems);
  return out;
}

}  // namespace voxbus::config
