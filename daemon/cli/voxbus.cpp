// SPDX-License-Identifier: Apache-2.0
// voxbus: looks at the bus, follows it, exports from it, checks configurations, tries plugins.
#include <curl/curl.h>
#include <fmt/format.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstring>

#include "base/text.hpp"
#include "cli/commands.hpp"

namespace {

// A word that is no command, and which may have been meant.
int refuse_command(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  std::vector<std::string> known;
  std::string all;
  for (const auto* command : at->get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(command->get_name());
    all += (all.empty() ? "" : ", ") + known.back();
  }
  const auto words = app.remaining(true);
  const auto meant = words.empty() ? std::nullopt : voxbus::did_you_mean(words.front(), known);
  fmt::print(stderr, "voxbus{}: {}; {}\n", at == &app ? "" : " " + at->get_name(),
             words.empty() ? "a command is missing" : "there is no command '" + words.front() + "'",
             meant ? "did you mean '" + *meant + "'?" : "there are " + all);
  return voxbus::cli::kMisused;
}

}  // namespace

int main(int count, char** arguments) {
  using namespace voxbus::cli;
  std::setlocale(LC_CTYPE, "C.UTF-8");  // how wide a character is
  std::signal(SIGPIPE, SIG_DFL);        // voxbus tail | head ends
  ::curl_global_init(CURL_GLOBAL_DEFAULT);
  CLI::App app{"Looks at the Voxbus, follows it, exports from it and checks its configuration"};
  Common common;
  app.add_option("--config", common.configuration, "Folder with voxbus.yaml and channels.d/")
      ->capture_default_str();
  app.add_option("--url", common.url,
                 "Of another daemon, as http://bus.example.org:8420; needs a token");
  app.add_option("--token-file", common.token_file,
                 "File with the token for --url; else the variable VOXBUS_TOKEN");
  app.require_subcommand(1);
  app.fallthrough();  // --config, --url and --token-file may stand behind the verb as well
  app.set_version_flag("--version", "voxbus " VOXBUS_BUILD);
  app.footer(
      "Exit status: 0 done, 1 failed, 2 wrong usage, 69 no daemon, 78 configuration. Manual: man "
      "voxbus");
  for (const auto add :
       {add_check, add_plugins, add_describe, add_try, add_status, add_tail, add_export,
        add_consumer, add_quarantine, add_token, add_journal, add_schema}) {
    add(app, common);
  }
  auto* version = app.add_subcommand("version", "Print the version");
  version->add_flag("--json", common.json, "As JSON");
  version->callback([&common] {
    if (common.json) return print_json(voxbus::json::object{{"version", VOXBUS_BUILD}});
    fmt::print("voxbus {}\n", VOXBUS_BUILD);
  });
  try {
    app.parse(count, arguments);
    if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return 0;
    fmt::print(stderr, "voxbus: cannot write the output: {}\n", std::strerror(errno));
    return kFailed;
  } catch (const CLI::RequiredError& error) {
    const bool command =
        std::string_view(error.what()).find("subcommand") != std::string_view::npos;
    return command ? refuse_command(app) : (static_cast<void>(app.exit(error)), kMisused);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kMisused;
  } catch (const Trouble& trouble) {
    std::fflush(stdout);
    if (!trouble.message.empty()) fmt::print(stderr, "voxbus: {}\n", trouble.message);
    return trouble.code;
  } catch (const std::exception& error) {
    fmt::print(stderr, "voxbus: {}\n", error.what());
    return kFailed;
  }
}
