// SPDX-License-Identifier: Apache-2.0
// Runs every configured channel, each to itself: one that fails is degraded and tried again, the
// others do not notice. Owns one thread, on which all channels live; its public functions may be
// called from any other.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <future>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "base/guarded.hpp"
#include "host/supervised.hpp"

namespace voxbus::host {

class FactWriter;
class PluginScan;

class Supervisor {
 public:
  // `surroundings.loop` and `.on_change` are set here. What it points to outlives the supervisor.
  explicit Supervisor(Surroundings surroundings);
  ~Supervisor();  // stops all; waits for whoever did not end
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Starts the channel; one with faults or not enabled is listed as down.
  void add(const config::Channel& channel);
  // Makes what runs equal to `channels`: stops what is gone or changed and waits for its end, then
  // starts what is new or changed. What is equal is not touched. Returns the names it touched.
  std::vector<std::string> apply(const std::vector<config::Channel>& channels);
  // Asks all channels to stop and waits until nothing of them runs: at most the longest stop_within
  // and a moment. False when an inline plugin ignores it: its thread runs on, the destructor would
  // wait for it for ever, and only the end of the process ends it.
  [[nodiscard]] bool stop();

  // Has a channel's plugin read anew what was quarantined: VOXBUS_OK when it can by now, and the
  // revision is on its way; else why not. `done` is called once, on the supervisor's thread.
  void reread(const std::string& channel, Reread wanted, std::function<void(Outcome)> done);

  [[nodiscard]] std::vector<ChannelStatus> status() const;  // by name
  // When the loop last turned, in steady time: the watchdog's evidence.
  [[nodiscard]] std::chrono::steady_clock::time_point last_turn() const;

 private:
  void beat();
  bool end(const std::vector<std::shared_ptr<Supervised>>& channels);

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  Surroundings around_;
  std::unique_ptr<FactWriter> facts_;
  std::unique_ptr<PluginScan> scan_;
  Guarded<std::map<std::string, std::shared_ptr<Supervised>>> channels_;
  struct Idle {
    config::Channel channel;
    ChannelStatus status;
  };
  // Inline channels whose thread still runs the plugin's code. They are kept until it ends; their
  // lease is void once the channel is opened again. The thread of apply() and stop().
  struct Straggler {
    std::shared_ptr<Supervised> channel;
    std::future<void> ended;
  };
  std::vector<Straggler> stragglers_;
  Guarded<std::map<std::string, Idle>> idle_;  // not enabled, or with faults
  boost::asio::steady_timer pulse_;
  std::atomic<std::chrono::steady_clock::rep> last_turn_;
  std::thread thread_;
};

}  // namespace voxbus::host
