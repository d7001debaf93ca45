// SPDX-License-Identifier: Apache-2.0
//
// What an author writes against: a class derived from Channel, whose poll() fetches what is new
// since a cursor. The host owns the channel and calls poll() serially on one thread; stop() may
// come from any thread meanwhile. A Context is valid during the call it was passed to.
#ifndef VOXBUS_CHANNEL_HPP
#define VOXBUS_CHANNEL_HPP

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "voxbus/abi.h"
#include "voxbus/record.hpp"
#include "voxbus/result.hpp"
#include "voxbus/units.hpp"

namespace voxbus {

using Time = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

enum class Isolation { kProcess, kProcessOrInline };
enum class Network { kNone, kConnect, kOwn };

// What a plugin is, known without running it: becomes the manifest. Only literals.
struct About {
  const char* id = "";       // reverse domain name, "org.example.guestbook"
  const char* version = "";  // "1.0.0"
  const char* summary = "";
  const char* name = "";  // the file's stem; empty: the last part of the id
  Isolation isolation = Isolation::kProcess;
  Network network = Network::kNone;
  std::chrono::milliseconds stop_within{2000};  // after stop; then the process is killed
  Size max_item{};                              // 0: the host's own limit
  Size memory{};                                // address space wished for; 0: the host's own limit
  std::array<const char*, 32> egress{};         // hosts that it talks to
};

// The channel's own note of how far it got; opaque to everybody else, at most 64 KiB.
struct Cursor {
  std::string bytes;

  bool empty() const { return bytes.empty(); }
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

struct Attachment {
  std::string name;
  std::string media;
  std::string bytes;
};

// One thing that happened on the channel.
struct Item {
  std::string native_id;                 // the channel's own stable name of it, never empty
  std::optional<std::uint64_t> version;  // of this native id: a higher one is newer
  std::optional<Time> occurred_at;
  Record record;
  std::string raw;  // the bytes it was made from
  std::vector<Attachment> attachments;
  bool withdrawn = false;                 // deleted or hidden upstream
  bool backfill = false;                  // fetched to fill a gap or history
  std::optional<std::string> unreadable;  // why it is to be quarantined; record is ignored then
};

// What poll() found. With an empty cursor nothing is committed: for channels that emit and commit
// by themselves, or found nothing.
struct Batch {
  std::vector<Item> items;
  Cursor cursor;
  bool more = false;  // call again at once instead of after the channel's poll_every
};

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class Examined { kParse, kSkip, kStopped };
enum class Wake { kElapsed, kReadable, kStopped };

namespace detail {

inline voxbus_view view(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view text(voxbus_view view) {
  return {view.data, static_cast<std::size_t>(view.size)};
}

// Whether a struct of the other side is large enough to have that member.
#define VOXBUS_HAS(pointer, member) \
  ((pointer)->size >=               \
   offsetof(std::remove_cvref_t<decltype(*(pointer))>, member) + sizeof((pointer)->member))

template<class Service>
const Service* find_service(const voxbus_host* host, const char* id) {
  if (!host || !VOXBUS_HAS(host, service) || !host->service) return nullptr;
  return static_cast<const Service*>(host->service(host, id));
}

}  // namespace detail

// One call of the host into the channel.
class Context {
 public:
  Context(const voxbus_host* host, const voxbus_call* call) : host_{host}, call_{call} {}

  // Hands one item to the host. False once stop was asked for: the item was not taken, return soon.
  // Blocks while the host has no room. Only on the thread that was called.
  [[nodiscard]] bool emit(const Item& item);

  // The same for an item that is already in the form of the ABI.
  [[nodiscard]] bool emit(const voxbus_item& item) { return taken(call_->emit(call_, &item)); }

  // "All that was emitted so far is covered by this cursor." False once stop was asked for.
  [[nodiscard]] bool commit(const Cursor& cursor) {
    return taken(call_->commit(call_, detail::view(cursor.bytes)));
  }

  // To be asked before hostile bytes are parsed. kSkip: an earlier run died over this record, the
  // host has it; move the cursor past it.
  [[nodiscard]] Examined examine(std::string_view native_id, std::string_view raw) {
    const voxbus_status status = call_->examine(call_, detail::view(native_id), detail::view(raw));
    if (status == VOXBUS_SKIP) return Examined::kSkip;
    return taken(status) ? Examined::kParse : Examined::kStopped;
  }

  bool stopping() const { return call_->stopping(call_) != 0; }

  // Readable once stop was asked for; never read or close it.
  int wake_fd() const { return call_->wake_fd(call_); }

  // Waits until the time is over or stop was asked for; true when the time is over.
  bool wait(std::chrono::milliseconds duration) {
    return wait_readable(-1, duration) != Wake::kStopped;
  }

  // Waits until `fd` is readable as well; a negative one is none.
  Wake wait_readable(int fd, std::chrono::milliseconds duration);

  // The host's time, which tests can set.
  Time now() const {
    const auto* clock = detail::find_service<voxbus_clock_1>(host_, VOXBUS_SERVICE_CLOCK);
    if (clock) return Time{std::chrono::microseconds{clock->now(host_)}};
    return std::chrono::time_point_cast<std::chrono::microseconds>(
        std::chrono::system_clock::now());
  }

  // What keeps a part of the channel from working while the rest goes on: it is shown as degraded
  // with these words, until a poll that does not say so.
  void trouble(std::string_view words) const {
    voxbus_failure failure{};
    failure.size = sizeof failure;
    failure.message = detail::view(words.substr(0, 4096));
    call_->fail(call_, &failure);
  }

  // One line for the journal; never a secret, never a customer's words.
  void log(LogLevel level, std::string_view message) const {
    if (const auto* log = detail::find_service<voxbus_log_1>(host_, VOXBUS_SERVICE_LOG)) {
      log->write(host_, static_cast<std::int32_t>(level), detail::view(message));
    }
  }

 private:
  static bool taken(voxbus_status status) {
    if (status == VOXBUS_OK) return true;
    if (status == VOXBUS_STOPPED) return false;
    if (status == VOXBUS_MISUSE) {
      throw Failure{Error::permanent("the host refused an item, cursor or record as misuse")};
    }
    throw Failure{Error::retry("the host could not take an item, cursor or record")};
  }

  const voxbus_host* host_;
  const voxbus_call* call_;
};

// Base of every channel. The constructor takes the Settings and does no input or output.
class Channel {
 public:
  Channel() = default;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  virtual ~Channel() = default;

  // Fetches what is new since the cursor, which is empty at the first poll. Either returns it as a
  // Batch, or calls context.examine, emit and commit itself, in that order. May wait for something
  // to arrive by context.wait() or wait_readable(), which end when stop is asked for. After a poll
  // that threw, the next one finds a channel made anew, whose memory is the cursor alone.
  virtual Result<Batch> poll(const Cursor& since, Context& context) = 0;

  // Stop was asked for; Context tells every running call so by itself. Any thread; never blocks.
  virtual void stop() noexcept {}

  // A class may add, and by having it offers the capability:
  //   Result<void> probe(Context& context);
  // Can this channel work right now? Opens what the settings name, reads nothing of it, changes
  // nothing. Runs on the acting thread while a poll may be running: it touches nothing of poll's.
  //   Result<Item> reread(std::string_view native_id, std::string_view raw);
  // The item of that id, made anew from the raw bytes that were once handed over with it. Reads
  // nothing else; `unreadable` says that it still cannot be read. On the acting thread as well.
};

namespace detail {
template<class Class>
concept CanProbe = requires(Class& channel, Context& context) {
  { channel.probe(context) } -> std::same_as<Result<void>>;
};
template<class Class>
concept CanReread = requires(Class& channel, std::string_view text) {
  { channel.reread(text, text) } -> std::same_as<Result<Item>>;
};
}  // namespace detail

inline bool Context::emit(const Item& item) {
  std::string record;
  if (item.unreadable) {
    JsonWriter{record}.begin_object().key("reason").value(*item.unreadable).end_object();
  } else {
    item.record.write(record);
  }
  std::vector<voxbus_attachment> files;
  std::vector<const voxbus_attachment*> pointers;
  files.reserve(item.attachments.size());
  for (const Attachment& file : item.attachments) {
    files.push_back({sizeof(voxbus_attachment), 0, detail::view(file.name),
                     detail::view(file.media), detail::view(file.bytes)});
    pointers.push_back(&files.back());
  }
  voxbus_item out{};
  out.size = sizeof out;
  out.native_id = detail::view(item.native_id);
  if (item.version) {
    out.flags |= VOXBUS_ITEM_HAS_VERSION;
    out.version = *item.version;
  }
  if (item.occurred_at) {
    out.flags |= VOXBUS_ITEM_HAS_OCCURRED;
    out.occurred_at = item.occurred_at->time_since_epoch().count();
  }
  if (item.withdrawn) out.flags |= VOXBUS_ITEM_WITHDRAWN;
  if (item.backfill) out.flags |= VOXBUS_ITEM_BACKFILL;
  if (item.unreadable) out.flags |= VOXBUS_ITEM_UNREADABLE;
  out.record = detail::view(record);
  out.raw = detail::view(item.raw);
  out.attachments = pointers.empty() ? nullptr : pointers.data();
  out.attachment_count = pointers.size();
  return emit(out);
}

inline Wake Context::wait_readable(int fd, std::chrono::milliseconds duration) {
  using Clock = std::chrono::steady_clock;
  const auto* waiting = detail::find_service<voxbus_waiting_1>(host_, VOXBUS_SERVICE_WAITING);
  // Capped, so that an endless wait does not overflow the clock.
  const auto end =
      Clock::now() + std::min<std::chrono::milliseconds>(duration, std::chrono::hours{24});
  const int wake = wake_fd();
  for (;;) {
    if (stopping()) return Wake::kStopped;
    if (waiting) waiting->waiting(host_);  // after stopping(), which is a sign of life again
    auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    // A host without a descriptor to wake us is asked now and then instead.
    if (wake < 0) left = std::min(left, std::chrono::milliseconds{50});
    std::array<pollfd, 2> watched{{{wake, POLLIN, 0}, {fd, POLLIN, 0}}};
    const int ready = ::poll(watched.data(), watched.size(),
                             static_cast<int>(std::max<std::int64_t>(0, left.count())));
    if (ready < 0 && errno != EINTR) {
      throw Failure{Error::retry("poll(2) failed, errno " + std::to_string(errno))};
    }
    if (stopping() || (ready > 0 && watched[0].revents != 0)) return Wake::kStopped;
    if (ready > 0 && watched[1].revents != 0) return Wake::kReadable;
    if (Clock::now() >= end) return Wake::kElapsed;
  }
}

}  // namespace voxbus

#endif  // VOXBUS_CHANNEL_HPP
