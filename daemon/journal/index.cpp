// SPDX-License-Identifier: Apache-2.0
#include "journal/index.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <utility>

#include "base/guarded.hpp"
#include "journal/bytes.hpp"

namespace voxbus::journal {
namespace {

// Meant for 100 million natives, and not yet measured there: filters and block indexes stay in
// memory (90 MB by estimate), the rest is bounded here.
constexpr std::size_t kWriteBuffer = 8u << 20;
constexpr int kWriteBuffers = 3;
constexpr std::size_t kBlockCache = 32u << 20;
constexpr std::size_t kBlock = 16u << 10;
constexpr double kFilterBits = 8;

constexpr std::string_view kMarkerKey = "m";

rocksdb::Options options() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCache);
  table.block_size = kBlock;
  // As precise as a Bloom filter of that many bits, in 30% less memory.
  table.filter_policy.reset(rocksdb::NewRibbonFilterPolicy(kFilterBits));
  table.whole_key_filtering = true;
  rocksdb::Options out;
  out.create_if_missing = true;
  out.allow_concurrent_memtable_write = false;  // one thread writes, and in order: see Recent
  out.memtable_prefix_bloom_size_ratio = 0.05;  // what is new is in none of its lists
  out.memtable_whole_key_filtering = true;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  out.compression = rocksdb::kNoCompression;  // keyed hashes do not compress
  out.write_buffer_size = kWriteBuffer;
  out.max_write_buffer_number = kWriteBuffers;
  out.max_background_jobs = 2;
  out.level_compaction_dynamic_level_bytes = true;
  out.bytes_per_sync = 1u << 20;  // no surprise for the journal's own sync
  out.max_open_files = 512;
  out.keep_log_file_num = 1;
  out.max_log_file_size = 1u << 20;
  out.info_log_level = rocksdb::WARN_LEVEL;
  out.stats_dump_period_sec = 0;
  out.stats_persist_period_sec = 0;
  return out;
}

Error error_of(std::string_view act, const rocksdb::Status& status) {
  const bool full = status.IsNoSpace() || status.subcode() == rocksdb::Status::kNoSpace ||
                    status.subcode() == rocksdb::Status::kSpaceLimit;
  const auto message = "cannot " + std::string(act) + " the journal's index: " + status.ToString();
  return full ? retry(message) : permanent(message);
}

std::string key_of(char kind, const Mac& mac) {
  std::string key(1, kind);
  key += as_text(mac);
  return key;
}

rocksdb::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }

void encode(std::string& out, const NativeState& state) {
  out.clear();
  put(out, state.revision);
  put(out, state.key);
  put(out, state.flags);
  put(out, static_cast<std::uint8_t>(state.version.has_value()));
  put(out, state.version.value_or(0));
  put(out, state.position);
  out += as_text(state.content);
}

std::optional<NativeState> decode(std::string_view bytes) {
  Cutter in(bytes);
  NativeState state;
  state.revision = in.number<std::uint32_t>();
  state.key = in.number<KeyId>();
  state.flags = in.number<std::uint8_t>();
  const bool versioned = in.number<std::uint8_t>() != 0;
  const auto version = in.number<std::uint64_t>();
  if (versioned) state.version = version;
  state.position = in.number<model::Position>();
  state.content = in.array<Mac>();
  if (!in.complete()) return std::nullopt;
  return state;
}

}  // namespace

// What was written last and is not in RocksDB yet. To put keys into its ordered list one by one, as
// they come, takes about as long as to pack and seal the interactions; sorted and many at a time
// each stands beside the one before (tests/bench/NOTES.md).
struct Recent {
  template<class Value>
  using Map = boost::unordered_flat_map<Mac, Value, MacHash>;
  Map<NativeState> natives;
  Map<KeyId> authors;
  Map<Mac> messages;
  IndexMarker marker;

  void add(const IndexBatch& batch) {
    for (const auto& [mac, state] : batch.natives) natives.insert_or_assign(mac, state);
    for (const auto& [mac, key] : batch.authors) authors.insert_or_assign(mac, key);
    for (const auto& [mac, event] : batch.messages) messages.try_emplace(mac, event);
    marker = batch.marker;
  }
  [[nodiscard]] std::size_t size() const {
    return natives.size() + authors.size() + messages.size();
  }
};

template<class Value>
std::vector<const std::pair<const Mac, Value>*> sorted(const Recent::Map<Value>& map) {
  std::vector<const std::pair<const Mac, Value>*> out;
  out.reserve(map.size());
  for (const auto& entry : map) out.push_back(&entry);
  std::sort(out.begin(), out.end(),
            [](auto* one, auto* other) { return one->first < other->first; });
  return out;
}

struct Index::Store {
  struct Memory {
    Recent recent;
    std::shared_ptr<const Recent> leaving;  // on its way to RocksDB; nobody changes it
  };
  std::unique_ptr<rocksdb::DB> db;
  std::size_t gathers = 0;  // keys
  Guarded<Memory> memory;

  // What is neither in `map` of the recent nor of the leaving is looked up on the disk. Nothing is
  // taken out of both before it is there.
  template<class Value, class Decode>
  Result<std::vector<std::optional<Value>>> lookup(char kind, Recent::Map<Value> Recent::*map,
                                                   std::span<const Mac> wanted,
                                                   Decode&& decode_value) const {
    std::vector<std::optional<Value>> out(wanted.size());
    std::vector<std::size_t> missing;
    memory.with([&](const Memory& now) {
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        for (const auto* one : {&now.recent, now.leaving.get()}) {
          if (!one || out[i]) continue;
          const auto found = (one->*map).find(wanted[i]);
          if (found != (one->*map).end()) out[i] = found->second;
        }
        if (!out[i]) missing.push_back(i);
      }
    });
    std::vector<std::string> keys;
    std::vector<rocksdb::Slice> slices;
    keys.reserve(missing.size());
    slices.reserve(missing.size());
    for (const auto i : missing) keys.push_back(key_of(kind, wanted[i]));
    for (const auto& key : keys) slices.push_back(slice(key));
    std::vector<rocksdb::PinnableSlice> values(missing.size());
    std::vector<rocksdb::Status> statuses(missing.size());
    db->MultiGet({}, db->DefaultColumnFamily(), missing.size(), slices.data(), values.data(),
                 statuses.data());
    for (std::size_t i = 0; i < missing.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      if (!statuses[i].ok()) return error_of("read", statuses[i]);
      auto& value = out[missing[i]];
      value = decode_value({values[i].data(), values[i].size()});
      if (!value) return permanent("cannot read the journal's index: an entry is malformed");
    }
    return out;
  }

  // Moves what was gathered to RocksDB; again after an error, the same.
  [[nodiscard]] Status move_on() {
    const auto leaving = memory.with([](Memory& now) {
      if (!now.leaving && now.recent.size() > 0)
        now.leaving = std::make_shared<const Recent>(std::exchange(now.recent, {}));
      return now.leaving;
    });
    if (!leaving) return {};
    VOXBUS_CHECK(store(*leaving));
    memory.with([](Memory& now) { now.leaving.reset(); });
    return {};
  }
  [[nodiscard]] Status store(const Recent& entries);
};

Status Index::Store::store(const Recent& entries) {
  rocksdb::WriteBatch out;
  std::string value;
  for (const auto* entry : sorted(entries.authors)) {
    value.clear();
    put(value, entry->second);
    out.Put(key_of('a', entry->first), value);
  }
  for (const auto* entry : sorted(entries.messages))
    out.Put(key_of('e', entry->first), as_text(entry->second));
  value.clear();
  put(value, entries.marker.position);
  value += as_text(entries.marker.chain);
  put(value, entries.marker.next_key);
  out.Put(slice(kMarkerKey), value);
  for (const auto* entry : sorted(entries.natives)) {
    encode(value, entry->second);
    out.Put(key_of('n', entry->first), value);
  }
  rocksdb::WriteOptions how;
  how.disableWAL = true;
  auto status = db->Write(how, &out);
  if (!status.ok() && db->Resume().ok()) status = db->Write(how, &out);
  if (!status.ok()) return error_of("write", status);
  return {};
}

Index::Index(std::unique_ptr<Store> store) : store_(std::move(store)) {}
Index::~Index() {
  if (store_ && store_->db) static_cast<void>(store_->db->Close());
}

Result<std::unique_ptr<Index>> Index::open(const std::filesystem::path& directory,
                                           std::size_t gathers) {
  auto store = std::make_unique<Store>();
  store->gathers = gathers;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::Open(options(), directory.string(), &db);
  store->db.reset(db);
  if (!status.ok()) return error_of("open", status);
  return std::unique_ptr<Index>(new Index(std::move(store)));
}

Status Index::drop(const std::filesystem::path& directory) {
  std::error_code code;
  std::filesystem::remove_all(directory, code);
  if (code) return system_error("delete " + directory.string(), code.value());
  return {};
}

Result<std::optional<IndexMarker>> Index::marker() const {
  std::string value;
  const auto status = store_->db->Get({}, slice(kMarkerKey), &value);
  if (status.IsNotFound()) return std::optional<IndexMarker>();
  if (!status.ok()) return error_of("read", status);
  Cutter in(value);
  IndexMarker marker;
  marker.position = in.number<model::Position>();
  marker.chain = in.array<Digest>();
  marker.next_key = in.number<KeyId>();
  if (!in.complete()) return permanent("cannot read the journal's index: its marker is malformed");
  return std::optional(marker);
}

Result<std::vector<std::optional<NativeState>>> Index::natives(std::span<const Mac> wanted) const {
  return store_->lookup<NativeState>('n', &Recent::natives, wanted, decode);
}

Result<std::vector<std::optional<KeyId>>> Index::authors(std::span<const Mac> wanted) const {
  return store_->lookup<KeyId>('a', &Recent::authors, wanted, [](std::string_view bytes) {
    Cutter in(bytes);
    const auto key = in.number<KeyId>();
    return in.complete() ? std::optional(key) : std::nullopt;
  });
}

Result<std::vector<std::optional<Mac>>> Index::messages(std::span<const Mac> wanted) const {
  return store_->lookup<Mac>('e', &Recent::messages, wanted, [](std::string_view bytes) {
    Cutter in(bytes);
    const auto event = in.array<Mac>();
    return in.complete() ? std::optional(event) : std::nullopt;
  });
}

Status Index::write(const IndexBatch& batch) {
  const bool enough = store_->memory.with([&](Store::Memory& now) {
    now.recent.add(batch);
    return now.leaving || now.recent.size() >= store_->gathers;
  });
  return enough ? store_->move_on() : Status();
}

Status Index::flush() {
  VOXBUS_CHECK(store_->move_on());
  VOXBUS_CHECK(store_->move_on());  // where there were leaving ones already
  const auto status = store_->db->Flush({});
  if (!status.ok()) return error_of("write", status);
  return {};
}

}  // namespace voxbus::journal
