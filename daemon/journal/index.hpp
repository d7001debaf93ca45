// SPDX-License-Identifier: Apache-2.0
// What tells a duplicate: the latest state of every native id, the key of every author and the
// event of every message id, by keyed hash, in sorted runs with filters (RocksDB without a log of
// its own). It can be lost at any time: the journal's rows rebuild it. The sequencer looks up, the
// writer adds; both at once is fine.
//
// Key 'n' + native: u32 revision, u32 key, u8 flags, u8 has version, u64 version, u64 position,
// 16 bytes content. Key 'a' + author: u32 key. Key 'e' + message id: 16 bytes, the event that was
// the first to carry it. Key 'm': the marker: u64 position, 32 bytes chain, u32 next key. Groups
// and the last one's marker are one batch, so whatever RocksDB has flushed when the process dies is
// what the journal was at the marker; only what follows is read again.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/crypto.hpp"
#include "base/result.hpp"
#include "journal/row.hpp"

namespace voxbus::journal {

// The latest of one native id.
struct NativeState {
  std::uint32_t revision = 0;
  KeyId key = kSystemKey;
  std::uint8_t flags = 0;                // kStateFlags of Header::flags
  std::optional<std::uint64_t> version;  // the highest seen
  model::Position position = 0;
  Mac content{};
};

struct IndexMarker {
  model::Position position = 0;  // complete up to here
  Digest chain{};                // of the row there
  KeyId next_key = 1;            // no row up to here uses this key or a higher one
};

struct IndexBatch {
  std::vector<std::pair<Mac, NativeState>> natives;
  std::vector<std::pair<Mac, KeyId>> authors;
  std::vector<std::pair<Mac, Mac>> messages;
  IndexMarker marker;
};

class Index {
 public:
  // Creates the folder when it is missing. So many keys are gathered in memory before they go to
  // RocksDB together; some 100 bytes each, twice.
  [[nodiscard]] static Result<std::unique_ptr<Index>> open(const std::filesystem::path& directory,
                                                           std::size_t gathers = 16'384);
  // Deletes the folder.
  [[nodiscard]] static Status drop(const std::filesystem::path& directory);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  [[nodiscard]] Result<std::optional<IndexMarker>> marker() const;
  [[nodiscard]] Result<std::vector<std::optional<NativeState>>> natives(
      std::span<const Mac> wanted) const;
  [[nodiscard]] Result<std::vector<std::optional<KeyId>>> authors(
      std::span<const Mac> wanted) const;
  [[nodiscard]] Result<std::vector<std::optional<Mac>>> messages(std::span<const Mac> wanted) const;
  // Error::retry when the disk is full: the same batch may be written again.
  [[nodiscard]] Status write(const IndexBatch& batch);
  // Writes what is in memory to the disk; done before closing, so that the next start is quick.
  [[nodiscard]] Status flush();

 private:
  struct Store;
  explicit Index(std::unique_ptr<Store> store);
  std::unique_ptr<Store> store_;
};

}  // namespace voxbus::journal
