// SPDX-License-Identifier: Apache-2.0
//
// voxbus-describe FILE.so [--json | --schema] [--output FILE] [--within 30s]: prints what a plugin
// says about itself, as the manifest that stands beside it (YAML), as JSON, or as the JSON Schema
// of its settings. It runs code of the plugin, therefore at build time only, and in a process of
// its own, which is ended when it takes too long.

#include <dlfcn.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "voxbus/abi.h"
#include "voxbus/json.hpp"
#include "voxbus/manifest.hpp"
#include "voxbus/units.hpp"

namespace {

using voxbus::Json;

// A text as YAML reads it back: plain where nothing can be mistaken, else in double quotes, whose
// escapes are those of JSON.
std::string yaml_scalar(const Json& value) {
  const std::string* text = value.string();
  if (!text) return value.dump();
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,;.'()/_+*-";
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ/";
  const bool starts_well = !text->empty() && kLetters.find(text->front()) != kLetters.npos;
  bool digits_with_unit = false;  // 30s, 4MiB: not a number to YAML
  if (!text->empty() && text->front() >= '0' && text->front() <= '9') {
    const auto unit = text->find_first_not_of("0123456789");
    digits_with_unit =
        unit != text->npos && text->find_first_not_of("smhdKMGiB", unit) == text->npos;
  }
  std::string lower;
  for (const char c : *text) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  for (const char* word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}) {
    if (lower == word) return value.dump();
  }
  const bool plain = (starts_well || digits_with_unit) &&
                     text->find_first_not_of(kPlain) == text->npos && text->back() != ' ';
  return plain ? *text : value.dump();
}

std::string yaml_inline(const Json& value) {
  std::string out;
  if (const auto* elements = value.array()) {
    for (const Json& element : *elements) {
      const bool comma_inside =
          element.string() && element.string()->find(',') != std::string::npos;
      out += (out.empty() ? "" : ", ") + (comma_inside ? element.dump() : yaml_scalar(element));
    }
    return "[" + out + "]";
  }
  if (const auto* members = value.object()) {
    for (const auto& [name, member] : *members) {
      out += (out.empty() ? "" : ", ") + name + ": " + yaml_scalar(member);
    }
    return "{" + out + "}";
  }
  return yaml_scalar(value);
}

std::string yaml(const Json& manifest) {
  std::string out = "# Generated at build time from the plugin's own description.\n";
  for (const auto& [name, value] : *manifest.object()) {
    const auto* elements = value.array();
    if (name != "settings" || !elements || elements->empty()) {
      out += name + ": " + yaml_inline(value) + "\n";
      continue;
    }
    out += "settings:\n";
    for (const Json& setting : *elements) {
      const char* indent = "  - ";
      for (const auto& [key, member] : *setting.object()) {
        out += indent + key + ": " + yaml_inline(member) + "\n";
        indent = "    ";
      }
    }
  }
  return out;
}

// The daemon reads settings as the keys of a YAML mapping, and `voxbus try --set` as NAME=VALUE.
void check_settings(const std::string& path, const Json& manifest) {
  const Json* settings = manifest.find("settings");
  if (!settings || !settings->array()) return;
  std::vector<std::string_view> names;
  for (const Json& setting : *settings->array()) {
    const std::string_view name = setting.text("name");
    const bool plain = !name.empty() && (name.front() < '0' || name.front() > '9') &&
                       name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == name.npos;
    if (!plain) {
      throw std::runtime_error(path + ": a setting is named '" + std::string{name} +
                               "': a-z, 0-9 and '_' are possible, not beginning with a digit");
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      throw std::runtime_error(path + ": two settings are named '" + std::string{name} + "'");
    }
    names.push_back(name);
  }
}

struct Text {
  voxbus_writer base;
  std::string text;
};

Json describe(const std::string& path) {
  void* library = ::dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(::dlerror());
  const auto* entry = static_cast<const voxbus_plugin*>(::dlsym(library, VOXBUS_ENTRY_SYMBOL));
  if (!entry) throw std::runtime_error(path + ": does not export " VOXBUS_ENTRY_SYMBOL);
  if (entry->size < sizeof(voxbus_plugin) || entry->abi_major != VOXBUS_ABI_MAJOR) {
    throw std::runtime_error(path + ": made for another version of the ABI");
  }
  Text text{{sizeof(voxbus_writer), 0,
             [](const voxbus_writer* self, voxbus_view piece) {
               const_cast<Text*>(reinterpret_cast<const Text*>(self))
                   ->text.append(piece.data, piece.size);
             }},
            {}};
  if (entry->describe(&text.base) != VOXBUS_OK)
    throw std::runtime_error(path + ": describe failed");
  Json manifest = Json::parse(text.text).value();
  if (!manifest.object()) throw std::runtime_error(path + ": the manifest is no object");
  const std::string stem = std::filesystem::path{path}.stem().string();
  if (manifest.text("name") != stem) {
    throw std::runtime_error(path + ": the plugin calls itself '" +
                             std::string{manifest.text("name")} + "', its file is named '" + stem +
                             "': set About::name or rename the file");
  }
  if (manifest.text("id") != entry->id || manifest.text("version") != entry->version) {
    throw std::runtime_error(path + ": the manifest contradicts the entry's id or version");
  }
  check_settings(path, manifest);
  return manifest;
}

struct Options {
  std::string path;
  std::string output;
  bool json = false;
  bool schema = false;
  std::chrono::milliseconds within{30'000};
};

Options read_options(int count, char** words) {
  constexpr const char* kUsage =
      "usage: voxbus-describe FILE.so [--json|--schema] [--output FILE] [--within 30s]";
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--json")
      options.json = true;
    else if (word == "--schema")
      options.schema = true;
    else if (word == "--output" && i + 1 < count)
      options.output = words[++i];
    else if (word == "--within" && i + 1 < count) {
      const auto within = voxbus::parse_duration(words[++i]);
      if (!within || within->count() < 1 || *within > std::chrono::hours{1})
        throw std::runtime_error("--within takes a duration from 1ms to 1h, such as 30s");
      options.within = *within;
    } else if (options.path.empty() && !word.starts_with("--"))
      options.path = word;
    else
      throw std::runtime_error(kUsage);
  }
  if (options.path.empty()) throw std::runtime_error(kUsage);
  return options;
}

int print(const Options& options) {
  const Json manifest = describe(options.path);
  const std::string text = options.schema ? voxbus::settings_schema(manifest).dump(true) + "\n"
                           : options.json ? manifest.dump(true) + "\n"
                                          : yaml(manifest);
  if (options.output.empty()) {
    std::cout << text << std::flush;
    return std::cout ? 0 : 1;
  }
  std::ofstream file{options.output, std::ios::binary};
  file << text << std::flush;
  if (!file) throw std::runtime_error("cannot write " + options.output);
  return 0;
}

// The exit code of `work`, with what it throws said.
int guarded(const std::function<int()>& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    std::cerr << "voxbus-describe: " << error.what() << "\n";
    return 1;
  }
}

// Runs `print` in a child, so that a library that never comes back from being loaded holds up no
// build, whatever it does to signals and timers.
int print_in_time(const Options& options) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error(std::string{"cannot fork: "} + std::strerror(errno));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(1);
    const int code = guarded([&] { return print(options); });
    std::_Exit(code);  // what the library leaves for the end of the process is not asked for
  }
  const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
  if (descriptor < 0) {
    const int cause = errno;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    throw std::runtime_error(std::string{"cannot watch the child: "} + std::strerror(cause));
  }
  const auto deadline = std::chrono::steady_clock::now() + options.within;
  pollfd ended{descriptor, POLLIN, 0};
  int got = 0;
  do {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    got = ::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  } while (got < 0 && errno == EINTR);
  if (got <= 0) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(descriptor);
  if (got <= 0) {
    throw std::runtime_error(options.path + ": neither loaded nor described within " +
                             voxbus::show(options.within) + "; its process was ended");
  }
  if (WIFSIGNALED(status)) {
    throw std::runtime_error(options.path + ": died of signal " + std::to_string(WTERMSIG(status)) +
                             " (" + ::strsignal(WTERMSIG(status)) +
                             ") while it was loaded and described");
  }
  return WEXITSTATUS(status);
}

}  // namespace

int main(int count, char** words) {
  return guarded([&] { return print_in_time(read_options(count, words)); });
}
