// SPDX-License-Identifier: Apache-2.0
#include "host/host_process.hpp"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "host/channel_run.hpp"
#include "host/channel_socket.hpp"
#include "host/crash_mark.hpp"
#include "host/credit_outlet.hpp"
#include "host/plugin.hpp"

namespace voxbus::host {
namespace {

using namespace std::chrono_literals;
constexpr auto kHeartbeat = 1s;

class SocketOutlet final : public CreditOutlet {
 public:
  SocketOutlet(ChannelSocket& socket, std::uint64_t credit)
      : CreditOutlet(credit), socket_(socket) {}
  void ready(const Ready& ready) override { send(FrameType::ready, encode(ready)); }
  void probed(const Outcome& outcome) override { send(FrameType::probed, encode(outcome)); }
  void log(const LogLine& line) override { send(FrameType::log, encode(line)); }

 protected:
  void deliver(model::Batch batch) override { send(FrameType::batch, encode(batch)); }
  void report(const Outcome& outcome) override { send(FrameType::polled, encode(outcome)); }
  void report_reread(const Outcome& outcome) override {
    send(FrameType::reread_done, encode(outcome));
  }

 private:
  // Without the daemon there is nobody to run for, and nothing that is not fetched again.
  void send(FrameType type, std::string_view payload) {
    if (!socket_.send(type, payload)) ::_exit(0);
  }
  ChannelSocket& socket_;
};

Result<Start> receive_start(ChannelSocket& socket) {
  for (;;) {
    VOXBUS_TRY(frame, socket.next());
    if (frame) {
      if (frame->type != FrameType::start)
        return permanent("the daemon began with another frame than start");
      return decode<Start>(frame->payload);
    }
    VOXBUS_CHECK(socket.receive());
  }
}

// The socket's reader: obeys the daemon, says that we live, and ends the process with the daemon.
[[noreturn]] void listen(ChannelSocket& socket, CreditOutlet& outlet, ChannelRun& run) {
  auto last_beat = std::chrono::steady_clock::now();
  for (;;) {
    pollfd readable{socket.descriptor(), POLLIN, 0};
    const int ready = ::poll(&readable, 1, static_cast<int>(milliseconds(kHeartbeat).count()));
    if (const auto now = std::chrono::steady_clock::now(); now - last_beat >= kHeartbeat) {
      last_beat = now;
      if (!socket.send(FrameType::heartbeat, encode(Heartbeat{run.quiet_for().count()})))
        ::_exit(0);
    }
    if (ready <= 0) continue;
    if (!socket.receive()) ::_exit(0);
    for (;;) {
      auto frame = socket.next();
      if (!frame) ::_exit(1);
      if (!*frame) break;
      switch ((*frame)->type) {
        case FrameType::credit:
          if (const auto credit = decode<Credit>((*frame)->payload))
            outlet.committed(credit->batches);
          break;
        case FrameType::probe:
          run.probe();
          break;
        case FrameType::reread:
          if (auto wanted = decode<Reread>((*frame)->payload)) run.reread(std::move(*wanted));
          break;
        case FrameType::stop:
          run.stop();
          break;
        default:
          ::_exit(1);
      }
    }
  }
}

}  // namespace

int run_host_process(const MakeIntake& make_intake, const std::string& build) {
  // Ctrl-C goes to the whole terminal group; the daemon decides when we stop.
  std::signal(SIGINT, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  ChannelSocket socket(FileDescriptor(kSocketDescriptor), ChannelSocket::End::host);
  const auto refuse = [&](std::string why, std::int32_t status = VOXBUS_PERMANENT) {
    if (why.empty()) why = "the plugin refused its settings";
    (void)socket.send(FrameType::refused, encode(Outcome{status, 0, std::move(why)}));
    return 1;
  };
  auto start = receive_start(socket);
  if (!start) return 1;
  if (start->build != build)
    return refuse("voxbus-host is of build " + build + ", the daemon of " + start->build);
  auto mark = CrashMark::attach(FileDescriptor(kMarkDescriptor));
  if (!mark) return refuse(mark.error().message, VOXBUS_RETRY);

  // Before this frame no death can be the plugin's fault.
  if (!socket.send(FrameType::loading, {})) return 1;
  auto plugin = Plugin::load(FileDescriptor(kPluginDescriptor), start->plugin);
  if (!plugin) return refuse(plugin.error().message);
  if ((*plugin)->id() != start->plugin) {
    return refuse("the library says it is '" + (*plugin)->id() + "', its manifest '" +
                  start->plugin + "'");
  }
  const SystemClock clock;
  SocketOutlet outlet(socket, start->credit);
  const auto sound = [&] {
    outlet.ready(ready_of(**plugin));
    return 0;
  };
  const auto purpose = start->purpose;
  if (purpose == Start::Purpose::load) return sound();
  Intake intake = make_intake(*start);
  ChannelRun run(std::move(*start), *plugin, std::move(intake), outlet, &*mark, clock);
  if (purpose == Start::Purpose::create) {
    const auto outcome = run.try_settings();
    return outcome.status == VOXBUS_OK ? sound() : refuse(outcome.message, outcome.status);
  }
  // The lane's end is the process's end, so nobody waits for the listening thread.
  const std::jthread lane([&] {
    const auto outcome = run.run();
    if (outcome.status == VOXBUS_OK) ::_exit(0);
    refuse(outcome.message, outcome.status);
    ::_exit(1);
  });
  listen(socket, outlet, run);
}

}  // namespace voxbus::host
