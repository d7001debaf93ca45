// SPDX-License-Identifier: Apache-2.0
#include "journal/index.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

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
constexpr std::size_t kKeyBytes = 1 + sizeof(Mac);
constexpr std::size_t kBuckets = 1u << 16;  // of eight bytes; a buffer holds about as many entries

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
  // What was written last lies in buckets by its whole key: nothing here is read in order, and to
  // find a place in an ordered list takes several times as long. It is put in order by the thread
  // that writes it to the disk.
  out.prefix_extractor.reset(rocksdb::NewCappedPrefixTransform(kKeyBytes));
  out.memtable_factory.reset(rocksdb::NewHashLinkListRepFactory(kBuckets));
  out.allow_concurrent_memtable_write = false;
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

struct Index::Store {
  std::unique_ptr<rocksdb::DB> db;

  template<class Value, class Decode>
  Result<std::vector<std::optional<Value>>> lookup(char kind, std::span<const Mac> wanted,
                                                   Decode&& decode_value) const {
    std::vector<std::optional<Value>> out(wanted.size());
    std::vector<std::string> keys;
    std::vector<rocksdb::Slice> slices;
    keys.reserve(wanted.size());
    slices.reserve(wanted.size());
    for (const auto& mac : wanted) keys.push_back(key_of(kind, mac));
    for (const auto& key : keys) slices.push_back(slice(key));
    std::vector<rocksdb::PinnableSlice> values(wanted.size());
    std::vector<rocksdb::Status> statuses(wanted.size());
    db->MultiGet({}, db->DefaultColumnFamily(), wanted.size(), slices.data(), values.data(),
                 statuses.data());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (statuses[i].IsNotFound()) continue;
      if (!statuses[i].ok()) return error_of("read", statuses[i]);
      out[i] = decode_value({values[i].data(), values[i].size()});
      if (!out[i]) return permanent("cannot read the journal's index: an entry is malformed");
    }
    return out;
  }
};

Index::Index(std::unique_ptr<Store> store) : store_(std::move(store)) {}
Index::~Index() {
  if (store_ && store_->db) static_cast<void>(store_->db->Close());
}

Result<std::unique_ptr<Index>> Index::open(const std::filesystem::path& directory) {
  auto store = std::make_unique<Store>();
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
  return store_->lookup<NativeState>('n', wanted, decode);
}

Result<std::vector<std::optional<KeyId>>> Index::authors(std::span<const Mac> wanted) const {
  return store_->lookup<KeyId>('a', wanted, [](std::string_view bytes) {
    Cutter in(bytes);
    const auto key = in.number<KeyId>();
    return in.complete() ? std::optional(key) : std::nullopt;
  });
}

Result<std::vector<std::optional<Mac>>> Index::messages(std::span<const Mac> wanted) const {
  return store_->lookup<Mac>('e', wanted, [](std::string_view bytes) {
    Cutter in(bytes);
    const auto event = in.array<Mac>();
    return in.complete() ? std::optional(event) : std::nullopt;
  });
}

Status Index::write(const IndexBatch& batch) {
  rocksdb::WriteBatch out;
  std::string value;
  for (const auto& [mac, state] : batch.natives) {
    encode(value, state);
    out.Put(key_of('n', mac), value);
  }
  for (const auto& [mac, key] : batch.authors) {
    value.clear();
    put(value, key);
    out.Put(key_of('a', mac), value);
  }
  for (const auto& [message, event] : batch.messages) {
    out.Put(key_of('e', message), as_text(event));
  }
  value.clear();
  put(value, batch.marker.position);
  value += as_text(batch.marker.chain);
  put(value, batch.marker.next_key);
  out.Put(slice(kMarkerKey), value);
  rocksdb::WriteOptions how;
  how.disableWAL = true;
  auto status = store_->db->Write(how, &out);
  if (!status.ok() && store_->db->Resume().ok()) status = store_->db->Write(how, &out);
  if (!status.ok()) return error_of("write", status);
  return {};
}

Status Index::flush() {
  const auto status = store_->db->Flush({});
  if (!status.ok()) return error_of("write", status);
  return {};
}

}  // namespace voxbus::journal
