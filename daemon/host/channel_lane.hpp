// SPDX-License-Identifier: Apache-2.0
// One lane of a channel's run: the services that the plugin finds in a call, and what the call
// learnt. For channel_run.cpp alone; each lane belongs to the thread that enters the plugin by it.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/crypto.hpp"
#include "base/json.hpp"
#include "base/pulse.hpp"
#include "base/text.hpp"
#include "host/abi_view.hpp"
#include "host/channel_run.hpp"
#include "model/limits.hpp"

namespace voxbus::host {

inline constexpr std::string_view kDiedReading =
    "the plugin died or failed each time over this record";

// What a record is remembered by, here and in the crash mark, which holds no more.
inline std::string_view key_of(std::string_view native_id) {
  return native_id.substr(0, model::kMaxNativeId);
}

inline std::string reason_of(const model::Item& quarantined) {
  const auto parsed = json::parse(quarantined.record, model::kMaxRecordDepth);
  const auto* record = parsed ? parsed->if_object() : nullptr;
  return std::string(record ? json::text_at(*record, "reason").value_or("") : "unknown");
}

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
  std::optional<std::string> found;   // the attachment that was asked for, once it was found
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
      found = one.bytes;
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
  [[nodiscard]] milliseconds quiet_for() const {
    return active ? pulse.quiet_for() : milliseconds(0);
  }
  void enter_mark(std::string_view id) {
    if (has_mark) run->mark_->examining(id);
  }
  void leave_mark() {
    examined.clear();
    if (has_mark) run->mark_->idle();
  }
};

}  // namespace voxbus::host
