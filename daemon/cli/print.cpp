// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <ctime>
#include <cwchar>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/commands.hpp"

namespace voxbus::cli {

std::string local_time(std::string_view rfc3339) {
  const auto time = parse_rfc3339(rfc3339);
  if (!time) return std::string(rfc3339);
  const std::time_t seconds_since = std::chrono::system_clock::to_time_t(*time);
  std::tm parts{};
  ::localtime_r(&seconds_since, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts)};
}

std::string column(std::string_view text, std::size_t width) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto whole = utf8_prefix(text.substr(at), 4);
    std::size_t length = 1;
    while (length < whole.size() && (static_cast<unsigned char>(whole[length]) & 0xC0) == 0x80)
      ++length;
    wchar_t wide = L' ';
    std::mbstate_t state{};
    const bool known = std::mbrtowc(&wide, text.data() + at, length, &state) == length;
    const int columns = known ? ::wcwidth(wide) : 1;
    const auto taken = static_cast<std::size_t>(columns < 0 ? 0 : columns);
    if (used + taken > width) break;
    if (columns >= 0) out.append(text, at, length);
    used += taken;
    at += length;
  }
  return out + std::string(width - used, ' ');
}

void print_json(const json::value& value) { fmt::print("{}\n", json::serialize(value)); }

void FilterOptions::declare(CLI::App& command) {
  const auto list = [&](const char* name, std::vector<std::string>& out, const char* help) {
    command.add_option(name, out, help)
        ->delimiter(',')
        ->group("Filters (several values: any of them; several filters: all)");
  };
  list("--channel", channel_, "Name of a channel");
  list("--type", type_, "As org.voxbus.interaction.received.v1, or interaction.*");
  list("--kind", kind_, "post, comment, message, mail, call, mention, review, reaction, in_person");
  list("--direction", direction_, "inbound or outbound");
  list("--audience", audience_, "public or private");
  list("--language", language_, "BCP 47; en also means en-GB");
  list("--historic", historic_, "true or false");
  command
      .add_option("--text", text_,
                  "RE2 pattern over title, words and author, without regard to case")
      ->group("Filters (several values: any of them; several filters: all)");
}

void FilterOptions::add_to(Query& query) const {
  const auto add = [&](const char* name, const std::vector<std::string>& values) {
    for (const auto& value : values) query.add(name, value);
  };
  add("channel", channel_);
  add("type", type_);
  add("kind", kind_);
  add("direction", direction_);
  add("audience", audience_);
  add("language", language_);
  add("text", text_);
  add("historic", historic_);
}

}  // namespace voxbus::cli
