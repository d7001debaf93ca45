// SPDX-License-Identifier: Apache-2.0
//
// voxbus-describe FILE.so [--json | --schema] [--output FILE]: prints what a plugin says about
// itself, as the manifest that stands beside it (YAML), as JSON, or as the JSON Schema of its
// settings. It runs code of the plugin, therefore at build time only.

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "voxbus/abi.h"
#include "voxbus/json.hpp"
#include "voxbus/manifest.hpp"

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
  return manifest;
}

int run(int count, char** words) {
  std::string path;
  std::string output;
  bool json = false;
  bool schema = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--json")
      json = true;
    else if (word == "--schema")
      schema = true;
    else if (word == "--output" && i + 1 < count)
      output = words[++i];
    else if (path.empty() && !word.starts_with("--"))
      path = word;
    else
      throw std::runtime_error("usage: voxbus-describe FILE.so [--json|--schema] [--output FILE]");
  }
  if (path.empty())
    throw std::runtime_error("usage: voxbus-describe FILE.so [--json|--schema] [--output FILE]");
  const Json manifest = describe(path);
  const std::string text = schema ? voxbus::settings_schema(manifest).dump(true) + "\n"
                           : json ? manifest.dump(true) + "\n"
                                  : yaml(manifest);
  if (output.empty()) {
    std::cout << text << std::flush;
    return std::cout ? 0 : 1;
  }
  std::ofstream file{output, std::ios::binary};
  file << text << std::flush;
  if (!file) throw std::runtime_error("cannot write " + output);
  return 0;
}

}  // namespace

int main(int count, char** words) {
  // A library that never comes back from being loaded must not hold up a build.
  ::alarm(30);
  try {
    return run(count, words);
  } catch (const std::exception& error) {
    std::cerr << "voxbus-describe: " << error.what() << "\n";
    return 1;
  }
}
