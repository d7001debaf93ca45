// SPDX-License-Identifier: Apache-2.0
// export: everything recorded since a time, as NDJSON or CSV, in whole lines, so that an
// interrupted export goes on where it stopped.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/posix.hpp"
#include "base/time.hpp"
#include "cli/commands.hpp"
#include "model/event.hpp"

namespace voxbus::cli {
namespace {

struct ExportOptions {
  std::string since, until, format = "ndjson", output;
  bool resume = false;
  FilterOptions filter;
};

// RFC 4180, and a quote before what a spreadsheet would take for a formula.
void append_cell(std::string& out, std::string_view text) {
  if (!out.empty() && out.back() != '\n') out += ',';
  const bool formula =
      !text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos;
  out += '"';
  if (formula) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

constexpr std::string_view kColumns[] = {
    "sequence",       "time",      "recordedtime", "type",        "channel",
    "kind",           "direction", "audience",     "author",      "name",
    "conversation",   "title",     "text",         "disposition", "waited_seconds",
    "talked_seconds", "state",     "reason",       "native_id",   "id"};

std::string csv_header() {
  std::string out;
  for (const auto name : kColumns) append_cell(out, name);
  return out + "\r\n";
}

std::string csv_row(const json::object& event) {
  static const json::object kNone;
  const auto* data = json::object_at(event, "data");
  const auto* author = data ? json::object_at(*data, "author") : nullptr;
  const auto cell = [](const json::object* in, std::string_view key) {
    return std::string(json::text_at(in ? *in : kNone, key).value_or(""));
  };
  std::string out;
  for (const auto key : {"sequence", "time", "recordedtime", "type"})
    append_cell(out, cell(&event, key));
  for (const auto key : {"channel", "kind", "direction", "audience"})
    append_cell(out, cell(data, key));
  append_cell(out, cell(author, "handle"));
  append_cell(out, cell(author, "name"));
  for (const auto key : {"conversation", "title", "text"}) append_cell(out, cell(data, key));
  const auto* call = data ? json::object_at(*data, "call") : nullptr;
  append_cell(out, cell(call, "disposition"));
  for (const auto key : {"waited_seconds", "talked_seconds"}) {
    const auto seconds = call ? json::integer_at(*call, key) : std::nullopt;
    append_cell(out, seconds ? std::to_string(*seconds) : "");
  }
  for (const auto key : {"state", "reason", "native_id"}) append_cell(out, cell(data, key));
  append_cell(out, cell(&event, "id"));
  return out + "\r\n";
}

struct Record {
  std::string sequence, id;  // of its event
};

// Where the last whole record of an earlier export ends, and what it says.
struct Found {
  off_t end = 0;
  Record last;
};

// A whole record, without its line break; nothing when it is none of ours. The header of a CSV file
// is whole as well, and says nothing.
std::optional<Record> read_record(const std::string& text, bool csv, bool first) {
  if (csv && first)
    return text + '\n' == csv_header() ? std::optional<Record>(Record{}) : std::nullopt;
  Record out;
  if (csv) {  // the first cell and the last; neither has a quote in it
    const auto last = text.rfind(",\"");
    if (text.starts_with('"') && last != text.npos) {
      out.sequence = text.substr(1, text.find('"', 1) - 1);
      out.id = text.substr(last + 2, text.find('"', last + 2) - last - 2);
    }
  } else if (const auto event = json::parse(text, 64); event && event->is_object()) {
    out.sequence = json::text_at(event->get_object(), "sequence").value_or("");
    out.id = json::text_at(event->get_object(), "id").value_or("");
  }
  return model::parse_sequence(out.sequence) ? std::optional(out) : std::nullopt;
}

// Reads the file once, whatever its size, keeping only the record at hand. Anything but an export
// of that format is refused: it would be cut, and continued with something else.
Found last_record(const std::string& path, bool csv) {
  const auto file = open_file(path, O_RDONLY);
  if (!file) throw Trouble{kFailed, file.error().message};
  const auto foreign = [&](const std::string& where) {
    return Trouble{kFailed, path + " was not written by 'export --format " +
                                (csv ? "csv" : "ndjson") + "' (" + where +
                                "): it is left as it is, name another file"};
  };
  Found found;
  std::uint64_t records = 0;
  std::string record;
  bool quoted = false;
  off_t at = 0;
  char buffer[65536];
  for (ssize_t got; (got = ::read(file->get(), buffer, sizeof buffer)) > 0;) {
    for (ssize_t i = 0; i < got; ++i) {
      const char c = buffer[i];
      ++at;
      if (csv && c == '"') quoted = !quoted;
      if (c != '\n' || quoted) {
        record += c;
        continue;
      }
      const auto read = read_record(record, csv, records == 0);
      if (!read) throw foreign("record " + std::to_string(records + 1));
      if (!read->sequence.empty()) found.last = *read;
      found.end = at;
      ++records;
      record.clear();
    }
  }
  // What an interruption left behind the last whole record; at the beginning only what could be
  // one.
  const bool ours = csv ? csv_header().starts_with(record)
                        : std::string_view("{\"").starts_with(record.substr(0, 2));
  if (records == 0 && !record.empty() && !ours) throw foreign("its beginning");
  return found;
}

// What --output holds already.
Found find_earlier(const ExportOptions& options) {
  if (options.output.empty() || ::access(options.output.c_str(), F_OK) != 0) return {};
  if (!options.resume)
    throw Trouble{kFailed, options.output + " is already there: --resume goes on with it"};
  return last_record(options.output, options.format == "csv");
}

class Output {
 public:
  Output(const ExportOptions& options, const Found& found)
      : csv_(options.format == "csv"), begun_(found.end > 0) {
    if (options.output.empty()) {
      file_ = FileDescriptor(::dup(STDOUT_FILENO));
    } else {
      auto file = open_file(options.output, O_WRONLY | O_CREAT, 0600);
      if (!file) throw Trouble{kFailed, file.error().message};
      file_ = std::move(*file);
      if (::ftruncate(file_.get(), found.end) != 0 || ::lseek(file_.get(), 0, SEEK_END) < 0) {
        throw Trouble{kFailed, system_error("cut " + options.output, errno).message};
      }
    }
    if (csv_ && !begun_) write(csv_header());
  }
  void write(std::string_view bytes) {
    if (const auto written = write_all(file_.get(), bytes, "the export"); !written)
      throw Trouble{kFailed, written.error().message};
  }
  [[nodiscard]] bool csv() const { return csv_; }

 private:
  bool csv_;
  bool begun_;
  FileDescriptor file_;
};

// The same sequence is another event where the file came from another installation, or from this
// one before an older copy of its journal was put back.
void expect_same_bus(Connection& connection, const Record& last, const std::string& file) {
  const auto event = connection.get_json("/v1/events/" + escaped(last.sequence));
  if (event.is_object() && json::text_at(event.get_object(), "id").value_or("") == last.id) return;
  throw Trouble{kFailed, file + " ends with another event as " + last.sequence +
                             " than this bus has: it was exported elsewhere, or before a copy of "
                             "the journal was put back; it is left as it is, name another file"};
}

void run_export(const Common& common, const ExportOptions& options) {
  const auto since = parse_rfc3339(options.since);
  if (!since) throw Trouble{kMisused, "--since: " + since.error().message};
  std::optional<TimePoint> until;
  if (!options.until.empty()) {
    const auto parsed = parse_rfc3339(options.until);
    if (!parsed) throw Trouble{kMisused, "--until: " + parsed.error().message};
    until = *parsed;
    if (*since >= *until) throw Trouble{kMisused, "--until must be later than --since"};
  }
  Connection connection(common);
  const auto earlier = find_earlier(options);
  std::string from = earlier.last.sequence;
  if (from.empty()) {
    from = format_rfc3339(*since);
  } else {
    expect_same_bus(connection, earlier.last, options.output);
  }
  Output output(options, earlier);
  std::string end;  // the bus as it was when we began: an export has an end
  std::uint64_t count = 0;
  const bool progress = !options.output.empty() && ::isatty(STDERR_FILENO);
  for (;;) {
    Query query;
    query.add("from", from).add("limit", "5000");
    options.filter.add_to(query);
    const auto answer = connection.get("/v1/events" + query.text(), "application/x-ndjson");
    const auto next = answer.headers.at("voxbus-next");
    if (end.empty()) end = answer.headers.at("voxbus-end");
    std::string block;
    std::string_view left = answer.body;
    bool past_until = false;
    while (!left.empty() && !past_until) {
      const auto line = left.substr(0, left.find('\n'));
      left.remove_prefix(std::min(left.size(), line.size() + 1));
      if (line.empty()) continue;
      const auto event = json::parse(line, 64);
      if (!event || !event->is_object())
        throw Trouble{kFailed, "the daemon sent something that is no event"};
      const auto& fields = event->get_object();
      if (until) {
        const auto recorded = parse_rfc3339(json::text_at(fields, "recordedtime").value_or(""));
        past_until = recorded && *recorded >= *until;
        if (past_until) break;
      }
      if (json::text_at(fields, "sequence").value_or("") > end) {
        past_until = true;
        break;
      }
      block += output.csv() ? csv_row(fields) : std::string(line) + '\n';
      ++count;
    }
    output.write(block);
    if (progress) fmt::print(stderr, "\r{} events, at {} of {}", count, next, end);
    if (past_until || next >= end || next == from) break;
    from = next;
  }
  if (progress) fmt::print(stderr, "\r\033[K{} events written to {}\n", count, options.output);
}

}  // namespace

void add_export(CLI::App& app, Common& common) {
  auto options = std::make_shared<ExportOptions>();
  auto* command = app.add_subcommand("export", "Write everything recorded since a time");
  command
      ->add_option("--since", options->since,
                   "A date or a time, as 2026-11-01 or 2026-11-01T08:00:00Z")
      ->required();
  command->add_option("--until", options->until, "Only what was recorded before");
  auto* format = command->add_option("--format", options->format, "ndjson or csv")
                     ->check(CLI::IsMember({"ndjson", "csv"}))
                     ->capture_default_str();
  command->add_flag("--json", common.json, "The same as --format ndjson")->excludes(format);
  auto* output =
      command->add_option("--output", options->output, "A file; otherwise standard output");
  command
      ->add_flag(
          "--resume", options->resume,
          "Go on where an interrupted export to the same file, with the same filter, stopped")
      ->needs(output);
  options->filter.declare(*command);
  command->callback([=, &common] { run_export(common, *options); });
}

}  // namespace voxbus::cli
