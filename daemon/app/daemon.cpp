// SPDX-License-Identifier: Apache-2.0
#include "app/daemon.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "app/intake_wiring.hpp"
#include "app/status.hpp"
#include "base/log.hpp"
#include "base/posix.hpp"
#include "bus/positions.hpp"
#include "config/places.hpp"
#include "host/spawn.hpp"
#include "intake/normalise.hpp"
#include "model/limits.hpp"
#include "voxbus/abi.h"

namespace voxbus::app {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr auto kTurn = 1s;            // how often main looks around
constexpr auto kLoopsMayRest = 10s;   // a loop that did not turn for so long hangs
constexpr auto kCommitMayTake = 30s;  // a slow disk is no hang

// Nothing is acknowledged any more; the service manager starts us again, and the journal is mended.
[[noreturn]] void end_at_once(const Error& error) {
  log::critical("the journal cannot go on: {}; ending, so that a restart can mend it",
                error.message);
  ::_exit(kFailure);
}

serve::Replayed replayed(const host::Outcome& outcome) {
  using What = serve::Replayed::Outcome;
  switch (outcome.status) {
    case VOXBUS_OK:
      return {What::readable, {}};
    case VOXBUS_PERMANENT:
    case VOXBUS_UNSUPPORTED:
      return {What::unreadable, outcome.message};
    default:
      return {What::not_now, outcome.message.empty() ? "the plugin could not" : outcome.message};
  }
}

serve::FileFound file_found(host::Outcome outcome) {
  using What = serve::FileFound::Outcome;
  switch (outcome.status) {
    case VOXBUS_OK:
      return {What::found, std::move(outcome.file), {}};
    case VOXBUS_PERMANENT:
    case VOXBUS_UNSUPPORTED:
      return {What::none, {}, std::move(outcome.message)};
    default:
      return {What::not_now,
              {},
              outcome.message.empty() ? "the plugin could not" : std::move(outcome.message)};
  }
}

}  // namespace

Daemon::~Daemon() = default;

config::Configuration Daemon::read_configuration(config::Problems& problems) const {
  std::error_code code;
  if (overrides_.configuration_named && !fs::is_directory(overrides_.configuration, code)) {
    problems.add({.file = overrides_.configuration.string(),
                  .message = "there is no such folder",
                  .remedy = "name the one with voxbus.yaml and channels.d/"});
  }
  auto configuration = config::load(overrides_.configuration, problems);
  if (overrides_.state) configuration.state = *overrides_.state;
  if (overrides_.listen) configuration.listen = *overrides_.listen;
  if (overrides_.log_level) configuration.log_level = *overrides_.log_level;
  if (configuration.socket.empty()) {
    // systemd's RuntimeDirectory=; else beside the state, which only our own user can reach.
    const char* runtime = std::getenv("RUNTIME_DIRECTORY");
    configuration.socket = (runtime ? fs::path(runtime) : configuration.state) / "voxbus.sock";
    if (const auto size = configuration.socket.string().size(); size > config::kMaxSocketPath) {
      problems.add({.file = (overrides_.configuration / "voxbus.yaml").string(),
                    .message = "the default of 'socket', " + configuration.socket.string() +
                               ", has " + std::to_string(size) +
                               " bytes: a socket's path may have " +
                               std::to_string(config::kMaxSocketPath),
                    .remedy = "name a shorter one, as 'socket: /run/voxbus/voxbus.sock'"});
    }
  }
  return configuration;
}

std::optional<int> Daemon::configure() {
  config::Problems problems;
  auto configuration = read_configuration(problems);
  for (const auto& problem : problems.list()) std::fputs(config::render(problem).c_str(), stderr);
  if (problems.fatal()) return kConfigurationFault;
  start_logging("voxbusd", configuration.log_level);
  state_ = configuration.state;
  configuration_.with([&](auto& held) { held = std::move(configuration); });
  problems_.with([&](auto& held) { held = std::move(problems); });
  return std::nullopt;
}

std::optional<int> Daemon::open_journal() {
  journal::Options options;
  options.directory = state_ / "journal";
  options.clock = &clock_;
  options.on_fatal = end_at_once;
  options.told = bus::highest_told(state_ / "positions");
  std::optional<config::SecretReference> master_key;
  configuration_.with([&](const auto& configuration) {
    options.installation = configuration.installation;
    options.wal_ceiling = configuration.wal_ceiling;
    // Whoever keeps to its credit never meets this limit: credit, a batch in the making, and one
    // item of the largest size.
    options.queue_bytes = 2 * configuration.queue + 2 * model::kMaxItem;
    master_key = configuration.master_key;
  });
  if (master_key) {
    const auto secret = config::resolve(*master_key);
    if (!secret) {
      log::error("{}", secret.error().message);
      return kConfigurationFault;
    }
    options.master_key = derive_key(*secret, "voxbus master key");
  }
  if (auto made = make_directory(state_); !made) {
    log::error("{}", made.error().message);
    return kFailure;
  }
  if (const auto sound = config::check_state(state_); !sound) {
    log::error("{}", sound.error().message);
    return kConfigurationFault;
  }
  auto opened = journal::Journal::open(std::move(options));
  if (!opened) {
    log::error("{}", opened.error().message);
    return kFailure;
  }
  journal_ = std::move(*opened);
  const auto configured =
      configuration_.with([](const auto& configuration) { return configuration.installation; });
  if (configured != journal_->installation()) {
    log::warn("installation '{}' of voxbus.yaml is not used: this journal was made as '{}'",
              configured, journal_->installation());
  }
  return std::nullopt;
}

std::optional<int> Daemon::open_bus() {
  feed_ = std::make_unique<bus::Feed>(*journal_);
  auto consumers = bus::Consumers::open(state_ / "positions", *feed_, clock_);
  if (!consumers) {
    log::error("{}", consumers.error().message);
    return kFailure;
  }
  consumers_ = std::move(*consumers);
  return std::nullopt;
}

std::optional<int> Daemon::listen() {
  serve::Options options;
  configuration_.with([&](const auto& configuration) {
    options.listen = configuration.listen;
    options.socket = configuration.socket;
    options.hosts = configuration.hosts;
    options.origins = configuration.origins;
    options.max_connections = configuration.max_connections;
  });
  options.endpoint = state_ / "endpoint.json";
  options.tokens = state_ / "tokens.json";
  options.version = VOXBUS_BUILD;
  options.clock = &clock_;
  options.status = [this] { return status_json(); };
  options.plugins = [this] {
    return configuration_.with([&](const auto& configuration) {
      return problems_.with(
          [&](const auto& problems) { return plugins_json(configuration.manifests, problems); });
    });
  };
  options.not_ready = [this]() -> std::optional<std::string> {
    const auto stats = journal_->stats();
    if (stats.failed) return "the journal failed";
    if (stats.waiting_for_space)
      return "the disk is full: channels wait at their cursors until there is space";
    if (stats.waiting_for_lock)
      return "another process holds the journal's lock: end whatever has journal.db open";
    return std::nullopt;
  };
  options.replay = [this](serve::Replay wanted, std::function<void(serve::Replayed)> done) {
    supervisor_->reread(
        wanted.channel, {wanted.position, std::move(wanted.native_id), std::move(wanted.raw), {}},
        [done = std::move(done)](const host::Outcome& outcome) { done(replayed(outcome)); });
  };
  options.find_file = [this](serve::FileWanted wanted, std::function<void(serve::FileFound)> done) {
    supervisor_->reread(
        wanted.channel,
        {wanted.position, std::move(wanted.native_id), std::move(wanted.raw),
         std::move(wanted.sha256)},
        [done = std::move(done)](host::Outcome outcome) { done(file_found(std::move(outcome))); });
  };
  auto server = serve::Server::start(std::move(options), *journal_, *feed_, *consumers_);
  if (!server) {
    log::error("{}", server.error().message);
    return kFailure;
  }
  server_ = std::move(*server);
  return std::nullopt;
}

void Daemon::supervise() {
  host::Surroundings around;
  around.journal = journal_.get();
  around.clock = &clock_;
  around.admit = intake::admit;
  around.make_intake = make_intake;
  around.host_program = host::host_program();
  around.build = VOXBUS_BUILD;
  around.set_aside = state_ / "plugins-set-aside.json";
  // For tests and demonstrations from a build folder; said aloud, because it gives up a check.
  const char* trust = std::getenv("VOXBUS_TRUST_PLUGINS");
  around.trust_plugins = trust && std::string_view(trust) == "1";
  if (around.trust_plugins)
    log::warn("VOXBUS_TRUST_PLUGINS=1: who may write the plugins' files is not checked");
  around.credit =
      configuration_.with([](const auto& configuration) { return configuration.queue; });
  supervisor_ = std::make_unique<host::Supervisor>(std::move(around));
}

void Daemon::start_channels() {
  const auto channels =
      configuration_.with([](const auto& configuration) { return configuration.channels; });
  for (const auto& channel : channels) supervisor_->add(channel);
  log::info("{} channel{} configured", channels.size(), channels.size() == 1 ? "" : "s");
}

int Daemon::run() {
  started_ = clock_.now();
  if (auto code = configure()) return *code;
  if (auto code = open_journal()) return *code;
  if (auto code = open_bus()) return *code;
  supervise();
  if (auto code = listen()) return *code;
  start_channels();
  manager_.ready();

  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&wanted, signal);
  // The watchdog wants at least two signs of life per interval.
  auto pause = std::chrono::nanoseconds(kTurn);
  if (manager_.watchdog().count() > 0)
    pause = std::min(pause, std::chrono::nanoseconds(manager_.watchdog()) / 3);
  const timespec limit{pause.count() / 1'000'000'000, pause.count() % 1'000'000'000};
  for (;;) {
    const int signal = ::sigtimedwait(&wanted, nullptr, &limit);
    if (signal == SIGTERM || signal == SIGINT) break;
    if (signal == SIGHUP) reload();
    turn();
  }
  stop();
  return 0;
}

void Daemon::turn() {
  if (is_alive()) manager_.alive();
  manager_.status(status_line());
}

// The truth about the daemon's own loops: an idle one turns as well, and a writer that waits for
// space is alive. A hung plugin is the supervisor's affair.
bool Daemon::is_alive() const {
  const auto now = std::chrono::steady_clock::now();
  return now - supervisor_->last_turn() < kLoopsMayRest &&
         now - server_->last_turn() < kLoopsMayRest && journal_->stats().silent < kCommitMayTake;
}

std::string Daemon::status_line() const {
  const auto channels = supervisor_->status();
  const auto up = std::count_if(channels.begin(), channels.end(), [](const auto& channel) {
    return channel.level == host::Level::up;
  });
  const auto stats = journal_->stats();
  return fmt::format("{}{} of {} channels up, {} events",
                     stats.waiting_for_space  ? "WAITING FOR SPACE; "
                     : stats.waiting_for_lock ? "WAITING FOR THE JOURNAL'S LOCK; "
                                              : "",
                     up, channels.size(), journal_->end().position);
}

json::object Daemon::status_json() const {
  const auto stats = journal_->stats();
  return {{"started", format_rfc3339(started_)},
          {"pid", ::getpid()},
          {"channels", channels_json(supervisor_->status(), stats)},
          {"journal", journal_json(stats)}};
}

namespace {

// The keys of voxbus.yaml whose change a reload cannot apply.
std::string needing_restart(const config::Configuration& before,
                            const config::Configuration& after) {
  std::string names;
  const auto compare = [&](const char* name, const auto& a, const auto& b) {
    if (a == b) return;
    names += (names.empty() ? "" : ", ") + std::string(name);
  };
  compare("listen", before.listen, after.listen);
  compare("socket", before.socket, after.socket);
  compare("state", before.state, after.state);
  compare("installation", before.installation, after.installation);
  compare("hosts", before.hosts, after.hosts);
  compare("origins", before.origins, after.origins);
  compare("max_connections", before.max_connections, after.max_connections);
  compare("log_level", before.log_level, after.log_level);
  compare("journal.wal_ceiling", before.wal_ceiling, after.wal_ceiling);
  compare("journal.queue", before.queue, after.queue);
  compare("master_key", before.master_key, after.master_key);
  return names;
}

}  // namespace

// Plan and apply: a file with any problem changes nothing; otherwise only what changed restarts.
void Daemon::reload() {
  manager_.reloading();
  config::Problems problems;
  auto configuration = read_configuration(problems);
  if (!problems.empty()) {
    for (const auto& problem : problems.list()) log::error("reload: {}", config::render(problem));
    log::error("reload: nothing was changed, because of {} problem{}", problems.list().size(),
               problems.list().size() == 1 ? "" : "s");
  } else {
    const auto touched = supervisor_->apply(configuration.channels);
    const auto for_a_restart = configuration_.with([&](auto& held) {
      auto names = needing_restart(held, configuration);
      held.channels = configuration.channels;
      held.manifests = configuration.manifests;
      return names;
    });
    problems_.with([&](auto& held) { held = std::move(problems); });
    std::string names;
    for (const auto& name : touched) names += (names.empty() ? "" : ", ") + name;
    log::info("reloaded: {}", touched.empty() ? "no channel changed" : "changed " + names);
    if (!for_a_restart.empty())
      log::warn("voxbus.yaml changed: {} {} effect at a restart", for_a_restart,
                for_a_restart.find(',') == std::string::npos ? "takes" : "take");
  }
  manager_.ready();
}

void Daemon::stop() {
  log::info("stopping");
  manager_.stopping();
  const bool all_ended = supervisor_->stop();
  journal_->stop();  // what the channels still had is committed; nobody waits for space any longer
  server_->stop();
  if (!all_ended) {
    log::critical(
        "an inline plugin does not end: the process ends with it; all that was taken is durable");
    spdlog::default_logger()->flush();
    ::_exit(kFailure);
  }
  server_.reset();
  supervisor_.reset();
  consumers_.reset();
  feed_.reset();
  journal_.reset();
  log::info("stopped");
}

}  // namespace voxbus::app
