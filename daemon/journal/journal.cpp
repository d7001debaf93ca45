// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.hpp"

#include <fcntl.h>

#include "base/log.hpp"
#include "journal/checkpointer.hpp"
#include "journal/context.hpp"
#include "journal/examine.hpp"
#include "journal/key_maker.hpp"
#include "journal/place.hpp"
#include "journal/rebuild.hpp"
#include "journal/salvage.hpp"
#include "journal/sequencer.hpp"
#include "journal/threads.hpp"
#include "journal/writer.hpp"

namespace voxbus::journal {
namespace {

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

// For the next start; a best effort, because what calls for it is a failing disk.
void leave_mark(const std::filesystem::path& file) {
  static_cast<void>(replace_file(file, "repair at the next start\n"));
}

Status make_new(const Options& options, TimePoint now) {
  if (options.installation.empty()) {
    return permanent("cannot create a journal without the installation's name");
  }
  Frame frame;
  frame.installation = options.installation;
  frame.epochs.push_back({1, 1, now, "created"});
  const auto file = options.directory / kFileName;
  const auto beside = file.string() + ".new";
  std::error_code code;
  std::filesystem::remove(beside, code);
  VOXBUS_CHECK(create_file(beside, frame, now));
  std::filesystem::rename(beside, file, code);
  if (code) return system_error("rename " + beside, code.value());
  return sync_directory(options.directory);
}

struct Prepared {
  Standing standing;
  std::uint64_t rows_lost = 0;
};

// Why a journal that is whole in itself is not the newest that there was; empty: it may be.
std::string older_copy(const Standing& standing, const std::optional<model::Sequence>& told) {
  if (!told) return {};
  const model::Sequence end{standing.frame.epochs.back().epoch, standing.end};
  if (told->position <= end.position && told->epoch <= end.epoch) return {};
  return "it ends at " + format(end) + ", but consumers were told " + format(*told) +
         ": an older copy was put back";
}

std::string kept_beside(const std::filesystem::path& kept) {
  return kept.empty() ? "" : "; the old file is kept as " + kept.string();
}

// The journal's file as it can be trusted: made, examined, or salvaged and examined.
Result<Prepared> prepare(const Options& options, const Keys& keys, TimePoint now) {
  const auto& directory = options.directory;
  const auto file = directory / kFileName;
  VOXBUS_TRY(finished, finish_salvage(directory, now));
  if (finished) {
    log::warn("finished the salvage of {} that was interrupted{}", file.string(),
              kept_beside(*finished));
  }
  auto told = Witness::read(directory / "witness");
  std::error_code code;
  std::string damage;
  bool put_back = false;  // by a person who said so, and nothing else is known to be wrong
  if (std::filesystem::exists(directory / kSuspect, code)) {
    damage = "a row could not be read";
  } else if (std::filesystem::exists(directory / kRestored, code)) {
    damage = "it was put back";
    put_back = true;
  } else if (is_copy(directory)) {
    damage = "its folder is a copy that was put back";
    put_back = true;
  }
  switch (probe_format(file)) {
    case Format::newer:
      return permanent("cannot open " + file.string() +
                       ": it was written by a newer Voxbus; install that version again");
    case Format::damaged:
      damage = "its head is damaged";
      put_back = false;
      break;
    case Format::absent:
      if (!told && !options.told && !std::filesystem::exists(file.string() + "-wal", code)) {
        VOXBUS_CHECK(make_new(options, now));
      } else {
        damage = "it is missing";
        put_back = false;
      }
      break;
    case Format::ours:
      break;
  }
  if (damage.empty()) {
    VOXBUS_TRY(examined, examine(directory, keys, told, options.vfs));
    damage = examined.standing ? older_copy(*examined.standing, options.told) : examined.damage;
    if (damage.empty()) return Prepared{std::move(*examined.standing), 0};
  }
  // Of what only the bus remembers the epoch alone counts: its file has no seals, and a flipped bit
  // there must not move positions, nor begin an epoch far ahead of us.
  if (options.told && (!told || options.told->epoch > told->end.epoch)) {
    const auto known = told ? *told : Told{};
    told = Told{{std::min(options.told->epoch, std::max(known.end.epoch, epoch_begun(now))),
                 known.end.position},
                known.chain};
  }
  if (put_back)
    log::info("the journal {} was put back from a backup: a new epoch begins", file.string());
  else
    log::error("the journal {} cannot go on as it is: {}; what is readable goes into a new file",
               file.string(), damage);
  // One that was put back is copied too: nobody has looked at its rows yet, and an epoch begins in
  // a new file or not at all, whenever the power goes.
  VOXBUS_TRY(salvaged, salvage(directory, keys, told, options.installation, now));
  if (put_back && salvaged.lost == 0 && salvaged.evidence == 0)
    log::info("carried all {} rows of {} over into a new file{}", salvaged.rows, file.string(),
              kept_beside(salvaged.kept));
  else
    log::error(
        "salvaged {} rows of {} into a new file; {} rows and the evidence of {} more are lost{}",
        salvaged.rows, file.string(), salvaged.lost, salvaged.evidence, kept_beside(salvaged.kept));
  VOXBUS_TRY(again, examine(directory, keys, std::nullopt, options.vfs));
  if (!again.standing) {
    return permanent("cannot repair " + file.string() + ": " + again.damage);
  }
  return Prepared{std::move(*again.standing), salvaged.lost};
}

}  // namespace

// In the order of making; taken down the other way round.
struct Journal::Parts {
  explicit Parts(Options given)
      : options(std::move(given)),
        clock(options.clock ? *options.clock : system_clock()),
        reserve(options.directory / "reserve", options.reserve_bytes, options.free_space) {}

  Options options;
  const Clock& clock;
  Reserve reserve;
  FileDescriptor lock;
  std::unique_ptr<Keys> keys;
  Standing standing;
  std::unique_ptr<Index> index;
  std::optional<Witness> witness;
  std::unique_ptr<Shared> shared;
  SharedSinks sinks;
  std::shared_ptr<ReaderContext> context;
  std::unique_ptr<KeyMaker> maker;
  std::unique_ptr<Checkpointer> checkpointer;
  std::unique_ptr<Writer> writer;
  std::unique_ptr<Sequencer> sequencer;
  std::jthread writing, sequencing;

  Status open_files();
  Status open_index(Sequencer::Start& start);
  Status start_threads(Sequencer::Start start);
  void fail(const Error& error, std::string_view mark);
  void stop();
};

void Journal::Parts::fail(const Error& error, std::string_view mark) {
  std::deque<PendingFact> left;
  const bool first = shared->pipeline.with([&](PipelineState& state) {
    left = state.intake.abandon();
    return !std::exchange(state.failed, true);
  });
  shared->pipeline.notify_all();
  if (!mark.empty()) leave_mark(options.directory / mark);
  if (!first) return;
  shared->counters.with([](Counters& counters) { counters.totals.failed = true; });
  log::critical("the journal stops: {}", error.message);
  if (options.on_fatal) options.on_fatal(error);
}

Status Journal::Parts::open_files() {
  const auto& directory = options.directory;
  VOXBUS_CHECK(make_directory(directory));
  VOXBUS_TRY(held, lock_directory(directory));
  lock = std::move(held);
  // Before anything is made or mended beside it.
  if (probe_format(directory / kFileName) == Format::newer) {
    return permanent("cannot open " + (directory / kFileName).string() +
                     ": it was written by a newer Voxbus; install that version again");
  }
  const auto key_file = directory / "keys";
  std::error_code code;
  const bool has_keys = std::filesystem::exists(key_file, code);
  if (!has_keys && std::filesystem::exists(directory / kFileName, code)) {
    return permanent("cannot open " + key_file.string() +
                     ": it is missing; restore it, no row can be read without it");
  }
  VOXBUS_TRY(master, master_key(options.master_key, directory / "master.key", !has_keys));
  if (!has_keys) VOXBUS_CHECK(Keys::create(key_file, master));
  VOXBUS_TRY(opened, Keys::open(key_file, master, true));
  keys = std::move(opened);
  return {};
}

Status Journal::Parts::open_index(Sequencer::Start& start) {
  VOXBUS_TRY(level, level_index(options.directory, standing, *keys, options.vfs));
  if (level.rows_read > 0) {
    log::info("read {} rows to bring the journal's index level{}", level.rows_read,
              level.made_anew ? ", made anew" : "");
  }
  index = std::move(level.index);
  start.next_key = level.next_key;
  VOXBUS_TRY(opened, Witness::open(options.directory / "witness"));
  witness.emplace(std::move(opened));
  // What was told is what stands: the salvage may have moved the end.
  VOXBUS_CHECK(witness->tell({{standing.frame.epochs.back().epoch, standing.end}, standing.chain}));
  return witness->sync();
}

Status Journal::Parts::start_threads(Sequencer::Start start) {
  const auto file = options.directory / kFileName;
  VOXBUS_TRY(checkpoints, Connection::open(file, Connection::Mode::write, options.vfs));
  VOXBUS_TRY(writes, Connection::open(file, Connection::Mode::write, options.vfs));
  // The reader of everything else of this file holds nothing; the WAL file shrinks to its ceiling.
  const auto limit = "PRAGMA journal_size_limit=" + std::to_string(options.wal_ceiling);
  VOXBUS_CHECK(writes.run(limit.c_str()));
  VOXBUS_CHECK(checkpoints.run("PRAGMA wal_autocheckpoint=0; PRAGMA synchronous=FULL;"));
  if (!reserve.restore()) {
    log::error("there is less than twice {} bytes free for {}; channels wait",
               options.reserve_bytes, options.directory.string());
    shared->pipeline.with([](PipelineState& state) { state.waiting_for_space = true; });
  }
  maker = std::make_unique<KeyMaker>(
      *keys, [this] { return keys->make_block(); }, *shared, options.space_retry);
  checkpointer = std::make_unique<Checkpointer>(std::move(checkpoints), *witness, *shared,
                                                options.wal_ceiling);
  VOXBUS_TRY(opened, Writer::open(std::move(writes), *index, *witness, *checkpointer, reserve,
                                  sinks, *shared, options.space_retry));
  writer = std::move(opened);
  sequencer = std::make_unique<Sequencer>(std::move(start), *keys, *index, *maker, *shared,
                                          options.group_items, options.group_bytes);
  writing = start_thread("journal-write", *shared, [this] { writer->run(); });
  sequencing = start_thread("journal-decide", *shared, [this] { sequencer->run(); });
  return {};
}

void Journal::Parts::stop() {
  if (!shared) return;
  std::deque<PendingFact> left;
  shared->pipeline.with([](PipelineState& state) { state.stopping = true; });
  shared->pipeline.notify_all();
  if (sequencing.joinable()) sequencing.join();
  if (writing.joinable()) writing.join();
  if (checkpointer) checkpointer->stop();
  if (maker) maker->stop();
  shared->pipeline.with([&](PipelineState& state) {
    left = state.intake.abandon();
    state.slot.reset();
  });
  if (index) {
    if (const auto flushed = index->flush(); !flushed) log::warn("{}", flushed.error().message);
  }
  if (witness) static_cast<void>(witness->sync());
}

Result<std::unique_ptr<Journal>> Journal::open(Options options) {
  std::error_code code;
  options.directory = std::filesystem::absolute(options.directory, code).lexically_normal();
  auto opened = open_once(options);
  if (opened || opened.error().kind == Error::Kind::permanent) return opened;
  // A start on a full disk must not fail for want of the few pages that opening needs.
  Reserve reserve(options.directory / "reserve", options.reserve_bytes, options.free_space);
  if (!reserve.release()) return opened;
  log::warn("{}; trying again with the reserve given back", opened.error().message);
  return open_once(std::move(options));
}

Result<std::unique_ptr<Journal>> Journal::open_once(Options options) {
  auto parts = std::make_unique<Parts>(std::move(options));
  VOXBUS_CHECK(parts->open_files());
  VOXBUS_TRY(prepared, prepare(parts->options, *parts->keys, parts->clock.now()));
  parts->standing = std::move(prepared.standing);
  auto& standing = parts->standing;
  auto& frame = standing.frame;

  Intake intake(frame.installation, parts->options.queue_bytes);
  Sequencer::Start start;
  Opener opener;
  for (const auto& mark : frame.marks) {
    std::string cursor;
    if (!mark.sealed_cursor.empty()) {
      auto opened = opener.cursor(parts->keys->system(), mark.identity, mark.sealed_cursor);
      if (!opened) return permanent("the cursor of channel " + mark.identity.name + " was altered");
      cursor = std::move(*opened);
    }
    intake.know({mark.identity, mark.opened, mark.begin, std::move(cursor)});
    start.mark_ids[mark.identity] = mark.id;
  }
  start.installation = frame.installation;
  start.last_position = standing.end;
  start.last_recorded = standing.recorded;
  start.chain = standing.chain;
  start.names = standing.names;

  parts->shared = std::make_unique<Shared>(std::move(intake), parts->clock);
  auto& shared = *parts->shared;
  shared.epochs = frame.epochs;
  shared.end = standing.end;
  shared.fail = [raw = parts.get()](const Error& error, std::string_view mark) {
    raw->fail(error, mark);
  };
  shared.counters.with([&](Counters& counters) {
    counters.totals.rows_lost = prepared.rows_lost;
    counters.totals.quarantined_total = standing.quarantined;
  });
  auto context = std::make_shared<ReaderContext>();
  context->file = parts->options.directory / kFileName;
  context->vfs = parts->options.vfs;
  context->keys = parts->keys.get();
  context->index = &parts->index;
  context->epochs = frame.epochs;
  context->gaps = frame.gaps;
  context->end = &shared.end;
  context->unreadable = &shared.unreadable;
  context->damaged = [raw = parts.get()](const Error& error) { raw->fail(error, kSuspect); };
  parts->context = std::move(context);

  // From here on the parts are taken down as a whole, also when the rest fails.
  std::unique_ptr<Journal> journal(new Journal(std::move(parts)));
  VOXBUS_CHECK(journal->parts_->open_index(start));
  VOXBUS_CHECK(note_place(journal->parts_->options.directory));
  VOXBUS_CHECK(journal->parts_->start_threads(std::move(start)));
  return journal;
}

Status Journal::note_restored(const std::filesystem::path& directory) {
  if (probe_format(directory / kFileName) != Format::ours)
    return permanent("there is no journal in " + directory.string());
  VOXBUS_TRY(held, lock_directory(directory));
  return replace_file(directory / kRestored, "the next start begins a new epoch\n");
}

Result<std::vector<model::ChannelIdentity>> Journal::known_channels(
    const std::filesystem::path& directory) {
  std::vector<model::ChannelIdentity> known;
  if (probe_format(directory / kFileName) != Format::ours) return known;
  VOXBUS_TRY(db, Connection::open(directory / kFileName, Connection::Mode::read));
  VOXBUS_TRY(frame, read_frame(db));
  for (auto& mark : frame.marks) known.push_back(std::move(mark.identity));
  return known;
}

Journal::Journal(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Journal::~Journal() { parts_->stop(); }

void Journal::stop() { parts_->stop(); }

const std::string& Journal::installation() const { return parts_->standing.frame.installation; }
model::Sequence Journal::end() const {
  return {parts_->shared->epochs.back().epoch, parts_->shared->end.load(std::memory_order_acquire)};
}
model::Position Journal::oldest() const { return parts_->standing.oldest; }
const std::vector<EpochStart>& Journal::epochs() const { return parts_->shared->epochs; }

Result<Opening> Journal::open_channel(const model::ChannelIdentity& identity, Begin begin,
                                      ChannelSink* sink) {
  const auto now = parts_->clock.now();
  // The sinks' lock is held throughout, so that the sink of the earlier lease hears nothing more.
  return parts_->sinks.with([&](Sinks& sinks) -> Result<Opening> {
    auto opening =
        parts_->shared->pipeline.with([&](PipelineState& state) -> std::optional<Opening> {
          if (state.stopping || state.failed || state.writer_gone) return std::nullopt;
          return state.intake.open(identity, begin, now);
        });
    if (!opening) return retry("cannot open channel " + identity.name + ": the journal stops");
    parts_->shared->pipeline.notify_all();
    parts_->shared->counters.with([&](Counters& counters) { counters.channels[identity.name]; });
    sinks.channels[identity.name] = {opening->lease, sink};
    return std::move(*opening);
  });
}

Submit Journal::submit(const std::string& channel, std::uint64_t lease, model::Batch batch) {
  const auto answer = parts_->shared->pipeline.with([&](PipelineState& state) {
    if (state.stopping || state.failed || state.writer_gone) return Submit::stopping;
    return state.intake.submit(channel, lease, std::move(batch));
  });
  if (answer == Submit::taken) parts_->shared->pipeline.notify_all();
  return answer;
}

void Journal::close_channel(const std::string& channel, std::uint64_t lease) {
  parts_->sinks.with([&](Sinks& sinks) {
    parts_->shared->pipeline.with(
        [&](PipelineState& state) { state.intake.close(channel, lease); });
    const auto found = sinks.channels.find(channel);
    if (found != sinks.channels.end() && found->second.lease == lease) sinks.channels.erase(found);
  });
}

Result<model::Sequence> Journal::append(Fact fact) {
  PendingFact pending;
  pending.fact = std::move(fact);
  auto answer = pending.done.get_future();
  const bool taken = parts_->shared->pipeline.with([&](PipelineState& state) {
    if (state.stopping || state.failed || state.writer_gone) return false;
    state.intake.add(std::move(pending));
    return true;
  });
  if (!taken) return retry("cannot append to the journal: it stops");
  parts_->shared->pipeline.notify_all();
  try {
    return answer.get();
  } catch (const std::future_error&) {  // whoever held the promise is gone
    return retry("cannot append to the journal: it stops");
  }
}

std::unique_ptr<Reader> Journal::reader() const {
  return std::make_unique<Reader>(parts_->context);
}

void Journal::on_append(std::function<void(model::Sequence)> listener) {
  parts_->sinks.with([&](Sinks& sinks) { sinks.listener = std::move(listener); });
}

Stats Journal::stats() const {
  auto stats = parts_->shared->counters.with([](const Counters& counters) {
    Stats out = counters.totals;
    for (const auto& [name, channel] : counters.channels) {
      out.channels.push_back(channel);
      out.channels.back().name = name;
    }
    return out;
  });
  const auto made = parts_->keys->made();
  stats.silent =
      std::max(parts_->shared->writing.quiet_for(), parts_->shared->deciding.quiet_for());
  parts_->shared->pipeline.with([&](const PipelineState& state) {
    stats.waiting_for_space = state.waiting_for_space || state.keys_wait_for_space;
    for (auto& channel : stats.channels) {
      channel.queued_bytes = state.intake.queued_bytes(channel.name);
    }
  });
  const auto next = parts_->shared->next_key.load(std::memory_order_relaxed);
  stats.keys_free = made + 1 > next ? made + 1 - next : 0;
  stats.unreadable = parts_->shared->unreadable.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace voxbus::journal
