// SPDX-License-Identifier: Apache-2.0
// The commands of `voxbus`, one function each: it declares the command's options and what runs when
// it is chosen. `common` outlives the parser. What runs may throw Trouble.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/connection.hpp"

namespace voxbus::cli {

// --channel, --type, --kind … as every command that reads the bus takes them.
class FilterOptions {
 public:
  void declare(CLI::App& command);
  void add_to(Query& query) const;

 private:
  std::vector<std::string> channel_, type_, kind_, direction_, audience_, language_, text_,
      historic_;
};

void add_check(CLI::App& app, Common& common);
void add_plugins(CLI::App& app, Common& common);
void add_describe(CLI::App& app, Common& common);
void add_try(CLI::App& app, Common& common);
void add_status(CLI::App& app, Common& common);
void add_tail(CLI::App& app, Common& common);
void add_export(CLI::App& app, Common& common);
void add_consumer(CLI::App& app, Common& common);
void add_quarantine(CLI::App& app, Common& common);
void add_token(CLI::App& app, Common& common);
void add_journal(CLI::App& app, Common& common);
void add_schema(CLI::App& app, Common& common);

// "2026-11-22 10:42:17" of an RFC 3339 text, in local time.
[[nodiscard]] std::string local_time(std::string_view rfc3339);
// Text cut or padded to so many columns; wide characters count as the terminal shows them.
[[nodiscard]] std::string column(std::string_view text, std::size_t width);
void print_json(const json::value& value);

}  // namespace voxbus::cli
