// SPDX-License-Identifier: Apache-2.0
// A channel on threads of the daemon, for plugins that permit it: no process to start, and none to
// kill. A crash of the plugin is a crash of the daemon, and a plugin that ignores stop delays it:
// isolation: process is the default for that reason.
#pragma once

#include <deque>
#include <thread>

#include "host/channel_run.hpp"
#include "host/supervised.hpp"

namespace voxbus::host {

class InlineChannel final : public Supervised,
                            public std::enable_shared_from_this<InlineChannel>,
                            private journal::ChannelSink {
 public:
  InlineChannel(const config::Channel& channel, Surroundings& surroundings);
  ~InlineChannel() override;
  void start() override;
  void stop(std::function<void()> done) override;
  void reread(Reread wanted, std::function<void(Outcome)> done) override;

 private:
  class JournalOutlet;
  Status launch(FileDescriptor library);
  // Twice a second, while a lane runs: is the plugin still heard of?
  void look();
  // The lane's thread from beginning to end.
  Outcome live(Start start, const FileDescriptor& file);
  void ask_probe() override;
  void end_run();
  void ended(const Outcome& outcome);
  void start_again(std::string why);
  void committed(std::uint64_t lease, std::size_t batches, std::size_t items,
                 std::size_t bytes) override;
  // Runs `action` on the supervisor's thread, if we still exist.
  void post(std::function<void(InlineChannel&)> action);

  std::unique_ptr<JournalOutlet> outlet_;
  struct Running {
    ChannelRun* run = nullptr;  // the lane's own, while it may be stopped
    bool stop = false;
  };
  Guarded<Running> running_;
  std::thread lane_;
  std::uint64_t lease_ = 0;
  boost::asio::steady_timer again_, clock_;
  bool quiet_ = false;  // nothing was heard for too long, and it was said
  std::deque<std::function<void(Outcome)>> rereads_;  // who waits for answers, in order
  std::string verdict_;                               // why we ended the run
  bool stopping_ = false;
  std::function<void()> done_;
};

}  // namespace voxbus::host
