// SPDX-License-Identifier: Apache-2.0
// The journal: everything the daemon knows, written once, in order, sealed, before anybody is told.
// Channels submit batches; the sequencer decides what is new and in which order; the writer commits
// a group of them with their cursors in one transaction. One object per state directory, owned by
// the daemon; it owns its lock, file, keys, index and threads. Every function may be called from
// any thread, except that call-backs must not call open_channel(), close_channel() or append().
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "journal/reader.hpp"
#include "model/event.hpp"
#include "model/item.hpp"

namespace voxbus::journal {

struct Options {
  std::filesystem::path directory;  // "<state>/journal"; created when it is missing
  // Names this installation in every event's source. Used when the journal is created; afterwards
  // the stored one rules.
  std::string installation;
  // Wraps all other keys. Nothing: directory/master.key, made at the first start.
  std::optional<Key> master_key;
  // The highest that anybody outside was told, as the bus remembers it of its consumers. An end
  // before it means that an older copy was put back: a new epoch begins behind it, so that no
  // sequence ever names two events.
  std::optional<model::Sequence> told;
  const Clock* clock = nullptr;  // outlives the journal; nothing: the system's
  // Called once, on one of the journal's threads, when going on would break a promise (fsync
  // failed, a row is damaged). The caller ends the process; nothing is acknowledged any more.
  std::function<void(const Error&)> on_fatal;

  std::size_t queue_bytes = 48u << 20;    // per channel, undecided
  std::size_t group_items = 1024;         // in one transaction
  std::size_t group_bytes = 4u << 20;     // in one transaction, unless one item is larger
  std::uint64_t wal_ceiling = 64u << 20;  // bytes; above it the writer waits for a checkpoint
  std::uint64_t reserve_bytes = 16u << 20;
  std::chrono::milliseconds space_retry{1000};  // between attempts while the disk is full

  // For tests: another SQLite VFS by name, and another opinion about free bytes on the disk.
  std::string vfs;
  std::function<std::uint64_t()> free_space;
};

// From `first` on, positions belong to `epoch`.
struct EpochStart {
  model::Epoch epoch = 0;
  model::Position first = 0;
  TimePoint opened_at;
  std::string reason;  // "created", "3 rows were lost"
};

// Learns what became durable, so that credit goes back to the host. Belongs to the caller of
// open_channel() and must live until close_channel() returned (or the next opening of the channel).
class ChannelSink {
 public:
  // After the commit that holds the last item of each of `batches` batches, with all their items
  // and bytes (Item::weight). On the journal's thread: signal and return; submit() is allowed.
  virtual void committed(std::uint64_t lease, std::size_t batches, std::size_t items,
                         std::size_t bytes) = 0;

 protected:
  ~ChannelSink() = default;
};

// What counts as new on a channel that is opened for the first time; older items are historic.
struct Begin {
  enum class Kind { now, all, date };
  Kind kind = Kind::now;
  TimePoint date{};  // with Kind::date
};

struct Opening {
  std::uint64_t lease = 0;
  std::string cursor;       // the newest, empty at the first opening of an origin
  TimePoint begin;          // as decided at the first opening; Kind::all is kEarliest
  bool new_origin = false;  // this identity was never opened before
};

enum class Submit {
  taken,
  stale_lease,  // the channel was opened again, or closed
  over_limit,   // more than queue_bytes: the caller ignored its credit; nothing was taken
  stopping,     // the journal stops or failed; nothing was taken
};

// A statement that comes from no channel: a channel's state, later people's commands.
struct Fact {
  std::string source;  // after "urn:voxbus:<installation>/": "channels/support", "people/nora"
  std::string type;    // "org.voxbus.channel.up.v1"
  std::string schema;  // "channel.v1"; empty: none is named
  std::string data;    // a JSON object
  // Two facts of one source and type with the same key are one: the second append() returns the
  // first one's sequence. Empty: always a new one.
  std::string dedupe_key;
  std::string conversation;       // channel-less partition, empty: none
  std::optional<TimePoint> time;  // when it happened; nothing: when it is recorded
};

// Counted since the journal was opened, unless it says otherwise.
struct ChannelStats {
  std::string name;
  std::uint64_t received = 0;  // items taken from the queue
  std::uint64_t stored =
      0;  // rows: the first of their native id, revisions, withdrawals, quarantined
  std::uint64_t duplicates = 0;
  std::uint64_t revisions = 0;
  std::uint64_t withdrawn = 0;
  std::uint64_t quarantined = 0;
  std::uint64_t late = 0;          // originals of something that was withdrawn before
  std::uint64_t out_of_order = 0;  // an older version than the one we hold
  std::uint64_t queued_bytes = 0;  // now
};
struct Stats {
  std::vector<ChannelStats> channels;  // by name; channels opened since start
  std::uint64_t groups = 0;            // transactions
  std::uint64_t rows = 0;
  std::chrono::microseconds last_commit{0};  // how long the last transaction took
  std::chrono::microseconds longest_commit{0};
  std::uint64_t wal_bytes = 0;
  std::uint64_t keys_free = 0;          // made and durable, not yet used
  std::uint64_t quarantined_total = 0;  // rows in the journal
  std::uint64_t rows_lost = 0;          // at the salvage of this start
  std::uint64_t unreadable = 0;         // rows read since start whose key is damaged
  bool waiting_for_space = false;       // the disk is full; channels wait
  bool waiting_for_lock = false;        // another process holds the file's lock; likewise
  std::chrono::milliseconds silent{0};  // how long a thread at work gave no sign; 0: none is
  bool failed = false;                  // on_fatal was called
};

class Journal {
 public:
  // Locks the directory, repairs what a crash left, logs what it repaired, starts the threads.
  // Errors: another process holds it, a newer format, a wrong master key, the file system.
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open(Options options);
  // Has the next start begin a new epoch: for a directory that was put back from a backup where
  // nobody can tell by itself. Refused while a daemon holds it.
  [[nodiscard]] static Status note_restored(const std::filesystem::path& directory);
  // Whose cursors a directory holds, also beside a running daemon; none where there is no journal.
  [[nodiscard]] static Result<std::vector<model::ChannelIdentity>> known_channels(
      const std::filesystem::path& directory);
  // Commits what was submitted (unless the disk is full or broken), then stops. Readers must be
  // gone before.
  ~Journal();
  // The same but for the readers: afterwards submit() and append() refuse, whoever waits in
  // append() returns, and what is committed can still be read.
  void stop();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  [[nodiscard]] const std::string& installation() const;
  // The newest committed; {epoch, 0} while nothing is.
  [[nodiscard]] model::Sequence end() const;
  [[nodiscard]] model::Position oldest() const;  // the first still held; 1 while nothing is
  [[nodiscard]] const std::vector<EpochStart>& epochs() const;  // ascending; fixed after open

  // Opens a channel for one run of its host; an earlier lease of the same name is void from then on
  // and what it had queued is dropped (its items come again: the cursor does not cover them).
  [[nodiscard]] Result<Opening> open_channel(const model::ChannelIdentity& identity, Begin begin,
                                             ChannelSink* sink);
  // Never blocks. The order of one channel's batches is kept. Records are JSON objects that passed
  // the second check; they are not parsed again.
  [[nodiscard]] Submit submit(const std::string& channel, std::uint64_t lease, model::Batch batch);
  // What is queued and undecided is dropped. After it returns the sink is not called any more.
  void close_channel(const std::string& channel, std::uint64_t lease);

  // Blocks until the fact is durable.
  [[nodiscard]] Result<model::Sequence> append(Fact fact);

  // A reader for one thread; opens its own connection at first use.
  [[nodiscard]] std::unique_ptr<Reader> reader() const;
  // Called after each commit on the journal's thread; must only signal. One listener; set it before
  // the first channel is opened.
  void on_append(std::function<void(model::Sequence end)> listener);

  [[nodiscard]] Stats stats() const;

 private:
  struct Parts;
  explicit Journal(std::unique_ptr<Parts> parts);
  [[nodiscard]] static Result<std::unique_ptr<Journal>> open_once(Options options);
  std::unique_ptr<Parts> parts_;
};

}  // namespace voxbus::journal
