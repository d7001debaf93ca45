// SPDX-License-Identifier: Apache-2.0
#include "host/channel_run.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "host/channel_lane.hpp"

namespace voxbus::host {
namespace {

using namespace std::chrono_literals;
constexpr auto kLongestRetry = 300'000ms;
constexpr auto kWentWell = 20s;  // a poll that failed after so long is the first in a row

constexpr int kFaultsUntilPoison = 3;

}  // namespace

// What voxbus_host and its services point into.
struct ChannelRun::HostSide {
  voxbus_host host{};
  ChannelRun* run;
  voxbus_log_1 log{};
  voxbus_clock_1 clock{};
  voxbus_waiting_1 waiting{};

  explicit HostSide(ChannelRun* owner) : run(owner) {
    host.size = sizeof host;
    host.abi_major = VOXBUS_ABI_MAJOR;
    host.abi_minor = VOXBUS_ABI_MINOR;
    host.service = [](const voxbus_host* h, const char* id) -> const void* {
      const std::string_view name = id ? id : "";
      if (name == VOXBUS_SERVICE_LOG) return &of(h).log;
      if (name == VOXBUS_SERVICE_CLOCK) return &of(h).clock;
      if (name == VOXBUS_SERVICE_WAITING) return &of(h).waiting;
      return nullptr;
    };
    log.size = sizeof log;
    log.write = [](const voxbus_host* h, std::int32_t level, voxbus_view message) {
      (void)guarded_status([&] {
        if (!is_sound(message)) return VOXBUS_MISUSE;
        of(h).run->outlet_.log({level, one_line(text_of(message))});
        return VOXBUS_OK;
      });
    };
    waiting.size = sizeof waiting;
    waiting.waiting = [](const voxbus_host* h) {
      // What was emitted without a commit need not wait for the poll's end.
      (void)guarded_status([&] {
        of(h).run->poll_lane_->leave_mark();
        const auto& trouble = of(h).run->poll_lane_->failure;
        of(h).run->outlet_.polled({trouble.empty() ? VOXBUS_OK : VOXBUS_RETRY, 0, trouble});
        of(h).run->poll_lane_->pulse.rest();
        return VOXBUS_OK;
      });
    };
    clock.size = sizeof clock;
    clock.now = [](const voxbus_host* h) -> std::int64_t {
      return of(h).run->clock_.now().time_since_epoch().count();
    };
  }
  static HostSide& of(const voxbus_host* host) {
    return *reinterpret_cast<HostSide*>(const_cast<voxbus_host*>(host));
  }
};

Ready ready_of(const Plugin& plugin) {
  return {plugin.entry().abi_major, plugin.abi_minor(), plugin.id(), plugin.version()};
}

ChannelRun::ChannelRun(Start start, std::shared_ptr<Plugin> plugin, Intake intake, Outlet& outlet,
                       CrashMark* mark, const Clock& clock)
    : start_(std::move(start)),
      plugin_(std::move(plugin)),
      intake_(std::move(intake)),
      outlet_(outlet),
      mark_(mark),
      clock_(clock),
      poison_(start_.poison.begin(), start_.poison.end()),
      cursor_(start_.cursor),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      backoff_(milliseconds(start_.first_retry_ms), kLongestRetry) {
  if (!wake_) throw std::runtime_error(system_error("make an event descriptor", errno).message);
  poll_lane_ = std::make_unique<Lane>(this, true);
  act_lane_ = std::make_unique<Lane>(this, false);
  host_side_ = std::make_unique<HostSide>(this);
}
ChannelRun::~ChannelRun() = default;

Outcome ChannelRun::create() {
  const voxbus_view settings{start_.settings.data(), start_.settings.size()};
  auto outcome = poll_lane_->enter([&] {
    return plugin_->entry().create(&host_side_->host, &poll_lane_->call, settings, &channel_);
  });
  if (outcome.status == VOXBUS_OK && !channel_) {
    outcome = {VOXBUS_PERMANENT, 0, "the plugin's create returned no channel"};
  }
  if (outcome.status != VOXBUS_OK) {
    channel_ = nullptr;
    return outcome;
  }
  if (const auto capability = plugin_->entry().capability) {
    const auto* able = static_cast<const voxbus_probe_1*>(capability(VOXBUS_CAPABILITY_PROBE));
    if (able && able->size >= kProbe01 && able->probe) probe_ = able;
    const auto* rereads = static_cast<const voxbus_reread_1*>(capability(VOXBUS_CAPABILITY_REREAD));
    if (rereads && rereads->size >= kReread01 && rereads->reread) reread_ = rereads;
  }
  stoppable_.with([&](auto& channel) {
    channel = channel_;
    if (stopping_) plugin_->entry().stop(channel_);
  });
  return outcome;
}

Outcome ChannelRun::try_settings() {
  auto outcome = create();
  stoppable_.with([](auto& channel) { channel = nullptr; });
  if (channel_) plugin_->entry().destroy(std::exchange(channel_, nullptr));
  return outcome;
}

Outcome ChannelRun::run() {
  if (auto outcome = create(); outcome.status != VOXBUS_OK) return outcome;
  outlet_.ready(ready_of(*plugin_));
  {
    const std::jthread act_thread([this] { act(); });
    while (!stopping_) {
      const std::string cursor =
          cursor_;  // commit() replaces it while the plugin still reads this one
      const voxbus_view since{cursor.data(), cursor.size()};
      poll_lane_->in_poll = true;
      const auto begun = std::chrono::steady_clock::now();
      auto outcome = poll_lane_->enter(
          [&] { return plugin_->entry().poll(channel_, &poll_lane_->call, since); });
      poll_lane_->in_poll = false;
      if (std::chrono::steady_clock::now() - begun >= kWentWell) backoff_.reset();
      outlet_.polled(outcome);
      if (stopping_) break;
      requests_.when_for(
          pause_after(outcome), [](const Requests& asked) { return asked.stop; },
          [](auto&, bool) {});
    }
    requests_.with([](Requests& asked) { asked.stop = true; });
    requests_.notify_all();
  }
  stoppable_.with([](auto& channel) { channel = nullptr; });
  plugin_->entry().destroy(channel_);
  channel_ = nullptr;
  return {};
}

void ChannelRun::act() {
  struct Work {
    bool probe = false;
    std::optional<Reread> reread;
  };
  for (;;) {
    const auto work = requests_.when(
        [](const Requests& asked) { return asked.stop || asked.probe || !asked.rereads.empty(); },
        [](Requests& asked) {
          Work next;
          if (asked.stop) return next;
          next.probe = asked.probe;
          if (next.probe) {
            asked.probe = false;
          } else {
            next.reread = std::move(asked.rereads.front());
            asked.rereads.pop_front();
          }
          return next;
        });
    if (!work.probe && !work.reread) return;
    try {
      if (work.reread) {
        outlet_.reread(make_anew(*work.reread));
      } else {
        outlet_.probed(
            probe_ ? act_lane_->enter([&] { return probe_->probe(channel_, &act_lane_->call); })
                   : Outcome{VOXBUS_UNSUPPORTED, 0, {}});
      }
    } catch (const std::exception& error) {
      outlet_.log({VOXBUS_LOG_ERROR, std::string("an answer was lost: ") + error.what()});
    }
  }
}

Outcome ChannelRun::make_anew(const Reread& wanted) {
  if (!reread_) return {VOXBUS_UNSUPPORTED, 0, "the plugin cannot read anew what it once brought"};
  act_lane_->rereading = &wanted;
  auto outcome = act_lane_->enter([&] {
    return reread_->reread(channel_, &act_lane_->call,
                           {wanted.native_id.data(), wanted.native_id.size()},
                           {wanted.raw.data(), wanted.raw.size()});
  });
  act_lane_->rereading = nullptr;
  if (outcome.status != VOXBUS_OK) return outcome;
  if (!act_lane_->progress) return {VOXBUS_PERMANENT, 0, "the plugin brought nothing"};
  if (!wanted.file.empty()) {
    auto file = std::exchange(act_lane_->found, std::nullopt);
    if (!file) return {VOXBUS_UNSUPPORTED, 0, "the plugin hands over no such file"};
    outcome.file = std::move(*file);
    return outcome;
  }
  if (!act_lane_->still_unread.empty())
    return {VOXBUS_PERMANENT, 0, std::move(act_lane_->still_unread)};
  return outcome;
}

void ChannelRun::reread(Reread wanted) {
  requests_.with([&](Requests& asked) { asked.rereads.push_back(std::move(wanted)); });
  requests_.notify_all();
}

void ChannelRun::stop() {
  if (stopping_.exchange(true)) return;
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
  outlet_.stop();
  stoppable_.with([&](auto* channel) {
    if (channel) plugin_->entry().stop(channel);
  });
  requests_.with([](Requests& asked) { asked.stop = true; });
  requests_.notify_all();
}

// A record that the plugin's own code fails over each time, without dying of it, must not hold up
// the channel either. A retry that the plugin asks for is no fault: servers are away for hours.
void ChannelRun::blame(const std::string& native_id) {
  blames_ = blamed_ == native_id ? blames_ + 1 : 1;
  blamed_ = native_id;
  if (blames_ < kFaultsUntilPoison) return;
  poison_.insert(native_id);
  outlet_.log({VOXBUS_LOG_WARNING, "the plugin failed " + std::to_string(blames_) +
                                       " times over one record, which goes to quarantine"});
}

std::chrono::milliseconds ChannelRun::quiet_for() const {
  return std::max(poll_lane_->quiet_for(), act_lane_->quiet_for());
}

void ChannelRun::probe() {
  requests_.with([](Requests& asked) { asked.probe = true; });
  requests_.notify_all();
}

std::chrono::milliseconds ChannelRun::pause_after(const Outcome& outcome) {
  const auto every = milliseconds(start_.poll_every_ms);
  switch (outcome.status) {
    case VOXBUS_MORE:
      backoff_.reset();
      return 0ms;
    case VOXBUS_OK:
    case VOXBUS_STOPPED:
      backoff_.reset();
      return every;
    case VOXBUS_PERMANENT:
      return kLongestRetry;
    default:
      return std::max(backoff_.next(), milliseconds(outcome.retry_after_ms));
  }
}

}  // namespace voxbus::host
