// SPDX-License-Identifier: Apache-2.0
//
// The harness in which authors test a plugin: a host in memory that enters by the same door as
// production, the voxbus_plugin struct, be it linked into the test or loaded from the .so. It
// gathers items and cursors and throws ContractViolation when the plugin broke a rule of abi.h. No
// test framework is needed. A Harness is used on one thread, except for stop().
#ifndef VOXBUS_TESTING_HPP
#define VOXBUS_TESTING_HPP

#include <dlfcn.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "voxbus/channel.hpp"
#include "voxbus/record_check.hpp"

namespace voxbus::testing {

class ContractViolation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An item as the host received it.
struct Seen {
  std::string native_id;
  std::uint32_t flags = 0;
  std::uint64_t version = 0;
  std::int64_t occurred_at = 0;
  std::string record;
  std::string raw;
  std::vector<Attachment> attachments;

  bool unreadable() const { return (flags & VOXBUS_ITEM_UNREADABLE) != 0; }
  bool withdrawn() const { return (flags & VOXBUS_ITEM_WITHDRAWN) != 0; }
  Json json() const { return Json::parse(record).value(); }
};

// What one call came to. `items` are those that a cursor covered, `uncovered` the rest, which in
// production would be fetched again.
struct Outcome {
  voxbus_status status = VOXBUS_OK;
  std::string message;
  std::chrono::milliseconds retry_after{0};
  std::vector<Seen> items;
  std::vector<Seen> uncovered;
  std::size_t commits = 0;

  bool ok() const { return status == VOXBUS_OK || status == VOXBUS_MORE; }
};

class Harness {
 public:
  // A plugin that is linked into the test: Harness harness{voxbus_plugin_entry};
  explicit Harness(const voxbus_plugin& entry) : Harness{entry, nullptr} {}

  // A plugin in its file. The library stays loaded as long as the program runs, as in production.
  static std::unique_ptr<Harness> load(const std::string& path) {
    void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) throw std::runtime_error(::dlerror());
    const auto* entry = static_cast<const voxbus_plugin*>(::dlsym(library, VOXBUS_ENTRY_SYMBOL));
    if (!entry) throw std::runtime_error(path + " does not export " VOXBUS_ENTRY_SYMBOL);
    return std::unique_ptr<Harness>{new Harness{*entry, library}};
  }

  ~Harness() {
    if (channel_) entry_.destroy(channel_);
    ::close(wake_fd_);
  }
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;

  // ---- what a host does -------------------------------------------------------------------------

  Json describe() {
    struct Writer {
      voxbus_writer base;
      std::string text;
    } writer{{sizeof(voxbus_writer), 0, nullptr}, {}};
    writer.base.write = [](const voxbus_writer* self, voxbus_view piece) {
      // The base is the first member of a standard-layout prefix.
      const_cast<Writer*>(reinterpret_cast<const Writer*>(self))->text += detail::text(piece);
    };
    if (entry_.describe(&writer.base) != VOXBUS_OK) violated("describe failed");
    raise();
    Json manifest = Json::parse(writer.text).value();
    if (manifest.text("id") != entry_.id) violated("the manifest's id is not the entry's");
    raise();
    return manifest;
  }

  Outcome create(std::string settings = "{}") {
    settings_ = std::move(settings);
    destroy();
    return make();
  }

  // One poll from the newest cursor. After a stop the channel is made anew first, as production
  // does.
  Outcome poll() {
    if (stopped_) {
      destroy();
      stopped_ = false;
      drain_wake();
      Outcome made = make();
      if (made.status != VOXBUS_OK) return made;
    }
    if (!channel_) throw std::logic_error("poll before create");
    if (stop_before_poll_) stop();
    return call(
        [&](const voxbus_call* call) { return entry_.poll(channel_, call, detail::view(cursor_)); },
        Lane::kPoll);
  }

  // Polls until the plugin says that there is nothing more for now, waits, or fails. A plugin that
  // waits is stopped there. Gives up after `polls` calls.
  Outcome drain(std::size_t polls = 100'000) {
    stop_when_waiting_ = true;
    Outcome all;
    do {
      if (polls-- == 0) throw ContractViolation("the plugin never came to an end");
      Outcome one = poll();
      all.status = one.status;
      all.message = std::move(one.message);
      all.retry_after = one.retry_after;
      all.commits += one.commits;
      std::move(one.items.begin(), one.items.end(), std::back_inserter(all.items));
      all.uncovered = std::move(one.uncovered);
    } while (all.status == VOXBUS_MORE);
    stop_when_waiting_ = false;
    return all;
  }

  // Asks the running call to return. Any thread.
  void stop() {
    stopped_ = true;
    const std::uint64_t one = 1;
    if (::write(wake_fd_, &one, sizeof one) < 0) violated("the wake descriptor is broken");
    if (channel_) entry_.stop(channel_);
  }

  void destroy() {
    if (channel_) entry_.destroy(channel_);
    channel_ = nullptr;
    raise();
  }

  const void* capability(const char* id) const { return entry_.capability(id); }

  // What the plugin says to "can you work right now?"; VOXBUS_UNSUPPORTED when it cannot say.
  Outcome probe() {
    const auto* able = static_cast<const voxbus_probe_1*>(capability(VOXBUS_CAPABILITY_PROBE));
    Outcome none;
    none.status = VOXBUS_UNSUPPORTED;
    if (!able) return none;
    if (able->size < sizeof(voxbus_probe_1) || !able->probe) {
      violated("probe/1 without a function");
      raise();
      return none;
    }
    if (!channel_) throw std::logic_error("probe before create");
    return call([&](const voxbus_call* call) { return able->probe(channel_, call); }, Lane::kAct);
  }

  // What the plugin makes of the raw bytes of an earlier item; VOXBUS_UNSUPPORTED when it cannot.
  Outcome reread(std::string_view native_id, std::string_view raw) {
    const auto* able = static_cast<const voxbus_reread_1*>(capability(VOXBUS_CAPABILITY_REREAD));
    Outcome none;
    none.status = VOXBUS_UNSUPPORTED;
    if (!able) return none;
    if (able->size < sizeof(voxbus_reread_1) || !able->reread) {
      violated("reread/1 without a function");
      raise();
      return none;
    }
    if (!channel_) throw std::logic_error("reread before create");
    Outcome outcome = call(
        [&](const voxbus_call* call) {
          return able->reread(channel_, call, detail::view(native_id), detail::view(raw));
        },
        Lane::kAct);
    outcome.items = std::move(outcome.uncovered);  // no cursor covers what is read anew
    outcome.uncovered.clear();
    if (outcome.status == VOXBUS_OK && outcome.items.size() != 1)
      violated("reread brought " + std::to_string(outcome.items.size()) + " items instead of one");
    for (const Seen& item : outcome.items) {
      if (item.native_id != native_id) violated("reread brought another native id");
    }
    raise();
    return outcome;
  }

  // ---- what a test scripts ----------------------------------------------------------------------

  // Stop comes once that many items of the next calls were taken; the next emit is refused.
  void stop_after_items(std::size_t count) { items_until_stop_ = count; }
  // Stop is already there when poll is called.
  void stop_before_poll(bool yes = true) { stop_before_poll_ = yes; }
  // Runs each time the plugin says that it now waits, before it does; the count starts at 1.
  void on_waiting(std::function<void(int)> react) {
    on_waiting_ = std::move(react);
    waits_ = 0;
  }
  // Runs after each item was taken.
  void on_emit(std::function<void(const Seen&)> react) { on_emit_ = std::move(react); }
  // examine() answers "skip" for this id.
  void quarantine(std::string id) { quarantined_.insert(std::move(id)); }
  // The host's clock, in microseconds since 1970.
  void set_now(std::int64_t microseconds) { now_ = microseconds; }
  void set_cursor(std::string cursor) { cursor_ = std::move(cursor); }
  // Violations are kept in violations() instead of thrown.
  void tolerate() { tolerant_ = true; }

  // ---- what a test looks at ---------------------------------------------------------------------

  const std::string& cursor() const { return cursor_; }
  const std::vector<std::string>& violations() const { return violations_; }
  const std::vector<std::string>& log() const { return log_; }
  const std::vector<std::string>& examined() const { return examined_; }
  int waits() const { return waits_; }

 private:
  enum class Lane { kSetup, kPoll, kAct };  // as abi.h has them

  // One call into the plugin. Kept until the harness goes, so that its use after return is seen.
  struct Running {
    voxbus_call base{};
    Harness* harness = nullptr;
    std::atomic<bool> active{true};
    bool polling = false;
    std::thread::id thread = std::this_thread::get_id();
    Outcome outcome;
  };
  struct Host {
    voxbus_host base{};
    Harness* harness = nullptr;
  };

  Harness(const voxbus_plugin& entry, void*)
      : entry_{entry}, wake_fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (wake_fd_ < 0) throw std::runtime_error("cannot make an event descriptor");
    if (entry.size < sizeof(voxbus_plugin)) throw ContractViolation("the entry is too small");
    if (entry.abi_major != VOXBUS_ABI_MAJOR) throw ContractViolation("another ABI major");
    if (!entry.id || !*entry.id) throw ContractViolation("the entry has no id");
    if (!entry.describe || !entry.create || !entry.destroy || !entry.poll || !entry.stop) {
      throw ContractViolation("the entry lacks a function");
    }
    host_.harness = this;
    host_.base = {sizeof(voxbus_host), VOXBUS_ABI_MAJOR, VOXBUS_ABI_MINOR, &service};
  }

  Outcome make() {
    Outcome outcome = call(
        [&](const voxbus_call* call) {
          return entry_.create(&host_.base, call, detail::view(settings_), &channel_);
        },
        Lane::kSetup);
    if (outcome.status == VOXBUS_OK && !channel_) violated("create made no channel");
    raise();
    return outcome;
  }

  template<class Function>
  Outcome call(const Function& function, Lane lane) {
    const bool polling = lane == Lane::kPoll;
    Running& running = calls_.emplace_back();
    running.harness = this;
    running.polling = polling;
    running.base = {sizeof(voxbus_call), 0, &emit, &commit, &examine, &fail, &stopping, &wake};
    Outcome& outcome = running.outcome;
    outcome.status = function(&running.base);
    running.active = false;
    const voxbus_status status = outcome.status;
    if (status == VOXBUS_STOPPED && !stopped_) violated("returned STOPPED though nobody asked");
    const bool failed =
        status == VOXBUS_RETRY || status == VOXBUS_PERMANENT || status == VOXBUS_FAULT;
    if (failed && outcome.message.empty()) {
      violated("failed without saying why");
    }
    if (status != VOXBUS_OK && !failed &&
        !(polling && (status == VOXBUS_MORE || status == VOXBUS_STOPPED))) {
      violated("returned the status " + std::to_string(status));
    }
    if (lane != Lane::kAct && outcome.ok() && !outcome.uncovered.empty()) {
      violated("returned without a cursor for " + std::to_string(outcome.uncovered.size()) +
               " items");
    }
    raise();
    return std::move(outcome);
  }

  // Checks that a function of the call may be used now; false: answer MISUSE.
  static bool allowed(const voxbus_call* call, const char* what, bool any_thread = false) {
    auto* running = from(call);
    const auto broken = [&](const char* how) {
      running->harness->violated(std::string{what} + how);
      return false;
    };
    if (!running->active) return broken(" after the call had returned");
    if (!any_thread && running->thread != std::this_thread::get_id()) {
      return broken(" from another thread than the called one");
    }
    return true;
  }
  static Running* from(const voxbus_call* call) {
    return const_cast<Running*>(reinterpret_cast<const Running*>(call));
  }

  static voxbus_status emit(const voxbus_call* call, const voxbus_item* item) {
    if (!allowed(call, "emit")) return VOXBUS_MISUSE;
    Harness& self = *from(call)->harness;
    if (self.stopped_) return VOXBUS_STOPPED;
    if (self.items_until_stop_ == 0) {
      self.stop();
      return VOXBUS_STOPPED;
    }
    const std::size_t before = self.violation_count();
    if (!item) return self.violated("emitted no item"), VOXBUS_MISUSE;
    Seen seen = self.take(*item);
    if (self.violation_count() != before) return VOXBUS_MISUSE;
    from(call)->outcome.uncovered.push_back(std::move(seen));
    --self.items_until_stop_;
    if (self.on_emit_) self.on_emit_(from(call)->outcome.uncovered.back());
    return VOXBUS_OK;
  }

  static voxbus_status commit(const voxbus_call* call, voxbus_view cursor) {
    if (!allowed(call, "commit")) return VOXBUS_MISUSE;
    Running& running = *from(call);
    Harness& self = *running.harness;
    if (!running.polling || cursor.size > 65'536 || cursor.size == 0) {
      self.violated("committed outside of poll, or an empty cursor, or one above 64 KiB");
      return VOXBUS_MISUSE;
    }
    if (self.stopped_) return VOXBUS_STOPPED;
    Outcome& outcome = running.outcome;
    std::move(outcome.uncovered.begin(), outcome.uncovered.end(),
              std::back_inserter(outcome.items));
    outcome.uncovered.clear();
    self.cursor_ = self.text_of(cursor, "a cursor");
    ++outcome.commits;
    return VOXBUS_OK;
  }

  static voxbus_status examine(const voxbus_call* call, voxbus_view id, voxbus_view) {
    if (!allowed(call, "examine")) return VOXBUS_MISUSE;
    Harness& self = *from(call)->harness;
    if (id.size == 0 || id.size > 1024) {
      self.violated("examined an id of " + std::to_string(id.size) + " bytes");
      return VOXBUS_MISUSE;
    }
    self.examined_.emplace_back(self.text_of(id, "an examined id"));
    return self.quarantined_.contains(self.examined_.back()) ? VOXBUS_SKIP : VOXBUS_OK;
  }

  static void fail(const voxbus_call* call, const voxbus_failure* failure) {
    if (!allowed(call, "fail")) return;
    Outcome& outcome = from(call)->outcome;
    if (!failure) return from(call)->harness->violated("failed with no failure");
    outcome.message = from(call)->harness->text_of(failure->message, "a failure's words");
    outcome.retry_after = std::chrono::milliseconds{failure->retry_after_ms};
    if (!is_utf8(outcome.message)) from(call)->harness->violated("a failure's words are not UTF-8");
  }

  static std::int32_t stopping(const voxbus_call* call) {
    return !allowed(call, "stopping", true) || from(call)->harness->stopped_ ? 1 : 0;
  }
  static std::int32_t wake(const voxbus_call* call) { return from(call)->harness->wake_fd_; }

  static const void* service(const voxbus_host*, const char* id) {
    static const voxbus_log_1 kLog{sizeof(voxbus_log_1), 0, &write_log};
    static const voxbus_clock_1 kClock{sizeof(voxbus_clock_1), 0, &now};
    static const voxbus_waiting_1 kWaiting{sizeof(voxbus_waiting_1), 0, &waiting};
    const std::string_view wanted = id;
    if (wanted == VOXBUS_SERVICE_LOG) return &kLog;
    if (wanted == VOXBUS_SERVICE_CLOCK) return &kClock;
    if (wanted == VOXBUS_SERVICE_WAITING) return &kWaiting;
    return nullptr;
  }
  static Harness& of(const voxbus_host* host) {
    return *reinterpret_cast<const Host*>(host)->harness;
  }
  static void write_log(const voxbus_host* host, std::int32_t, voxbus_view message) {
    const std::lock_guard lock{of(host).mutex_};
    of(host).log_.emplace_back(detail::text(message));
  }
  static std::int64_t now(const voxbus_host* host) {
    if (const std::int64_t fixed = of(host).now_; fixed != 0) return fixed;
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
  static void waiting(const voxbus_host* host) {
    Harness& self = of(host);
    ++self.waits_;
    if (self.on_waiting_) self.on_waiting_(self.waits_);
    if (self.stop_when_waiting_) self.stop();
  }

  Seen take(const voxbus_item& item) {
    Seen seen;
    if (item.size < sizeof(voxbus_item)) return violated("an item's size is not filled in"), seen;
    seen.native_id = text_of(item.native_id, "a native id");
    seen.flags = item.flags;
    if (item.flags & VOXBUS_ITEM_HAS_VERSION) seen.version = item.version;
    if (item.flags & VOXBUS_ITEM_HAS_OCCURRED) seen.occurred_at = item.occurred_at;
    if (seen.occurred_at < kFirstYear || seen.occurred_at > kLastYear) {
      violated("a time outside the years 1 to 9999; it is in microseconds since 1970");
    }
    seen.record = text_of(item.record, "a record");
    seen.raw = text_of(item.raw, "raw bytes");
    if (seen.native_id.empty() || seen.native_id.size() > 1024) {
      violated("a native id of " + std::to_string(seen.native_id.size()) + " bytes");
    }
    if (!is_utf8(seen.native_id)) violated("a native id that is not UTF-8");
    for (std::uint64_t i = 0; i < item.attachment_count; ++i) {
      const voxbus_attachment* file = item.attachments ? item.attachments[i] : nullptr;
      if (!file) return violated("an attachment that is none"), seen;
      seen.attachments.push_back({std::string{text_of(file->name, "an attachment's name")},
                                  std::string{text_of(file->media, "an attachment's media")},
                                  std::string{text_of(file->bytes, "an attachment's bytes")}});
    }
    check_record(seen);
    return seen;
  }

  std::string_view text_of(voxbus_view view, const char* what) {
    if (view.data || view.size == 0) return detail::text(view);
    violated(std::string{what} + " of " + std::to_string(view.size) + " bytes at no address");
    return {};
  }

  void check_record(const Seen& seen) {
    if (seen.withdrawn() && seen.record.empty()) return;
    const Result<Json> record = Json::parse(seen.record);
    if (!record) return violated("a record is not right: " + record.error().message);
    if (seen.unreadable()) {
      if (record->text("reason").empty()) violated("an unreadable item without a reason");
      return;
    }
    for (const std::string& problem : RecordCheck::check(*record)) violated(problem);
  }

  std::size_t violation_count() {
    const std::lock_guard lock{mutex_};
    return violations_.size();
  }
  void violated(std::string what) {
    const std::lock_guard lock{mutex_};
    violations_.push_back(std::move(what));
  }
  void raise() {
    const std::lock_guard lock{mutex_};
    if (tolerant_ || violations_.empty()) return;
    std::string all;
    for (const std::string& violation : violations_) all += (all.empty() ? "" : "; ") + violation;
    violations_.clear();
    throw ContractViolation(all);
  }
  void drain_wake() {
    std::uint64_t count = 0;
    while (::read(wake_fd_, &count, sizeof count) > 0) {
    }
  }

  static constexpr std::int64_t kFirstYear = -62'135'596'800'000'000;  // microseconds
  static constexpr std::int64_t kLastYear = 253'402'300'799'999'999;

  const voxbus_plugin& entry_;
  int wake_fd_;
  Host host_;
  std::string settings_;
  voxbus_channel* channel_ = nullptr;
  std::string cursor_;
  std::deque<Running> calls_;
  std::atomic<bool> stopped_{false};
  std::atomic<std::int64_t> now_{0};
  std::size_t items_until_stop_ = std::numeric_limits<std::size_t>::max();
  bool stop_before_poll_ = false;
  bool stop_when_waiting_ = false;
  bool tolerant_ = false;
  int waits_ = 0;
  std::function<void(int)> on_waiting_;
  std::function<void(const Seen&)> on_emit_;
  std::set<std::string, std::less<>> quarantined_;
  std::vector<std::string> examined_;
  std::mutex mutex_;  // guards what threads of a faulty plugin may reach
  std::vector<std::string> violations_;
  std::vector<std::string> log_;
};

}  // namespace voxbus::testing

#endif  // VOXBUS_TESTING_HPP
