// SPDX-License-Identifier: Apache-2.0
// token, journal: what works on the state directory itself.
#include <fmt/format.h>
#include <unistd.h>

#include "base/posix.hpp"
#include "cli/commands.hpp"
#include "config/configuration.hpp"
#include "journal/journal.hpp"
#include "journal/verify.hpp"
#include "serve/tokens.hpp"

namespace voxbus::cli {
namespace {

// What cannot be read for certain would lead to the state of another installation.
config::Configuration configuration_of(const Common& common) {
  if (std::error_code code; common.configuration != Common{}.configuration &&
                            !std::filesystem::is_directory(common.configuration, code)) {
    throw Trouble{kConfiguration, common.configuration.string() +
                                      " is no folder: name the one with voxbus.yaml in it"};
  }
  config::Problems problems;
  auto configuration = config::load(common.configuration, problems);
  if (!problems.fatal()) return configuration;
  std::string words;
  for (const auto& problem : problems.list()) {
    if (problem.channel.empty()) words += config::render(problem);
  }
  throw Trouble{kConfiguration, words};
}

void run_token(const Common& common, const std::string& verb, const std::string& name) {
  const auto file = configuration_of(common).state / "tokens.json";
  if (verb == "add") {
    const auto token = serve::add_token(file, name);
    if (!token) throw Trouble{kFailed, token.error().message};
    if (common.json) return print_json(json::object{{"name", name}, {"token", *token}});
    fmt::print("{}\n", *token);
    fmt::print(stderr,
               "This is the only time it is shown. Use: curl -H 'Authorization: Bearer {}' ...\n",
               *token);
  } else if (verb == "remove") {
    if (const auto removed = serve::remove_token(file, name); !removed)
      throw Trouble{kFailed, removed.error().message};
    if (!common.json) fmt::print("{} is gone\n", name);
  } else {
    const auto tokens = serve::read_tokens(file);
    if (!tokens) throw Trouble{kFailed, tokens.error().message};
    json::array list;
    for (const auto& token : *tokens) {
      if (common.json) {
        list.emplace_back(json::object{{"name", token.name}, {"created", token.created}});
      } else {
        fmt::print("{} since {}\n", column(token.name, 24), local_time(token.created));
      }
    }
    if (common.json) print_json(list);
  }
}

void run_verify(const Common& common, const std::string& directory) {
  const auto configuration = configuration_of(common);
  const std::filesystem::path journal =
      directory.empty() ? configuration.state / "journal" : std::filesystem::path(directory);
  std::optional<Key> master_key;
  if (configuration.master_key) {
    const auto secret = config::resolve(*configuration.master_key);
    if (!secret) throw Trouble{kConfiguration, secret.error().message};
    master_key = derive_key(*secret, "voxbus master key");
  }
  const bool progress = !common.json && ::isatty(STDERR_FILENO);
  const auto report =
      journal::verify(journal, master_key, [&](model::Position at, model::Position end) {
        if (progress) fmt::print(stderr, "\r{} of {} rows", at, end);
      });
  if (progress) fmt::print(stderr, "\r\033[K");
  if (!report) throw Trouble{kFailed, report.error().message};
  if (common.json) {
    print_json(
        json::object{{"installation", report->installation},
                     {"end", model::format(report->end)},
                     {"epochs", report->epochs},
                     {"rows", report->rows},
                     {"evidence", report->evidence},
                     {"evidence_gone", report->evidence_gone},
                     {"erased", report->erased},
                     {"known_lost", report->known_lost},
                     {"channels", report->channels},
                     {"whole", report->whole()},
                     {"problem_count", report->problem_count},
                     {"problems", json::array(report->problems.begin(), report->problems.end())}});
  } else {
    for (const auto& problem : report->problems) fmt::print("{}\n", problem);
    fmt::print(
        "{}: {} rows up to {}, {} with raw evidence, {} whose evidence is gone, {} erased, {} "
        "known "
        "to be lost, {} cursors: {}\n",
        journal.string(), report->rows, model::format(report->end), report->evidence,
        report->evidence_gone, report->erased, report->known_lost, report->channels,
        report->whole() ? "whole" : fmt::format("{} PROBLEMS", report->problem_count));
    if (!report->whole())
      fmt::print(
          "The daemon salvages what is readable when it next starts, keeps the damaged files "
          "beside "
          "it and counts what is lost; 'voxbus journal restored' after putting back a backup.\n");
  }
  if (!report->whole()) throw Trouble{kFailed, ""};
}

void run_restored(const Common& common) {
  const auto journal = configuration_of(common).state / "journal";
  if (const auto noted = journal::Journal::note_restored(journal); !noted)
    throw Trouble{kFailed, noted.error().message};
  if (common.json) return print_json(json::object{{"journal", journal.string()}});
  fmt::print("{}: the next start begins a new epoch\n", journal.string());
}

}  // namespace

void add_token(CLI::App& app, Common& common) {
  auto* command = app.add_subcommand("token", "Tokens for HTTP over TCP");
  command->require_subcommand(1);
  for (const std::string verb : {"add", "list", "remove"}) {
    auto name = std::make_shared<std::string>();
    auto* one = command->add_subcommand(verb, verb == "add"    ? "Make one and print it, once"
                                              : verb == "list" ? "Their names"
                                                               : "Take one back");
    if (verb != "list") one->add_option("NAME", *name, "Who uses it")->required();
    one->add_flag("--json", common.json, "As JSON");
    one->callback([=, &common] { run_token(common, verb, *name); });
  }
}

void add_journal(CLI::App& app, Common& common) {
  auto* command = app.add_subcommand("journal", "The journal itself");
  command->require_subcommand(1);
  auto directory = std::make_shared<std::string>();
  auto* verify = command->add_subcommand(
      "verify", "Check the chain, seals and keys of every row, live or stopped; changes nothing");
  verify->add_option("DIRECTORY", *directory, "The journal's folder, instead of <state>/journal");
  verify->add_flag("--json", common.json, "As JSON");
  verify->callback([=, &common] { run_verify(common, *directory); });
  auto* restored = command->add_subcommand(
      "restored", "Say that it was put back from a backup: the next start begins a new epoch");
  restored->add_flag("--json", common.json, "As JSON");
  restored->callback([&common] { run_restored(common); });
}

}  // namespace voxbus::cli
