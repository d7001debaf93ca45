// SPDX-License-Identifier: Apache-2.0
// A channel in a process of its own: started, fed with credit, listened to, and started again when
// it ends. Everything happens on the supervisor's thread, but for committed(), which the journal's
// thread calls.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <map>
#include <optional>

#include "host/channel_socket.hpp"
#include "host/crash_mark.hpp"
#include "host/spawn.hpp"
#include "host/supervised.hpp"

namespace voxbus::host {

class ProcessChannel final : public Supervised,
                             public std::enable_shared_from_this<ProcessChannel>,
                             private journal::ChannelSink {
 public:
  ProcessChannel(const config::Channel& channel, Surroundings& surroundings);
  ~ProcessChannel() override;
  void start() override;
  void stop(std::function<void()> done) override;
  void reread(Reread wanted, std::function<void(Outcome)> done) override;

 private:
  // One life of the process, from spawn to reaping.
  struct Run;

  void start_with(const FileDescriptor& library);
  Result<std::shared_ptr<Run>> launch(const FileDescriptor& library);
  void cannot_start(const Error& error);
  void watch(const std::shared_ptr<Run>& run);
  void read(const std::shared_ptr<Run>& run);
  void tick(const std::shared_ptr<Run>& run);
  Status take(Run& run, const Frame& frame);
  void ask_probe() override;
  void reread_next(Run& run);
  void note_crash(Run& run, const Process::End& end);
  void read_refusal(Run& run);
  void kill(Run& run, std::string why, std::string remedy = {});
  void ended(const std::shared_ptr<Run>& run);
  void start_again(std::string why, std::string remedy);
  void committed(std::uint64_t lease, std::size_t batches, std::size_t items,
                 std::size_t bytes) override;

  std::shared_ptr<Run> run_;
  boost::asio::steady_timer again_;
  std::map<std::string, int> suspicion_;  // points by native id; bounded
  std::vector<std::string> poison_;
  bool stopping_ = false;
  std::function<void()> done_;
};

}  // namespace voxbus::host
