// SPDX-License-Identifier: Apache-2.0
#include "host/crash_mark.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "model/limits.hpp"

namespace voxbus::host {

struct CrashMark::Page {
  std::atomic<std::uint32_t> examining;
  std::atomic<std::uint32_t> length;
  std::atomic<std::int64_t> since;  // nanoseconds of the steady clock
  char native_id[model::kMaxNativeId];
};

Result<CrashMark> CrashMark::make() {
  FileDescriptor fd(::memfd_create("voxbus-mark", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return system_error("make a memory file", errno);
  if (::ftruncate(fd.get(), sizeof(Page)) != 0) return system_error("size a memory file", errno);
  // Else the process could shrink the page away under the daemon's eyes (SIGBUS).
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return system_error("seal a memory file", errno);
  }
  return attach(std::move(fd));
}

Result<CrashMark> CrashMark::attach(FileDescriptor fd) {
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "shared between processes");
  void* memory = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return system_error("map a memory file", errno);
  return CrashMark(std::move(fd), static_cast<Page*>(memory));
}

CrashMark::CrashMark(CrashMark&& other) noexcept
    : fd_(std::move(other.fd_)), page_(std::exchange(other.page_, nullptr)) {}
CrashMark::~CrashMark() {
  if (page_) ::munmap(page_, sizeof(Page));
}

void CrashMark::examining(std::string_view native_id) {
  page_->examining.store(0, std::memory_order_release);
  native_id = native_id.substr(0, sizeof page_->native_id);
  std::memcpy(page_->native_id, native_id.data(), native_id.size());
  page_->length = static_cast<std::uint32_t>(native_id.size());
  page_->since = std::chrono::steady_clock::now().time_since_epoch().count();
  page_->examining.store(1, std::memory_order_release);
}
void CrashMark::idle() { page_->examining.store(0, std::memory_order_release); }

std::optional<CrashMark::Examined> CrashMark::examined() const {
  if (page_->examining.load(std::memory_order_acquire) == 0) return std::nullopt;
  // The page can change under our eyes: each value is read once, and then checked.
  const std::uint32_t length = page_->length.load(std::memory_order_relaxed);
  const std::chrono::nanoseconds since(page_->since.load(std::memory_order_relaxed));
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  if (length > sizeof page_->native_id || since.count() < 0 || since > now) return std::nullopt;
  return Examined{std::string(page_->native_id, length), since};
}

}  // namespace voxbus::host
