// SPDX-License-Identifier: Apache-2.0
// status, tail, consumer: what asks the daemon.
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>

#include "base/text.hpp"
#include "base/units.hpp"
#include "cli/commands.hpp"

namespace voxbus::cli {
namespace {

std::string text_of(const json::object& in, std::string_view key, std::string_view otherwise = "") {
  return std::string(json::text_at(in, key).value_or(otherwise));
}
std::int64_t count_of(const json::object& in, std::string_view key) {
  return json::integer_at(in, key).value_or(0);
}

void print_channel(const json::object& channel) {
  const auto* counts = json::object_at(channel, "counts");
  const auto stored = counts ? count_of(*counts, "stored") : 0;
  const auto quarantined = counts ? count_of(*counts, "quarantined") : 0;
  const auto duplicates = counts ? count_of(*counts, "duplicates") : 0;
  fmt::print("  {} {} {} {:>9} stored {:>7} duplicates {:>5} quarantined  since {}\n",
             column(text_of(channel, "name"), 20), column(text_of(channel, "plugin"), 12),
             column(text_of(channel, "state"), 9), stored, duplicates, quarantined,
             local_time(text_of(channel, "since")));
  if (const auto reason = json::text_at(channel, "reason")) fmt::print("      {}\n", *reason);
  if (const auto remedy = json::text_at(channel, "remedy")) fmt::print("      -> {}\n", *remedy);
  if (const auto probe = text_of(channel, "probe", "ok"); probe != "ok")
    fmt::print("      probe: {}\n", probe);
}

void run_status(const Common& common) {
  const auto answer = Connection(common).get_json("/v1/status");
  if (common.json) return print_json(answer);
  const auto& status = answer.as_object();
  fmt::print("{} · voxbusd {} · pid {} · since {}\n", text_of(status, "installation"),
             text_of(status, "version"), count_of(status, "pid"),
             local_time(text_of(status, "started")));
  if (const auto* journal = json::object_at(status, "journal")) {
    fmt::print("journal: up to {}, {} in the write-ahead log{}\n", text_of(status, "end"),
               format_size(static_cast<std::uint64_t>(count_of(*journal, "wal_bytes"))),
               json::flag_at(*journal, "waiting_for_space")
                   ? "; THE DISK IS FULL: channels wait at their cursors until there is space"
                   : "");
    if (const auto lost = count_of(*journal, "rows_lost"))
      fmt::print("journal: {} rows were lost to damage and could not be salvaged\n", lost);
  }
  fmt::print("\nchannels (counted since the daemon's start):\n");
  const auto* channels = json::array_at(status, "channels");
  for (const auto& channel : channels ? *channels : json::array())
    print_channel(channel.as_object());
  if (!channels || channels->empty())
    fmt::print("  none; describe one in channels.d/ of the configuration\n");
  const auto* consumers = json::array_at(status, "consumers");
  if (!consumers || consumers->empty()) return;
  fmt::print("\nconsumers:\n");
  for (const auto& one : *consumers) {
    const auto& consumer = one.as_object();
    fmt::print("  {} at {}, {} behind, {} in flight, {} parked\n",
               column(text_of(consumer, "name"), 20), text_of(consumer, "floor"),
               count_of(consumer, "lag"), count_of(consumer, "in_flight"),
               count_of(consumer, "parked"));
  }
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 40) return size.ws_col;
  return 100;
}

// What happened, in the words of a person.
std::string words_of(const json::object& event) {
  const auto type = text_of(event, "type");
  const auto* data = json::object_at(event, "data");
  if (!data) return "(" + type + ", erased or past retention)";
  std::string out;
  if (type.find(".quarantined.") != type.npos) return "QUARANTINED: " + text_of(*data, "reason");
  if (type.find(".channel.") != type.npos)
    return "channel is " + text_of(*data, "state") +
           (data->contains("reason") ? ": " + text_of(*data, "reason") : "");
  if (type.find(".withdrawn.") != type.npos) out = "(withdrawn) ";
  if (type.find(".revised.") != type.npos) out = "(revised) ";
  if (const auto* call = json::object_at(*data, "call")) {
    out += fmt::format("call, {}: waited {}s, talked {}s", text_of(*call, "disposition"),
                       count_of(*call, "waited_seconds"), count_of(*call, "talked_seconds"));
  }
  out += text_of(*data, "title");
  if (const auto text = json::text_at(*data, "text"); text && !text->empty())
    out += (out.empty() ? "" : " — ") + std::string(*text);
  return one_line(out, 2000);
}

void print_event(const json::object& event) {
  const auto* data = json::object_at(event, "data");
  const auto* author = data ? json::object_at(*data, "author") : nullptr;
  auto person = author ? text_of(*author, "name") : "";
  if (person.empty() && author) person = text_of(*author, "handle");
  const auto source = text_of(event, "source");
  const auto channel = source.substr(source.rfind('/') + 1);
  // A line that goes into a file is neither filled up nor cut.
  const auto words = words_of(event);
  const auto width = terminal_width();
  fmt::print("{}  {} {} {}\n", local_time(text_of(event, "time", text_of(event, "recordedtime"))),
             column(channel, 16), column(person.empty() ? "-" : person, 22),
             ::isatty(STDOUT_FILENO) ? column(words, width > 64 ? width - 64 : 20) : words);
}

// The blocks of an event stream, as bytes arrive (WHATWG HTML, server-sent events).
class StreamReader {
 public:
  template<class OnEvent>
  void feed(std::string_view bytes, OnEvent&& on_event) {
    buffer_ += bytes;
    for (auto end = buffer_.find("\n\n"); end != std::string::npos; end = buffer_.find("\n\n")) {
      std::string data;
      for (std::size_t at = 0; at < end;) {
        const auto line_end = std::min(buffer_.find('\n', at), end);
        const auto line = std::string_view(buffer_).substr(at, line_end - at);
        if (line.starts_with("id: ")) last_id_ = line.substr(4);
        if (line.starts_with("data: ")) data += line.substr(6);
        at = line_end + 1;
      }
      if (!data.empty()) on_event(data);
      buffer_.erase(0, end + 2);
    }
  }
  [[nodiscard]] const std::string& last_id() const { return last_id_; }

 private:
  std::string buffer_, last_id_;
};

void run_tail(const Common& common, const std::string& from, const FilterOptions& filter,
              std::uint64_t limit) {
  std::string at = from;
  std::uint64_t printed = 0;
  bool was_there = false;  // whoever is not there from the start is not waited for
  // Comes back after a restart of the daemon, exactly where it was.
  for (auto pause = std::chrono::milliseconds(200);;
       pause = std::min<std::chrono::milliseconds>(pause * 2, std::chrono::seconds(10))) {
    StreamReader reader;
    bool ended = false;
    try {
      Connection connection(common);
      Query query;
      query.add("from", at);
      filter.add_to(query);
      ended = connection.stream(
          "/v1/stream" + query.text(), {"Accept: text/event-stream"}, [&](std::string_view bytes) {
            pause = std::chrono::milliseconds(200);
            was_there = true;
            bool more = true;
            reader.feed(bytes, [&](const std::string& data) {
              if (!more) return;
              if (common.json) {
                fmt::print("{}\n", data);
              } else if (const auto event = json::parse(data, 64); event && event->is_object()) {
                print_event(event->get_object());
              }
              more = ++printed < limit || limit == 0;
            });
            std::fflush(stdout);
            return more && !std::ferror(stdout);
          });
      was_there = true;
    } catch (const Trouble& trouble) {
      if (trouble.code != kUnreachable || !was_there) throw;
    }
    if (ended) return;
    if (!reader.last_id().empty()) at = reader.last_id();
    // Until it is time, or nobody reads us any more.
    pollfd reader_gone{STDOUT_FILENO, 0, 0};
    if (::poll(&reader_gone, 1, static_cast<int>(pause.count())) > 0) return;
  }
}

void run_consumer(const Common& common, const std::string& verb, const std::string& name) {
  Connection connection(common);
  if (verb == "delete") {
    connection.send("DELETE", "/v1/consumers/" + escaped(name));
    if (!common.json) fmt::print("{} is gone\n", name);
    return;
  }
  const auto answer =
      connection.get_json("/v1/consumers" + (name.empty() ? "" : "/" + escaped(name)));
  if (common.json || !name.empty()) return print_json(answer);
  const auto* list =
      answer.is_array() ? &answer.get_array() : json::array_at(answer.as_object(), "consumers");
  for (const auto& one : list ? *list : json::array()) {
    const auto& consumer = one.as_object();
    // Whole: it is what the other verbs take.
    fmt::print("{:<24} at {}, {} behind, {} in flight, {} parked\n", text_of(consumer, "name"),
               text_of(consumer, "floor"), count_of(consumer, "lag"),
               count_of(consumer, "in_flight"), count_of(consumer, "parked"));
  }
}

}  // namespace

void add_status(CLI::App& app, Common& common) {
  auto* command = app.add_subcommand("status", "Show channels, journal and consumers");
  command->add_flag("--json", common.json, "As JSON");
  command->callback([&common] { run_status(common); });
}

void add_tail(CLI::App& app, Common& common) {
  struct Options {
    std::string from = "now";
    FilterOptions filter;
    std::uint64_t limit = 0;
  };
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("tail", "Print events as they are committed");
  command
      ->add_option("--from", options->from,
                   "now, beginning, a sequence, or a time as 2026-11-22T10:00:00Z")
      ->capture_default_str();
  command->add_option("--limit", options->limit, "Stop after so many")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}));
  options->filter.declare(*command);
  command->add_flag("--json", common.json, "CloudEvents, one per line");
  command->callback(
      [=, &common] { run_tail(common, options->from, options->filter, options->limit); });
}

void add_consumer(CLI::App& app, Common& common) {
  auto* command = app.add_subcommand("consumer", "List, show or delete durable consumers");
  command->require_subcommand(1);
  for (const char* verb : {"list", "show", "delete"}) {
    auto name = std::make_shared<std::string>();
    auto* one = command->add_subcommand(verb, std::string(verb) == "list" ? "All of them"
                                              : std::string(verb) == "show"
                                                  ? "One, whole"
                                                  : "Forget one and its position");
    if (std::string(verb) != "list") one->add_option("NAME", *name, "Its name")->required();
    one->add_flag("--json", common.json, "As JSON");
    one->callback([=, &common] { run_consumer(common, verb, *name); });
  }
}

}  // namespace voxbus::cli
