// SPDX-License-Identifier: Apache-2.0
#include "journal/witness.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "journal/bytes.hpp"

namespace voxbus::journal {
namespace {
constexpr std::string_view kMagic = "VXWITN01";
constexpr std::size_t kSize = 64;
}  // namespace

std::optional<Told> Witness::read(const std::filesystem::path& file) {
  const auto bytes = read_file(file, kSize);
  if (!bytes || bytes->size() != kSize || bytes->substr(0, 8) != kMagic) return std::nullopt;
  const std::string_view content(*bytes);
  if (Cutter(content.substr(kSize - 4)).number<std::uint32_t>() !=
      checksum(content.substr(0, kSize - 4))) {
    return std::nullopt;
  }
  Cutter in(content.substr(8));
  Told told;
  told.end.epoch = in.number<model::Epoch>();
  static_cast<void>(in.number<std::uint32_t>());
  told.end.position = in.number<model::Position>();
  told.chain = in.array<Digest>();
  return told;
}

Result<Witness> Witness::open(const std::filesystem::path& file) {
  VOXBUS_TRY(descriptor, open_file(file, O_RDWR | O_CREAT));
  return Witness(file, std::move(descriptor));
}

Status Witness::tell(const Told& told) {
  std::string bytes(kMagic);
  put(bytes, told.end.epoch);
  put(bytes, std::uint32_t{0});
  put(bytes, told.end.position);
  bytes += as_text(told.chain);
  put(bytes, std::uint32_t{0});
  put(bytes, checksum(bytes));
  const auto done = ::pwrite(file_.get(), bytes.data(), bytes.size(), 0);
  if (done != static_cast<ssize_t>(bytes.size())) {
    return system_error("write " + path_.string(), done < 0 ? errno : ENOSPC);
  }
  return {};
}

Status Witness::sync() {
  if (::fdatasync(file_.get()) != 0) {
    return permanent(system_error("sync " + path_.string(), errno).message);
  }
  return {};
}

}  // namespace voxbus::journal
