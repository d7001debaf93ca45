// SPDX-License-Identifier: Apache-2.0
// What every supervised channel shares, whichever way it runs: its level, what happens when the
// level changes, and how long to wait before it is tried again. Lives on the supervisor's thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/guarded.hpp"
#include "base/posix.hpp"
#include "config/configuration.hpp"
#include "host/backoff.hpp"
#include "host/channel_state.hpp"
#include "host/intake_port.hpp"
#include "host/wire.hpp"
#include "journal/journal.hpp"

namespace voxbus::host {

class PluginScan;

// What all channels of one supervisor use.
struct Surroundings {
  boost::asio::io_context* loop = nullptr;
  journal::Journal* journal = nullptr;
  const Clock* clock = nullptr;
  Admit admit;
  MakeIntake make_intake;              // for inline channels
  std::filesystem::path host_program;  // voxbus-host
  std::string build;
  std::filesystem::path set_aside;                  // what plugin_scan.hpp keeps; empty: nothing
  PluginScan* scan = nullptr;                       // set by the supervisor
  std::uint64_t credit = 8u << 20;                  // bytes under way per channel
  bool trust_plugins = false;                       // tests: skip the ownership check
  std::chrono::milliseconds start_within{10'000};   // load and create
  std::chrono::milliseconds silence_limit{30'000};  // without any frame
  std::chrono::milliseconds record_limit{60'000};   // on one record
  std::chrono::milliseconds quiet_limit{300'000};   // inside a call without a sign of life, abi.h
  std::chrono::milliseconds first_backoff{500};
  std::chrono::milliseconds longest_backoff{300'000};
  std::chrono::milliseconds facts_every{60'000};  // at most, of each channel, in the journal
  // Told of every change of level, on the supervisor's thread.
  std::function<void(const ChannelStatus&)> on_change;
};

class Supervised {
 public:
  Supervised(const config::Channel& channel, Surroundings& surroundings);
  virtual ~Supervised() = default;
  Supervised(const Supervised&) = delete;
  Supervised& operator=(const Supervised&) = delete;

  // On the supervisor's thread.
  virtual void start() = 0;
  // Asks for an end; `done` is called once nothing of it runs any more.
  virtual void stop(std::function<void()> done) = 0;
  // Has the plugin make an item anew; the answer, readable or not, comes on the supervisor's
  // thread.
  virtual void reread(Reread wanted, std::function<void(Outcome)> done) = 0;

  [[nodiscard]] ChannelStatus status() const {
    return status_.with([](const auto& held) { return held; });
  }  // any thread
  [[nodiscard]] const config::Channel& channel() const { return channel_; }

 protected:
  // Whether the level or its reason is another one.
  bool change(Level level, std::string reason = {}, std::string remedy = {});
  template<class Action>
  void amend(Action&& action) {
    status_.with(action);
  }
  // A line of the plugin's, as far as its share of the log goes.
  void note_log(const LogLine& line);
  // The daemon's answer to how a poll ended.
  void note_poll(const Outcome& outcome);
  // Has the plugin look whether it can work; note_probe() gets the answer. Nothing while it is not
  // up.
  virtual void ask_probe() = 0;
  // What the plugin found when it was asked whether it can work; a plugin that cannot be asked is
  // no news.
  void note_probe(const Outcome& outcome);
  // How long to wait after one more failure: exponential with jitter.
  [[nodiscard]] std::chrono::milliseconds next_backoff() { return backoff_.next(); }
  void reset_backoff() { backoff_.reset(); }
  // Opens the plugin's library after the ownership checks and has it tried in a process of its own;
  // `loaded` gets it, or why not, later on the supervisor's thread.
  void with_library(std::function<void(Result<FileDescriptor>)> loaded);
  // The settings with secrets in place, as the plugin gets them.
  [[nodiscard]] Result<std::string> settings() const;
  [[nodiscard]] Result<journal::Opening> open_channel(journal::ChannelSink* sink);
  [[nodiscard]] Start start_frame(const journal::Opening& opening, std::string settings) const;

  const config::Channel channel_;
  Surroundings& around_;

 private:
  bool judge_poll(const Outcome& outcome);

  Guarded<ChannelStatus> status_;
  Backoff backoff_;
  struct LogShare {
    std::chrono::steady_clock::time_point since{};  // of the present second
    int written = 0, dropped = 0;
  };
  Guarded<LogShare> log_share_;
};

}  // namespace voxbus::host
