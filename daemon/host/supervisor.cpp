// SPDX-License-Identifier: Apache-2.0
#include "host/supervisor.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <set>

#include "base/log.hpp"
#include "base/thread.hpp"
#include "base/units.hpp"
#include "host/fact_writer.hpp"
#include "host/inline_channel.hpp"
#include "host/plugin_scan.hpp"
#include "host/process_channel.hpp"

namespace voxbus::host {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr auto kAfterDeadline = 5s;

std::shared_ptr<Supervised> make(const config::Channel& channel, Surroundings& around) {
  if (channel.isolated) return std::make_shared<ProcessChannel>(channel, around);
  return std::make_shared<InlineChannel>(channel, around);
}

}  // namespace

Supervisor::Supervisor(Surroundings surroundings)
    : work_(loop_.get_executor()),
      around_(std::move(surroundings)),
      facts_(std::make_unique<FactWriter>(*around_.journal, around_.facts_every)),
      scan_(std::make_unique<PluginScan>(
          loop_, PluginScan::Options{around_.host_program, around_.build, around_.set_aside,
                                     around_.start_within, around_.clock})),
      pulse_(loop_),
      last_turn_(std::chrono::steady_clock::now().time_since_epoch().count()) {
  around_.loop = &loop_;
  around_.scan = scan_.get();
  around_.on_change = [this](const ChannelStatus& status) { facts_->note(status); };
  beat();
  thread_ = start_thread("supervisor", [this] { loop_.run(); });
}

Supervisor::~Supervisor() {
  (void)stop();
  work_.reset();
  loop_.stop();
  thread_.join();
  channels_.with([](auto& channels) { channels.clear(); });
}

void Supervisor::beat() {
  last_turn_ = std::chrono::steady_clock::now().time_since_epoch().count();
  pulse_.expires_after(250ms);
  pulse_.async_wait([this](const boost::system::error_code& code) {
    if (!code) beat();
  });
}

std::chrono::steady_clock::time_point Supervisor::last_turn() const {
  return std::chrono::steady_clock::time_point(
      std::chrono::steady_clock::duration(last_turn_.load()));
}

void Supervisor::add(const config::Channel& channel) {
  if (!channel.enabled || !channel.faults.empty()) {
    ChannelStatus status;
    status.name = channel.name;
    status.plugin = channel.plugin;
    status.plugin_id = channel.plugin_id;
    status.level = Level::down;
    status.reason = channel.enabled ? channel.faults : "enabled: false";
    status.remedy = channel.enabled ? "mend " + channel.file.string() +
                                          " ('voxbus check' shows the line) and reload"
                                    : "";
    status.since = around_.clock->now();
    status.isolated = channel.isolated;
    if (channel.enabled) log::error("channel {}: down: {}", channel.name, status.reason);
    facts_->note(status);
    idle_.with([&](auto& idle) { idle[channel.name] = {channel, status}; });
    return;
  }
  auto supervised = make(channel, around_);
  channels_.with([&](auto& channels) { channels[channel.name] = supervised; });
  asio::post(loop_, [supervised] { supervised->start(); });
}

bool Supervisor::end(const std::vector<std::shared_ptr<Supervised>>& channels) {
  const auto has_ended = [](const std::future<void>& ended) {
    return ended.wait_for(0s) == std::future_status::ready;
  };
  std::erase_if(stragglers_, [&](const Straggler& late) { return has_ended(late.ended); });
  bool all = true;
  std::vector<std::future<void>> ended;
  const auto asked = std::chrono::steady_clock::now();
  for (const auto& channel : channels) {
    auto promise = std::make_shared<std::promise<void>>();
    ended.push_back(promise->get_future());
    asio::post(loop_, [channel, promise] { channel->stop([promise] { promise->set_value(); }); });
  }
  for (std::size_t i = 0; i < ended.size(); ++i) {
    // A process is killed at its deadline; only an inline plugin that ignores stop gets beyond
    // this.
    const auto limit = channels[i]->channel().stop_within + kAfterDeadline;
    if (ended[i].wait_until(asked + limit) != std::future_status::ready) {
      log::error("channel {}: did not end within {}", channels[i]->channel().name,
                 format_duration(limit));
      all = false;
      stragglers_.push_back({channels[i], std::move(ended[i])});
    }
  }
  return all;
}

std::vector<std::string> Supervisor::apply(const std::vector<config::Channel>& channels) {
  std::vector<std::string> touched;
  const auto wanted = [&](const config::Channel& running) {
    return std::find(channels.begin(), channels.end(), running) != channels.end();
  };
  std::vector<std::shared_ptr<Supervised>> obsolete;
  std::set<std::string> kept;
  channels_.with([&](auto& running) {
    for (auto it = running.begin(); it != running.end();) {
      const bool keep = wanted(it->second->channel());
      if (keep) {
        kept.insert(it->first);
        ++it;
      } else {
        touched.push_back(it->first);
        obsolete.push_back(it->second);
        it = running.erase(it);
      }
    }
  });
  idle_.with([&](auto& idle) {
    for (auto it = idle.begin(); it != idle.end();) {
      const bool keep = wanted(it->second.channel);
      if (keep) kept.insert(it->first);
      it = keep ? std::next(it) : idle.erase(it);
    }
  });
  end(obsolete);
  for (const auto& gone : obsolete) {
    const bool stays = std::any_of(channels.begin(), channels.end(), [&](const auto& channel) {
      return channel.name == gone->channel().name;
    });
    if (stays) continue;
    auto status = gone->status();
    status.level = Level::down;
    status.reason = "it was taken out of the configuration";
    status.remedy.clear();
    status.since = around_.clock->now();
    facts_->note(status);
  }
  for (const auto& channel : channels) {
    if (kept.contains(channel.name)) continue;
    if (std::find(touched.begin(), touched.end(), channel.name) == touched.end())
      touched.push_back(channel.name);
    add(channel);
  }
  return touched;
}

bool Supervisor::stop() {
  std::vector<std::shared_ptr<Supervised>> all;
  channels_.with([&](auto& channels) {
    for (auto& [name, channel] : channels) all.push_back(std::move(channel));
    channels.clear();
  });
  return end(all) && stragglers_.empty();
}

void Supervisor::reread(const std::string& channel, Reread wanted,
                        std::function<void(Outcome)> done) {
  const auto found = channels_.with([&](const auto& channels) -> std::shared_ptr<Supervised> {
    const auto at = channels.find(channel);
    return at == channels.end() ? nullptr : at->second;
  });
  boost::asio::post(
      loop_, [found, channel, wanted = std::move(wanted), done = std::move(done)]() mutable {
        if (!found)
          return done({VOXBUS_RETRY, 0, "there is no channel '" + channel + "' that runs"});
        found->reread(std::move(wanted), std::move(done));
      });
}

std::vector<ChannelStatus> Supervisor::status() const {
  std::map<std::string, ChannelStatus> by_name;
  idle_.with([&](const auto& idle) {
    for (const auto& [name, held] : idle) by_name[name] = held.status;
  });
  channels_.with([&](const auto& channels) {
    for (const auto& [name, channel] : channels) by_name[name] = channel->status();
  });
  std::vector<ChannelStatus> out;
  for (auto& [name, status] : by_name) out.push_back(std::move(status));
  return out;
}

}  // namespace voxbus::host
