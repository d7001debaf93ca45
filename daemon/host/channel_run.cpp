// SPDX-License-Identifier: Apache-2.0
#include "host/channel_run.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <utility>

#include "base/json.hpp"
#include "base/pulse.hpp"
#include "base/text.hpp"
#include "host/abi_view.hpp"
#include "model/limits.hpp"

namespace voxbus::host {
namespace {

using namespace std::chrono_literals;
constexpr auto kLongestRetry = 300'000ms;
constexpr auto kWentWell = 20s;  // a poll that failed after so long is the first in a row

constexpr std::string_view kDiedReading = "the plugin died or failed each time over this record";
constexpr int kFaultsUntilPoison = 3;

// What a record is remembered by, here and in the crash mark, which holds no more.
std::string_view key_of(std::string_view native_id) {
  return native_id.substr(0, model::kMaxNativeId);
}

std::string reason_of(const model::Item& quarantined) {
  const auto parsed = json::parse(quarantined.record, model::kMaxRecordDepth);
  const auto* record = parsed ? parsed->if_object() : nullptr;
  return std::string(record ? json::text_at(*record, "reason").value_or("") : "unknown");
}

}  // namespace

// A call in the making, and what it learnt. The voxbus_call comes first: the plugin's pointer to it
// is our pointer to the lane.
struct ChannelRun::Lane {
  voxbus_call call{};
  ChannelRun* run = nullptr;
  bool polls = false;  // the poll lane: it alone commits, and it alone learns of poison
  bool in_poll = false;
  std::atomic<bool> active = false;  // between the call into the plugin and its return
  Pulse pulse;
  std::int64_t retry_after_ms = 0;
  std::string failure;
  std::string examined;               // the record that the plugin said it is looking at
  const Reread* rereading = nullptr;  // what is being made anew
  std::string still_unread;           // why it is quarantined again
  std::optional<std::string> file;    // the attachment that was asked for, once it was found
  bool has_mark = false;              // the crash mark is the poll lane's
  bool progress = false;              // emitted or committed in this call
  bool brought = false;               // an item, since the last examine
  bool misused = false;               // something was refused in this call: no cursor may cover it

  Lane(ChannelRun* owner, bool poll) : run(owner), polls(poll), has_mark(poll && owner->mark_) {
    call.size = sizeof call;
    call.emit = [](const voxbus_call* c, const voxbus_item* item) {
      const auto status = guarded_status([&] {
        const Pulse::Pause ours(of(c).pulse);
        return of(c).emit(item);
      });
      if (status == VOXBUS_RETRY) of(c).lost(item);
      return status;
    };
    call.commit = [](const voxbus_call* c, voxbus_view cursor) {
      return guarded_status([&] {
        const Pulse::Pause ours(of(c).pulse);
        return of(c).commit(cursor);
      });
    };
    call.examine = [](const voxbus_call* c, voxbus_view id, voxbus_view raw) {
      return guarded_status([&] {
        const Pulse::Pause ours(of(c).pulse);
        return of(c).examine(id, raw);
      });
    };
    call.fail = [](const voxbus_call* c, const voxbus_failure* why) {
      (void)guarded_status([&] { return of(c).fail(why); });
    };
    call.stopping = [](const voxbus_call* c) -> std::int32_t {
      if (of(c).active) of(c).pulse.beat();
      return of(c).run->stopping_.load();
    };
    call.wake_fd = [](const voxbus_call* c) -> std::int32_t { return of(c).run->wake_.get(); };
  }
  static Lane& of(const voxbus_call* call) {
    return *reinterpret_cast<Lane*>(const_cast<voxbus_call*>(call));
  }

  // Calls into the plugin; an outcome says how it went.
  template<class Call>
  Outcome enter(Call&& into_plugin) {
    retry_after_ms = 0;
    failure.clear();
    progress = misused = false;
    active = true;
    pulse.beat();
    const voxbus_status status = into_plugin();
    active = false;
    pulse.rest();
    if (status == VOXBUS_FAULT && polls && !examined.empty() && !brought) run->blame(examined);
    leave_mark();
    // "More" without having brought anything would be a busy loop.
    const bool idle_more = status == VOXBUS_MORE && !progress;
    return {idle_more ? voxbus_status{VOXBUS_OK} : status, retry_after_ms, failure};
  }

  voxbus_status emit(const voxbus_item* item) {
    if (!active || !item || item->size < kItem01 || !is_sound(item->native_id) ||
        !is_sound(item->record) || !is_sound(item->raw) ||
        (item->attachment_count > 0 && !item->attachments)) {
      return misuse("an item that is not filled in");
    }
    model::Offer offer;
    offer.native_id = text_of(item->native_id);
    offer.record = text_of(item->record);
    offer.raw = text_of(item->raw);
    if (item->flags & VOXBUS_ITEM_HAS_VERSION) offer.version = item->version;
    if (item->flags & VOXBUS_ITEM_HAS_OCCURRED)
      offer.occurred = TimePoint(microseconds(item->occurred_at));
    offer.withdrawn = item->flags & VOXBUS_ITEM_WITHDRAWN;
    offer.backfill = item->flags & VOXBUS_ITEM_BACKFILL;
    offer.unreadable = item->flags & VOXBUS_ITEM_UNREADABLE;
    const auto count = std::min<std::uint64_t>(item->attachment_count, model::kMaxAttachments);
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto* file = item->attachments[i];
      if (!file || file->size < kAttachment01 || !is_sound(file->name) || !is_sound(file->media) ||
          !is_sound(file->bytes)) {
        return misuse("an attachment that is not filled in");
      }
      offer.attachments.push_back(
          {text_of(file->name), text_of(file->media), text_of(file->bytes)});
    }
    if (rereading && offer.native_id != rereading->native_id)
      return misuse("an item that nobody asked for");
    if (rereading && !rereading->file.empty()) return look_for_file(offer);
    auto made = normalised(offer);
    if (rereading) {
      made.reparsed = rereading->position;
      still_unread = made.quarantined ? reason_of(made) : std::string{};
    }
    progress = brought = true;
    return hand_over(offer.native_id, std::move(made)) ? VOXBUS_OK : VOXBUS_STOPPED;
  }

  voxbus_status look_for_file(const model::Offer& offer) {
    for (const auto& one : offer.attachments) {
      if (to_hex(as_text(sha256(one.bytes))) != rereading->file) continue;
      file = one.bytes;
      break;
    }
    progress = brought = true;
    return VOXBUS_OK;
  }

  // Under a mark of its own: a crash in here is a crash on this item.
  model::Item normalised(const model::Offer& offer) {
    if (is_poison(offer.native_id)) return run->intake_.quarantine(offer, kDiedReading);
    enter_mark(key_of(offer.native_id));
    model::Item made;
    try {
      made = run->intake_.normalise(offer);
    } catch (const std::bad_alloc&) {
      throw;  // says nothing of the record: see lost()
    } catch (const std::exception& error) {
      // Should this throw as well, the process dies with the mark set, and poison takes over.
      made = [&]() noexcept {
        return run->intake_.quarantine(offer,
                                       std::string("could not be normalised: ") + error.what());
      }();
    }
    return made;
  }

  // We ourselves failed over it, most likely for want of memory. No cursor may cover it; where it
  // happens each time, the record is too much for us and goes to quarantine.
  void lost(const voxbus_item* item) noexcept {
    misused = true;
    (void)guarded_status([&] {
      if (polls) run->blame(std::string(key_of(text_of(item->native_id))));
      return VOXBUS_OK;
    });
  }

  // Waits for credit as long as the journal cannot write: nothing of that is the record's fault, so
  // the mark, whose time is limited, rests meanwhile. To die while it is framed and sent is another
  // matter. Afterwards the mark that examine() set stands again, because the plugin may make
  // several items of one record.
  bool hand_over(std::string_view id, model::Item made) {
    if (has_mark) run->mark_->idle();
    if (!run->outlet_.wait_for_credit()) return false;
    enter_mark(key_of(id));
    const bool taken = run->outlet_.emit(std::move(made));
    examined.empty() ? leave_mark() : enter_mark(examined);
    return taken;
  }

  voxbus_status commit(voxbus_view cursor) {
    if (misused) return VOXBUS_MISUSE;
    if (!active || !in_poll || !is_sound(cursor) || cursor.size > model::kMaxCursor) {
      const auto refused = misuse("a cursor outside of poll, or one above 64 KiB");
      misused = false;  // no item was refused: a later cursor covers what this one would have
      return refused;
    }
    if (!run->outlet_.commit(text_of(cursor))) return VOXBUS_STOPPED;
    run->cursor_ = text_of(cursor);
    leave_mark();  // all before the cursor was survived
    progress = true;
    return VOXBUS_OK;
  }

  voxbus_status examine(voxbus_view id, voxbus_view raw) {
    if (!active || !is_sound(id) || !is_sound(raw)) return misuse("a record that is not filled in");
    leave_mark();  // the record before this one was survived
    brought = false;
    if (is_poison(text_of(id))) {
      model::Offer offer;
      offer.native_id = text_of(id);
      offer.raw = text_of(raw);
      auto made = run->intake_.quarantine(offer, kDiedReading);
      progress = true;
      return hand_over(offer.native_id, std::move(made)) ? VOXBUS_SKIP : VOXBUS_STOPPED;
    }
    examined = key_of(text_of(id));
    enter_mark(examined);
    return VOXBUS_OK;
  }

  voxbus_status fail(const voxbus_failure* why) {
    if (!active || !why || why->size < kFailure01 || !is_sound(why->message)) return VOXBUS_MISUSE;
    failure = one_line(text_of(why->message));
    retry_after_ms = std::clamp<std::int64_t>(why->retry_after_ms, 0, 86'400'000);
    return VOXBUS_OK;
  }

  // Said once a call, with the rule: the author reads it in the journal.
  voxbus_status misuse(std::string_view what) {
    if (!misused) {
      run->outlet_.log(
          {VOXBUS_LOG_ERROR, "the plugin handed over " + std::string(what) + ": see voxbus/abi.h"});
    }
    misused = true;
    return VOXBUS_MISUSE;
  }
  [[nodiscard]] bool is_poison(std::string_view id) const {
    return polls && run->poison_.contains(key_of(id));
  }
  [[nodiscard]] milliseconds quiet_for() const { return active ? pulse.quiet_for() : 0ms; }
  void enter_mark(std::string_view id) {
    if (has_mark) run->mark_->examining(id);
  }
  void leave_mark() {
    examined.clear();
    if (has_mark) run->mark_->idle();
  }
};

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
        [](const Requests& asked) {
          return asked.stop || asked.probes > 0 || !asked.rereads.empty();
        },
        [](Requests& asked) {
          Work next;
          if (asked.stop) return next;
          next.probe = asked.probes > 0;
          if (next.probe) {
            --asked.probes;
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
    auto file = std::exchange(act_lane_->file, std::nullopt);
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
  requests_.with([](Requests& asked) { ++asked.probes; });
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
