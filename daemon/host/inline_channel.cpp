// SPDX-License-Identifier: Apache-2.0
#include "host/inline_channel.hpp"

#include <boost/asio/post.hpp>

#include "base/log.hpp"
#include "base/units.hpp"
#include "host/credit_outlet.hpp"
#include "voxbus/abi.h"

namespace voxbus::host {

namespace asio = boost::asio;

class InlineChannel::JournalOutlet final : public CreditOutlet {
 public:
  JournalOutlet(InlineChannel& channel, std::uint64_t lease)
      : CreditOutlet(channel.around_.credit), channel_(channel), lease_(lease) {}

  void ready(const Ready& ready) override {
    channel_.post([version = ready.version](InlineChannel& channel) {
      channel.amend([&](ChannelStatus& status) { status.version = version; });
      channel.change(Level::up);
    });
  }
  void probed(const Outcome& outcome) override {
    channel_.post([outcome](InlineChannel& channel) { channel.note_probe(outcome); });
  }
  void log(const LogLine& line) override { channel_.note_log(line); }

 protected:
  void deliver(model::Batch batch) override {
    // After one batch was refused no later one may follow it: its cursor would cover the lost one.
    if (broken_) return;
    for (auto& item : batch.items) channel_.around_.admit(item);
    const auto taken =
        channel_.around_.journal->submit(channel_.channel_.name, lease_, std::move(batch));
    if (taken == journal::Submit::taken) return;
    broken_ = true;
    channel_.post([taken](InlineChannel& channel) {
      if (taken == journal::Submit::over_limit)
        channel.verdict_ = "it brought more at once than the journal's queue holds";
      channel.end_run();
    });
  }
  void report(const Outcome& outcome) override {
    channel_.post([outcome](InlineChannel& channel) { channel.note_poll(outcome); });
  }
  void report_reread(const Outcome& outcome) override {
    channel_.post([outcome](InlineChannel& channel) {
      if (channel.rereads_.empty()) return;
      const auto done = std::move(channel.rereads_.front());
      channel.rereads_.pop_front();
      done(outcome);
    });
  }

 private:
  InlineChannel& channel_;
  const std::uint64_t lease_;
  bool broken_ = false;  // deliver() is called under the outlet's lock
};

InlineChannel::InlineChannel(const config::Channel& channel, Surroundings& surroundings)
    : Supervised(channel, surroundings), again_(*surroundings.loop), clock_(*surroundings.loop) {}
InlineChannel::~InlineChannel() {
  if (lane_.joinable()) lane_.join();
}

void InlineChannel::start() {
  change(Level::starting);
  with_library([self = shared_from_this()](Result<FileDescriptor> library) {
    if (self->stopping_) return;
    if (!library) return self->start_again(library.error().message);
    if (auto launched = self->launch(std::move(*library)); !launched)
      self->start_again(launched.error().message);
  });
}

Status InlineChannel::launch(FileDescriptor library) {
  VOXBUS_TRY(plain_settings, settings());
  VOXBUS_TRY(opening, open_channel(this));
  lease_ = opening.lease;
  outlet_ = std::make_unique<JournalOutlet>(*this, opening.lease);
  auto frame = start_frame(opening, std::move(plain_settings));
  // The library's own constructors and destructors run there too: they must not hold up the others.
  lane_ = std::thread([this, frame = std::move(frame),
                       file = std::make_shared<FileDescriptor>(std::move(library))]() mutable {
    Outcome outcome;
    try {
      outcome = live(std::move(frame), *file);
    } catch (const std::exception& error) {
      outcome = {VOXBUS_RETRY, 0, error.what()};
    }
    post([outcome = std::move(outcome)](InlineChannel& channel) { channel.ended(outcome); });
  });
  look();
  return {};
}

// Nobody can end a thread: a plugin that hangs is shown, and a person decides.
void InlineChannel::look() {
  clock_.expires_after(std::chrono::milliseconds(500));
  clock_.async_wait([self = weak_from_this()](const boost::system::error_code& code) {
    const auto channel = self.lock();
    if (code || !channel || !channel->lane_.joinable()) return;
    const auto quiet = channel->running_.with([](const Running& running) {
      return running.run ? running.run->quiet_for() : std::chrono::milliseconds{};
    });
    const bool too_long = quiet > channel->around_.quiet_limit;
    if (too_long && !channel->quiet_) {
      channel->change(Level::degraded,
                      "the plugin gave no sign of life for " + format_duration(quiet),
                      "restart voxbusd to end it; with 'isolation: process' that goes by itself");
    } else if (!too_long && channel->quiet_) {
      channel->change(Level::up);
    }
    channel->quiet_ = too_long;
    channel->look();
  });
}

Outcome InlineChannel::live(Start start, const FileDescriptor& file) {
  auto plugin = Plugin::load(file, channel_.plugin);
  if (!plugin) return {VOXBUS_PERMANENT, 0, plugin.error().message};
  if ((*plugin)->id() != channel_.plugin_id) {
    return {VOXBUS_PERMANENT, 0,
            "the library says it is '" + (*plugin)->id() + "', its manifest '" +
                channel_.plugin_id + "'"};
  }
  auto intake = around_.make_intake(start);
  auto run = std::make_unique<ChannelRun>(std::move(start), std::move(*plugin), std::move(intake),
                                          *outlet_, nullptr, *around_.clock);
  // However this ends: stop() must not reach a run that is gone.
  struct Leave {
    Guarded<Running>& running;
    ~Leave() {
      running.with([](Running& held) { held.run = nullptr; });
    }
  } const leave{running_};
  const bool wanted = running_.with([&](Running& running) {
    running.run = running.stop ? nullptr : run.get();
    return !running.stop;
  });
  if (!wanted) return {};
  run->probe();
  return run->run();
}

void InlineChannel::ask_probe() {
  running_.with([](Running& running) {
    if (running.run && !running.stop) running.run->probe();
  });
}

void InlineChannel::reread(Reread wanted, std::function<void(Outcome)> done) {
  const bool asked = running_.with([&](Running& running) {
    if (running.run && !running.stop) running.run->reread(std::move(wanted));
    return running.run && !running.stop;
  });
  if (!asked) return done({VOXBUS_RETRY, 0, "the channel is not up: " + status().reason});
  rereads_.push_back(std::move(done));
}

void InlineChannel::ended(const Outcome& outcome) {
  clock_.cancel();
  quiet_ = false;
  lane_.join();
  running_.with([](Running& running) { running = {}; });
  around_.journal->close_channel(channel_.name, lease_);
  outlet_.reset();
  for (auto& done : std::exchange(rereads_, {}))
    done({VOXBUS_RETRY, 0, "the plugin's run ended meanwhile"});
  if (stopping_) {
    if (done_) asio::post(*around_.loop, std::exchange(done_, nullptr));
    return;
  }
  auto why = std::exchange(verdict_, {});
  if (why.empty()) why = outcome.message;
  start_again(why.empty() ? "the plugin's run ended" : std::move(why));
}

void InlineChannel::start_again(std::string why) {
  const auto wait = next_backoff();
  amend([](ChannelStatus& status) { ++status.restarts; });
  change(Level::degraded, std::move(why), "started again in " + format_duration(wait));
  again_.expires_after(wait);
  again_.async_wait([self = shared_from_this()](const boost::system::error_code& code) {
    if (!code && !self->stopping_) self->start();
  });
}

void InlineChannel::stop(std::function<void()> done) {
  stopping_ = true;
  again_.cancel();
  if (!lane_.joinable()) return asio::post(*around_.loop, std::move(done));
  done_ = std::move(done);
  end_run();
}

void InlineChannel::end_run() {
  running_.with([](Running& running) {
    running.stop = true;
    if (running.run) running.run->stop();
  });
}

void InlineChannel::committed(std::uint64_t lease, std::size_t batches, std::size_t, std::size_t) {
  // The outlet lives until close_channel() returned, so it may be told at once.
  if (lease == lease_ && outlet_) outlet_->committed(batches);
}

void InlineChannel::post(std::function<void(InlineChannel&)> action) {
  asio::post(*around_.loop, [self = weak_from_this(), action = std::move(action)] {
    if (const auto channel = self.lock()) action(*channel);
  });
}

}  // namespace voxbus::host
