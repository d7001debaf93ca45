// SPDX-License-Identifier: Apache-2.0
// One run of one channel: the plugin's two lanes, from create to destroy. The same code serves a
// channel in a process of its own and one on threads of the daemon; they differ in the Outlet that
// takes what it brings. Made, run and destroyed on one thread, the poll lane's; stop(), probe()
// and reread() may be called from any.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "base/guarded.hpp"
#include "base/posix.hpp"
#include "base/time.hpp"
#include "host/backoff.hpp"
#include "host/crash_mark.hpp"
#include "host/intake_port.hpp"
#include "host/plugin.hpp"
#include "host/wire.hpp"

namespace voxbus::host {

// Where a run's results go. Calls come from the lanes' threads.
class Outlet {
 public:
  virtual ~Outlet() = default;
  // Blocks while the channel has no credit; an emit() after it does not, unless the other lane took
  // it meanwhile. False once stop() was called.
  [[nodiscard]] virtual bool wait_for_credit() = 0;
  // Blocks likewise. False once stop() was called: it was not taken.
  [[nodiscard]] virtual bool emit(model::Item item) = 0;
  // What was emitted so far is covered by this cursor.
  [[nodiscard]] virtual bool commit(std::string_view cursor) = 0;
  // A poll came back: what was emitted without a commit goes on its way too.
  virtual void polled(const Outcome& outcome) = 0;
  virtual void ready(const Ready& ready) = 0;
  virtual void probed(const Outcome& outcome) = 0;
  // What was emitted goes on its way before this is said.
  virtual void reread(const Outcome& outcome) = 0;
  virtual void log(const LogLine& line) = 0;
  // No blocking call blocks any longer.
  virtual void stop() = 0;
};

// What is said of a plugin that is loaded.
[[nodiscard]] Ready ready_of(const Plugin& plugin);

class ChannelRun {
 public:
  // `mark` may be null (inline: a crash is the daemon's own). Outlet, mark and clock outlive the
  // run.
  ChannelRun(Start start, std::shared_ptr<Plugin> plugin, Intake intake, Outlet& outlet,
             CrashMark* mark, const Clock& clock);
  ~ChannelRun();
  ChannelRun(const ChannelRun&) = delete;
  ChannelRun& operator=(const ChannelRun&) = delete;

  // Makes the channel and frees it again: has the plugin anything against its settings?
  Outcome try_settings();
  // Polls until stop(); returns how creating the channel failed, if it did.
  Outcome run();
  void stop();
  // For how long the plugin has been inside a call without a sign of life (abi.h, "waiting/1"):
  // nothing heard, nothing brought, not waiting. The longer of both lanes. Any thread.
  [[nodiscard]] std::chrono::milliseconds quiet_for() const;
  // Asks the act lane to probe; the answer goes to Outlet::probed, "unsupported" included.
  void probe();
  // Has the act lane make this item anew; the answer goes to Outlet::reread, likewise.
  void reread(Reread wanted);

  struct Lane;  // implementation: what a voxbus_call points into

 private:
  friend struct Lane;
  Outcome create();
  void act();
  Outcome make_anew(const Reread& wanted);
  void blame(const std::string& native_id);
  [[nodiscard]] std::chrono::milliseconds pause_after(const Outcome& outcome);

  Start start_;
  std::shared_ptr<Plugin> plugin_;
  Intake intake_;
  Outlet& outlet_;
  CrashMark* mark_;
  const Clock& clock_;
  std::set<std::string, std::less<>> poison_;  // this and the next two: the poll lane's
  std::string blamed_;  // the record over which the last poll failed by its own fault
  int blames_ = 0;      // in a row
  std::string cursor_;  // the newest that this run committed; poll lane only
  FileDescriptor wake_;
  std::atomic<bool> stopping_ = false;
  struct Requests {
    bool stop = false;
    bool probe = false;
    std::deque<Reread> rereads;
  };
  Guarded<Requests> requests_;
  std::unique_ptr<Lane> poll_lane_, act_lane_;
  struct HostSide;
  std::unique_ptr<HostSide> host_side_;
  voxbus_channel* channel_ = nullptr;      // poll lane's thread
  const voxbus_probe_1* probe_ = nullptr;  // the plugin's capabilities, when it has them
  const voxbus_reread_1* reread_ = nullptr;
  Guarded<voxbus_channel*> stoppable_{nullptr};  // the same while stop() may be passed on to it
  Backoff backoff_;                              // of polls that failed in a row
};

}  // namespace voxbus::host
