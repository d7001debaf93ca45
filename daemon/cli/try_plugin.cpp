// SPDX-License-Identifier: Apache-2.0
#include "cli/try_plugin.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "base/json.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "config/manifest.hpp"
#include "config/settings.hpp"
#include "host/channel_socket.hpp"
#include "host/crash_mark.hpp"
#include "host/plugin_file.hpp"
#include "host/spawn.hpp"
#include "voxbus/abi.h"

namespace voxbus::cli {
namespace {

constexpr int kFailed = 1, kMisused = 2, kConfiguration = 78;
constexpr std::chrono::milliseconds kStartWithin{10'000};  // load and create, as in the daemon

volatile std::sig_atomic_t interrupted = 0;

// "key=value" lines as a settings mapping, so that the manifest checks them as it would a file.
std::string settings_yaml(const std::vector<std::string>& settings) {
  std::string text;
  for (const auto& setting : settings) {
    const auto equals = setting.find('=');
    text += setting.substr(0, equals) + ": " +
            (equals == setting.npos ? "" : setting.substr(equals + 1)) + '\n';
  }
  return text;
}

class Printer {
 public:
  explicit Printer(const TryOptions& options) : options_(options) {}

  // False once the limit is reached.
  bool print(const model::Batch& batch) {
    std::size_t printed = 0;
    for (const auto& item : batch.items) {
      if (is_full()) break;
      options_.json ? as_json(item) : as_line(item);
      ++printed;
      ++printed_;
    }
    // A cursor covers its whole batch: what the limit left out of it has to come again.
    if (batch.cursor && printed == batch.items.size()) cursor_ = *batch.cursor;
    std::fflush(stdout);
    return !is_full();
  }
  // Where --cursor goes on. Any bytes, therefore in Base64.
  void print_cursor() const {
    const auto cursor = to_base64(cursor_);
    if (options_.json)
      fmt::print("{}\n", json::serialize(json::object{{"cursor", cursor}}));
    else if (!cursor.empty())
      fmt::print(stderr, "cursor: {}\n", cursor);
    std::fflush(stdout);
  }

 private:
  static void as_json(const model::Item& item) {
    json::object out{{"native_id", item.native_id}};
    if (item.version) out["version"] = *item.version;
    if (item.occurred) out["occurred_at"] = format_rfc3339(*item.occurred);
    if (item.withdrawn) out["withdrawn"] = true;
    if (item.backfill) out["backfill"] = true;
    if (item.quarantined) out["quarantined"] = true;
    out["raw_size"] = item.raw.size();
    if (auto record = json::parse(item.record)) out["record"] = std::move(*record);
    fmt::print("{}\n", json::serialize(out));
  }
  static void as_line(const model::Item& item) {
    const auto parsed = json::parse(item.record);
    const auto record = parsed && parsed->is_object() ? parsed->get_object() : json::object();
    const auto* author = json::object_at(record, "author");
    const auto who = author ? json::text_at(*author, "handle").value_or("-") : "-";
    auto words = item.quarantined
                     ? "QUARANTINED: " + std::string(json::text_at(record, "reason").value_or(""))
                 : item.withdrawn ? "(withdrawn)"
                                  : std::string(json::text_at(record, "title").value_or(""));
    if (const auto text = json::text_at(record, "text"))
      words += (words.empty() ? "" : ": ") + std::string(*text);
    if (const auto* call = json::object_at(record, "call")) words += json::serialize(*call);
    for (auto& c : words) c = c == '\n' ? ' ' : c;
    fmt::print("{:<27} {:<10} {:<32} {}\n", item.occurred ? format_rfc3339(*item.occurred) : "-",
               json::text_at(record, "kind").value_or("-"), utf8_prefix(who, 32),
               utf8_prefix(words, 100));
  }

  [[nodiscard]] bool is_full() const { return options_.limit != 0 && printed_ >= options_.limit; }

  const TryOptions& options_;
  std::uint64_t printed_ = 0;
  std::string cursor_ = options_.cursor;
};

Result<host::Start> prepare(const TryOptions& options, const config::Manifest& manifest,
                            config::Problems& problems) {
  auto document = config::Document::parse("--set", settings_yaml(options.settings), problems);
  if (!document) return permanent("the settings cannot be read");
  auto settings = config::read_settings(*document, &document->root(), {}, manifest, problems);
  for (const auto& reference : settings.secrets) {
    VOXBUS_TRY(secret, config::resolve(reference));
    settings.values[reference.setting] = secret;
  }
  host::Start start;
  start.channel = "try";
  start.plugin = manifest.id;
  start.settings = json::serialize(settings.values);
  start.cursor = options.cursor;
  start.region = options.region;
  start.build = options.build;
  start.max_item = manifest.max_item;
  start.credit = 8u << 20;
  start.poll_every_ms = 1000;
  return start;
}

// Takes frames until the first poll came back (or for ever with --follow). The exit code; `ready`
// says whether the plugin came up.
int follow(host::Process& process, host::ChannelSocket& socket, const TryOptions& options,
           Printer& printer, bool& ready) {
  const auto started = std::chrono::steady_clock::now();
  while (interrupted == 0) {
    if (!ready && std::chrono::steady_clock::now() - started > kStartWithin) {
      fmt::print(stderr, "voxbus try: the plugin did not come up within {}\n",
                 format_duration(kStartWithin));
      return kFailed;
    }
    pollfd readable{socket.descriptor(), POLLIN, 0};
    if (::poll(&readable, 1, 200) <= 0) continue;
    const auto received = socket.receive();
    for (;;) {
      auto frame = socket.next();
      if (!frame) {
        fmt::print(stderr, "voxbus try: {}\n", frame.error().message);
        return kFailed;
      }
      if (!*frame) break;
      const auto& payload = (*frame)->payload;
      switch ((*frame)->type) {
        case host::FrameType::batch: {
          const auto batch = host::decode<model::Batch>(payload);
          if (!batch || !printer.print(*batch)) return batch ? 0 : kFailed;
          (void)socket.send(host::FrameType::credit, host::encode(host::Credit{1}));
          break;
        }
        case host::FrameType::ready:
          ready = true;
          break;
        case host::FrameType::log:
          if (const auto line = host::decode<host::LogLine>(payload))
            fmt::print(stderr, "log: {}\n", line->message);
          break;
        case host::FrameType::polled:
          if (const auto outcome = host::decode<host::Outcome>(payload)) {
            const bool good = outcome->status == VOXBUS_OK || outcome->status == VOXBUS_MORE;
            if (!good) {
              fmt::print(
                  stderr, "voxbus try: poll failed with status {}: {}\n", outcome->status,
                  outcome->message.empty() ? "the plugin does not say why" : outcome->message);
            }
            if (!options.follow && outcome->status != VOXBUS_MORE) return good ? 0 : kFailed;
          }
          break;
        case host::FrameType::refused:
          if (const auto outcome = host::decode<host::Outcome>(payload)) {
            fmt::print(stderr, "voxbus try: {}\n", outcome->message);
          }
          return kFailed;
        default:
          break;
      }
    }
    if (!received) {
      fmt::print(stderr, "voxbus try: the plugin's process {}\n", process.reap().words);
      return kFailed;
    }
  }
  return 0;
}

}  // namespace

int try_plugin(TryOptions options) {
  auto cursor = from_base64(options.cursor);
  if (!cursor) {
    fmt::print(
        stderr,
        "voxbus try: --cursor takes Base64, as an earlier run printed it behind 'cursor:'\n");
    return kMisused;
  }
  options.cursor = std::move(*cursor);
  config::Problems problems;
  auto manifest_file = options.library;
  manifest_file.replace_extension(".plugin.yaml");
  if (std::error_code code; !std::filesystem::exists(options.library, code)) {
    fmt::print(stderr, "voxbus try: there is no file {}\n", options.library.string());
    return kConfiguration;
  }
  if (std::error_code code; !std::filesystem::exists(manifest_file, code)) {
    fmt::print(
        stderr,
        "voxbus try: {0} has no manifest beside it: voxbus_add_plugin() of the SDK makes {1} when "
        "it is built, copy both; or make it: voxbus-describe {0} --output {2}\n",
        options.library.string(), manifest_file.filename().string(), manifest_file.string());
    return kConfiguration;
  }
  const auto manifest = config::read_manifest(manifest_file, problems);
  std::optional<Result<host::Start>> start;
  if (manifest) start = prepare(options, *manifest, problems);
  for (const auto& problem : problems.list()) fmt::print(stderr, "{}", config::render(problem));
  if (!manifest || !problems.empty()) return kConfiguration;
  if (!*start) {
    fmt::print(stderr, "voxbus try: {}\n", start->error().message);
    return kMisused;
  }
  auto library =
      host::open_plugin(options.library, options.trust ? host::Trust::given : host::Trust::owned);
  if (!library) {
    fmt::print(stderr, "voxbus try: {}; --trust loads it nevertheless\n", library.error().message);
    return kFailed;
  }
  auto mark = host::CrashMark::make();
  int ends[2];
  if (!mark || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return kFailed;
  FileDescriptor ours(ends[0]), theirs(ends[1]);
  auto process = host::spawn({options.host_program, theirs.get(), library->get(),
                              mark->descriptor(), manifest->memory, 256});
  if (!process) {
    fmt::print(stderr, "voxbus try: {}\n", process.error().message);
    return kFailed;
  }
  theirs.reset();
  host::ChannelSocket socket(std::move(ours), host::ChannelSocket::End::daemon);
  std::signal(SIGINT, [](int) { interrupted = 1; });
  int code = kFailed;
  bool ready = false;
  Printer printer(options);
  if (socket.send(host::FrameType::start, host::encode(**start)))
    code = follow(*process, socket, options, printer, ready);
  if (ready) printer.print_cursor();
  process->kill();
  (void)process->reap();
  return code;
}

}  // namespace voxbus::cli
