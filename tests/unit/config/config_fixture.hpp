// SPDX-License-Identifier: Apache-2.0
// A configuration folder that tests write like a person would.
#pragma once

#include <gtest/gtest.h>

#include <fstream>

#include "../testing.hpp"
#include "config/configuration.hpp"

namespace voxbus::config {

namespace fs = std::filesystem;

class ConfigurationTest : public testing::Test {
 protected:
  ConfigurationTest() {
    write("plugins/email.plugin.yaml", R"(id: org.voxbus.email
name: email
version: 0.1.0
abi: {major: 0, minor: 1}
isolation: [process]
settings:
  - {name: server, type: string, required: true, identity: true, help: Where the mail is}
  - {name: user, type: string, identity: true}
  - {name: password, type: string, secret: true}
  - {name: port, type: integer, minimum: 1, maximum: 65535}
  - {name: every, type: duration}
  - {name: mode, type: choice, choices: [idle, poll]}
)");
    write("voxbus.yaml", "plugins: [" + (folder / "plugins").string() + "]\n");
  }

  void write(const std::string& name, const std::string& text) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::binary) << text;
  }
  void channel(const std::string& settings, const std::string& more = "") {
    write("channels.d/support.yaml",
          "channel: support\nplugin: email\n" + more + "settings:\n" + settings);
  }
  const Configuration& loaded() {
    problems = {};
    configuration = load(folder, problems);
    return configuration;
  }
  std::string report() {
    loaded();
    std::string out;
    for (const auto& problem : problems.list()) out += render(problem);
    return out;
  }

  const test::Folder temporary;
  const fs::path& folder = temporary.path();
  Problems problems;
  Configuration configuration;
};

}  // namespace voxbus::config
