// SPDX-License-Identifier: Apache-2.0
// The highest position that anybody was told, kept outside SQLite: SQLite ends silently at a
// damaged frame of its WAL, and without a witness nobody would notice. Owned by the journal; tell()
// for the writer's thread, sync() for the checkpoints'.
//
// File `witness`, 64 bytes: "VXWITN01", u32 epoch, u32 0, u64 position, 32 bytes chain, u32 0, u32
// checksum. Written in place after each commit without a sync (it survives the end of the process,
// not of the machine), synced with each checkpoint.
#pragma once

#include <filesystem>
#include <optional>

#include "base/crypto.hpp"
#include "base/posix.hpp"
#include "model/event.hpp"

namespace voxbus::journal {

struct Told {
  model::Sequence end;
  Digest chain{};
};

class Witness {
 public:
  // What the file says; nothing when there is none or it is not whole.
  [[nodiscard]] static std::optional<Told> read(const std::filesystem::path& file);
  [[nodiscard]] static Result<Witness> open(const std::filesystem::path& file);

  [[nodiscard]] Status tell(const Told& told);
  [[nodiscard]] Status sync();

 private:
  explicit Witness(std::filesystem::path path, FileDescriptor file)
      : path_(std::move(path)), file_(std::move(file)) {}
  std::filesystem::path path_;
  FileDescriptor file_;
};

}  // namespace voxbus::journal
