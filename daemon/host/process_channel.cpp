// SPDX-License-Identifier: Apache-2.0
#include "host/process_channel.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <deque>

#include "base/log.hpp"
#include "base/units.hpp"
#include "voxbus/abi.h"

namespace voxbus::host {
namespace {

namespace asio = boost::asio;
using Steady = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kTick = 500ms;
// Two deaths by the process's own fault, or five by a SIGKILL that was not ours: the kernel kills
// so when memory runs out, and so does a person, but hardly five times over one record.
constexpr int kPointsUntilPoison = 10, kPointsOfFault = 5, kPointsOfKill = 2;
constexpr std::size_t kMaxPoison = 1000, kMaxSuspects = 1000;

}  // namespace

struct ProcessChannel::Run {
  Process process;
  ChannelSocket socket;
  CrashMark mark;
  asio::posix::stream_descriptor readable;  // watches the socket, owned by `socket`
  asio::posix::stream_descriptor exited;    // watches the pidfd, owned by `process`
  asio::steady_timer clock;
  std::uint64_t lease = 0;
  Steady::time_point started = Steady::now(), last_frame = started;
  bool ready = false;
  std::optional<Steady::time_point> kill_at;  // after stop was asked
  std::string verdict, remedy;                // why we ended it, or what it said at its end
  bool refused = false, permanent = false;
  bool stuck_on_record = false;
  // What is to be made anew, one at a time: the first is under way.
  struct Wanted {
    Reread item;
    std::function<void(Outcome)> done;
  };
  std::deque<Wanted> rereads;

  Run(Process child, FileDescriptor end, CrashMark page, asio::io_context& loop)
      : process(std::move(child)),
        socket(std::move(end), ChannelSocket::End::daemon),
        mark(std::move(page)),
        readable(loop, socket.descriptor()),
        exited(loop, process.pidfd.get()),
        clock(loop) {}
  ~Run() {
    // The descriptors belong to others.
    (void)readable.release();
    (void)exited.release();
  }
};

ProcessChannel::ProcessChannel(const config::Channel& channel, Surroundings& surroundings)
    : Supervised(channel, surroundings), again_(*surroundings.loop) {}
ProcessChannel::~ProcessChannel() = default;

void ProcessChannel::start() {
  change(Level::starting);
  with_library([self = shared_from_this()](Result<FileDescriptor> library) {
    if (self->stopping_) return;
    library ? self->start_with(*library) : self->cannot_start(library.error());
  });
}

void ProcessChannel::start_with(const FileDescriptor& library) {
  auto launched = launch(library);
  if (!launched) return cannot_start(launched.error());
  run_ = std::move(*launched);
  amend([&](ChannelStatus& status) { status.pid = run_->process.pid; });
  watch(run_);
  read(run_);
  tick(run_);
}

void ProcessChannel::cannot_start(const Error& error) {
  const bool permanent = error.kind == Error::Kind::permanent;
  start_again(error.message, permanent ? "mend it; it is tried again by itself" : "");
}

Result<std::shared_ptr<ProcessChannel::Run>> ProcessChannel::launch(const FileDescriptor& library) {
  VOXBUS_TRY(plain_settings, settings());
  VOXBUS_TRY(mark, CrashMark::make());
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return system_error("make a socket pair", errno);
  FileDescriptor ours(ends[0]), theirs(ends[1]);
  VOXBUS_TRY(opening, open_channel(this));
  auto child = spawn({around_.host_program, theirs.get(), library.get(), mark.descriptor(),
                      channel_.memory, channel_.descriptors});
  if (!child) {
    around_.journal->close_channel(channel_.name, opening.lease);
    return child.error();
  }
  auto run =
      std::make_shared<Run>(std::move(*child), std::move(ours), std::move(mark), *around_.loop);
  run->lease = opening.lease;
  run->readable.native_non_blocking(true);
  auto frame = start_frame(opening, std::move(plain_settings));
  frame.poison = poison_;
  if (auto sent = run->socket.send(FrameType::start, encode(frame)); !sent) {
    run->process.kill();  // its end is noticed and handled like any other
    run->verdict = sent.error().message;
  }
  return run;
}

void ProcessChannel::watch(const std::shared_ptr<Run>& run) {
  run->exited.async_wait(asio::posix::stream_descriptor::wait_read,
                         [self = shared_from_this(), run](const boost::system::error_code& code) {
                           if (code || run != self->run_) return;
                           // Asio keeps what it knew of a closed descriptor for the next one it
                           // watches: what another process's socket had to say may wake us.
                           if (!run->process.has_ended()) return self->watch(run);
                           self->ended(run);
                         });
}

void ProcessChannel::read(const std::shared_ptr<Run>& run) {
  run->readable.async_wait(asio::posix::stream_descriptor::wait_read,
                           [self = shared_from_this(), run](const boost::system::error_code& code) {
                             if (code || run != self->run_) return;
                             Status status = run->socket.receive();
                             while (status) {
                               auto frame = run->socket.next();
                               if (!frame) {
                                 status = frame.error();
                                 break;
                               }
                               if (!*frame) break;
                               run->last_frame = Steady::now();
                               status = self->take(*run, **frame);
                             }
                             if (status) return self->read(run);
                             // Gone by itself: its end says how. Else it broke the protocol, and is
                             // ended.
                             if (status.error().kind == Error::Kind::permanent)
                               self->kill(*run, status.error().message);
                           });
}

void ProcessChannel::ask_probe() {
  // One that cannot be sent to is gone, which its end says.
  if (run_ && run_->ready) (void)run_->socket.send(FrameType::probe, {});
}

Status ProcessChannel::take(Run& run, const Frame& frame) {
  switch (frame.type) {
    case FrameType::loading:
      return {};
    case FrameType::ready: {
      VOXBUS_TRY(ready, decode<Ready>(frame.payload));
      run.ready = true;
      amend([&](ChannelStatus& status) { status.version = ready.version; });
      change(Level::up);
      return run.socket.send(FrameType::probe, {});
    }
    case FrameType::batch: {
      VOXBUS_TRY(batch, decode<model::Batch>(frame.payload));
      for (auto& item : batch.items) around_.admit(item);
      switch (around_.journal->submit(channel_.name, run.lease, std::move(batch))) {
        case journal::Submit::taken:
        case journal::Submit::stopping:
          return {};
        case journal::Submit::stale_lease:
          return permanent("its lease ended");
        case journal::Submit::over_limit:
          return permanent("the process sent more than it had credit for");
      }
      return {};
    }
    case FrameType::polled: {
      VOXBUS_TRY(outcome, decode<Outcome>(frame.payload));
      note_poll(outcome);
      return {};
    }
    case FrameType::probed: {
      VOXBUS_TRY(outcome, decode<Outcome>(frame.payload));
      note_probe(outcome);
      return {};
    }
    case FrameType::reread_done: {
      VOXBUS_TRY(outcome, decode<Outcome>(frame.payload));
      if (run.rereads.empty()) return permanent("an answer that nobody waits for");
      const auto done = std::move(run.rereads.front().done);
      run.rereads.pop_front();
      done(std::move(outcome));
      reread_next(run);
      return {};
    }
    case FrameType::log: {
      VOXBUS_TRY(line, decode<LogLine>(frame.payload));
      note_log(line);
      return {};
    }
    case FrameType::refused: {
      VOXBUS_TRY(outcome, decode<Outcome>(frame.payload));
      run.refused = true;
      run.permanent = outcome.status == VOXBUS_PERMANENT;
      run.verdict = outcome.message;
      return {};
    }
    case FrameType::heartbeat: {
      VOXBUS_TRY(beat, decode<Heartbeat>(frame.payload));
      const auto quiet = milliseconds(std::max<std::int64_t>(0, beat.quiet_ms));
      if (quiet > around_.quiet_limit) {
        kill(run, "the plugin gave no sign of life for " + format_duration(quiet),
             "started again by itself; if it comes again, tell the plugin's author");
      }
      return {};
    }
    default:
      return permanent("an unknown frame from the channel's process");
  }
}

void ProcessChannel::reread(Reread wanted, std::function<void(Outcome)> done) {
  if (!run_ || !run_->ready || stopping_)
    return done({VOXBUS_RETRY, 0, "the channel is not up: " + status().reason});
  run_->rereads.push_back({std::move(wanted), std::move(done)});
  if (run_->rereads.size() == 1) reread_next(*run_);
}

void ProcessChannel::reread_next(Run& run) {
  if (run.rereads.empty()) return;
  if (auto sent = run.socket.send(FrameType::reread, encode(run.rereads.front().item)); !sent)
    kill(run, sent.error().message);
}

// Twice a second: deadlines of start, of stop, of one record, and of silence.
void ProcessChannel::tick(const std::shared_ptr<Run>& run) {
  run->clock.expires_after(kTick);
  run->clock.async_wait([self = shared_from_this(), run](const boost::system::error_code& code) {
    if (code || run != self->run_) return;
    const auto now = Steady::now();
    const auto& around = self->around_;
    if (run->kill_at && now >= *run->kill_at) {
      self->kill(*run, "did not stop within " + format_duration(self->channel_.stop_within));
    } else if (!run->ready && now - run->started > around.start_within) {
      self->kill(*run, "the plugin did not come up within " + format_duration(around.start_within));
    } else if (run->ready && now - run->last_frame > around.silence_limit) {
      self->kill(*run, "the process said nothing for " + format_duration(around.silence_limit));
    } else if (const auto examined = run->mark.examined();
               examined && now.time_since_epoch() - examined->since > around.record_limit) {
      run->stuck_on_record = true;
      self->kill(*run,
                 "the plugin was busy with one record for " + format_duration(around.record_limit));
    }
    self->tick(run);
  });
}

void ProcessChannel::kill(Run& run, std::string why, std::string remedy) {
  if (run.process.has_ended()) return;  // by itself, and its end says why
  if (run.verdict.empty()) {
    run.verdict = std::move(why);
    run.remedy = std::move(remedy);
  }
  run.process.kill();
}

// Which record was it? Enough deaths on the same one make it poison: the next run quarantines it.
// However long a run lived before: a record that hangs the plugin ends it after record_limit.
void ProcessChannel::note_crash(Run& run, const Process::End& end) {
  amend([](ChannelStatus& status) { ++status.crashes; });
  // A deadline of another kind says nothing about the record.
  const bool ours = !run.verdict.empty() && !run.stuck_on_record;
  const int points = end.by_fault || run.stuck_on_record ? kPointsOfFault
                     : ours                              ? 0
                                                         : kPointsOfKill;
  const auto examined = run.mark.examined();
  if (!examined || points == 0) return;
  if (suspicion_.size() >= kMaxSuspects) suspicion_.clear();
  auto& suspected = suspicion_[examined->native_id];
  suspected += points;
  if (suspected < kPointsUntilPoison) return;
  suspicion_.erase(examined->native_id);
  if (std::find(poison_.begin(), poison_.end(), examined->native_id) != poison_.end()) return;
  log::warn("channel {}: a record ended the plugin's process each time and goes to quarantine",
            channel_.name);
  if (poison_.size() >= kMaxPoison)
    poison_.erase(poison_.begin());  // the oldest is long behind the cursor
  poison_.push_back(examined->native_id);
  reset_backoff();
}

// The reason for a refusal may still lie in the socket. Batches in it are not taken: one before
// them may have been refused, and what no cursor covers is fetched again.
void ProcessChannel::read_refusal(Run& run) {
  if (!run.socket.receive()) return;
  for (auto frame = run.socket.next(); frame && *frame; frame = run.socket.next()) {
    if ((*frame)->type == FrameType::refused) (void)take(run, **frame);
  }
}

void ProcessChannel::ended(const std::shared_ptr<Run>& run) {
  if (run != run_) return;
  read_refusal(*run);
  const auto end = run->process.reap();
  const bool healthy = run->ready && Steady::now() - run->started > 60s;
  boost::system::error_code ignored;
  run->readable.cancel(ignored);
  run->clock.cancel();
  around_.journal->close_channel(channel_.name, run->lease);
  amend([](ChannelStatus& status) { status.pid = 0; });
  for (auto& wanted : std::exchange(run->rereads, {}))
    wanted.done({VOXBUS_RETRY, 0, "the plugin's process " + end.words + " meanwhile"});
  if (stopping_) {
    run_.reset();
    if (done_) asio::post(*around_.loop, std::exchange(done_, nullptr));
    return;
  }
  if (healthy) reset_backoff();
  if (!run->refused) note_crash(*run, end);
  auto why = run->verdict.empty() ? "the plugin's process " + end.words
             : run->refused       ? run->verdict
                                  : run->verdict + ": it " + end.words;
  auto remedy = run->remedy.empty() && run->permanent
                    ? "mend what it names; it is tried again by itself"
                    : run->remedy;
  run_.reset();
  start_again(std::move(why), std::move(remedy));
}

void ProcessChannel::start_again(std::string why, std::string remedy) {
  const auto wait = next_backoff();
  amend([](ChannelStatus& status) { ++status.restarts; });
  change(Level::degraded, std::move(why),
         remedy.empty() ? "started again in " + format_duration(wait) : std::move(remedy));
  again_.expires_after(wait);
  again_.async_wait([self = shared_from_this()](const boost::system::error_code& code) {
    if (!code && !self->stopping_) self->start();
  });
}

void ProcessChannel::stop(std::function<void()> done) {
  stopping_ = true;
  again_.cancel();
  if (!run_) return asio::post(*around_.loop, std::move(done));
  done_ = std::move(done);
  run_->kill_at = Steady::now() + channel_.stop_within;
  if (!run_->socket.send(FrameType::stop, {})) run_->process.kill();
}

void ProcessChannel::committed(std::uint64_t lease, std::size_t batches, std::size_t, std::size_t) {
  asio::post(*around_.loop, [self = weak_from_this(), lease, batches] {
    const auto channel = self.lock();
    if (!channel || !channel->run_ || channel->run_->lease != lease) return;
    const auto told = channel->run_->socket.send(FrameType::credit, encode(Credit{batches}));
    // Who is gone by itself is noticed, and its end says why.
    if (!told && told.error().kind == Error::Kind::permanent)
      channel->kill(*channel->run_, told.error().message);
  });
}

}  // namespace voxbus::host
