// SPDX-License-Identifier: Apache-2.0
#include "journal/keys.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "journal/bytes.hpp"

namespace voxbus::journal {
namespace {

constexpr std::string_view kMagic = "VXKEYS01";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kHeaderSize = 8 + 4 + 4 + 60 + 4;
constexpr std::size_t kHeaderCopies[] = {0, 2048};
constexpr std::size_t kSlotsAt = 4096;
constexpr std::size_t kSlotSize = 64;
constexpr std::size_t kSealedKey = kNonceSize + kKeySize + kTagSize;
constexpr std::size_t kBlockBytes = Keys::kBlockSlots * kSlotSize;
constexpr std::string_view kErased = "GONE";

std::string bound_to(KeyId id) {
  std::string out = "voxbus key slot ";
  put(out, id);
  return out;
}
std::string number_and(KeyId id, std::string_view sealed) {
  std::string out;
  put(out, id);
  out += sealed;
  return out;
}
off_t place_of(KeyId id) { return static_cast<off_t>(kSlotsAt + (id - 1) * kSlotSize); }

std::string make_slots(KeyId first, const Key& wrap) {
  Aead aead;
  std::string out;
  out.reserve(kBlockBytes);
  for (KeyId id = first; id < first + Keys::kBlockSlots; ++id) {
    const auto sealed = aead.seal(wrap, bound_to(id), as_text(random_key()));
    out += sealed;
    put(out, checksum(number_and(id, sealed)));
  }
  return out;
}

KeyState judge_slot(KeyId id, std::string_view slot) {
  if (slot.size() < kSlotSize) return KeyState::missing;
  const auto sealed = slot.substr(0, kSealedKey);
  if (sealed.find_first_not_of('\0') == sealed.npos) {
    return slot.substr(kSealedKey, kErased.size()) == kErased ? KeyState::erased
                                                              : KeyState::missing;
  }
  const auto sum = Cutter(slot.substr(kSealedKey)).number<std::uint32_t>();
  return sum == checksum(number_and(id, sealed)) ? KeyState::usable : KeyState::damaged;
}

std::string read_at(int fd, off_t at, std::size_t size) {
  std::string out(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = ::pread(fd, out.data() + done, size - done, at + static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  out.resize(done);
  return out;
}

Status write_at(int fd, off_t at, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd, bytes.data(), bytes.size(), at);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return system_error("write " + path.string(), errno);
    bytes.remove_prefix(static_cast<std::size_t>(done));
    at += done;
  }
  return {};
}

Status synced(int fd, const std::filesystem::path& path) {
  // Never worth a retry: after a failed sync nobody knows what the disk holds.
  if (::fdatasync(fd) != 0) {
    return permanent(system_error("sync " + path.string(), errno).message);
  }
  return {};
}

std::string sealed_secret_in(std::string_view header) {
  if (header.size() != kHeaderSize || header.substr(0, 8) != kMagic) return {};
  const auto sum = Cutter(header.substr(kHeaderSize - 4)).number<std::uint32_t>();
  if (sum != checksum(header.substr(0, kHeaderSize - 4))) return {};
  return std::string(header.substr(16, kSealedKey));
}

}  // namespace

Status Keys::create(const std::filesystem::path& file, const Key& master) {
  struct stat about {};
  if (::stat(file.c_str(), &about) == 0) {
    return permanent("cannot create " + file.string() + ": it exists");
  }
  const auto wrap = derive_key(as_text(master), "voxbus wrap");
  std::string header(kMagic);
  put(header, kFormat);
  put(header, kBlockSlots);
  header += Aead().seal(wrap, "voxbus secret", as_text(random_key()));
  put(header, checksum(header));
  std::string content(kSlotsAt, '\0');
  for (const auto at : kHeaderCopies) content.replace(at, header.size(), header);
  content += make_slots(1, wrap);
  return replace_file(file, content);
}

Result<std::unique_ptr<Keys>> Keys::open(const std::filesystem::path& file, const Key& master,
                                         bool writable) {
  std::unique_ptr<Keys> keys(new Keys);
  keys->path_ = file;
  VOXBUS_TRY(descriptor, open_file(file, writable ? O_RDWR : O_RDONLY));
  keys->file_ = std::move(descriptor);
  const int fd = keys->file_.get();

  keys->wrap_ = derive_key(as_text(master), "voxbus wrap");
  bool intact = false;
  for (const auto at : kHeaderCopies) {
    const auto header = read_at(fd, static_cast<off_t>(at), kHeaderSize);
    const auto sealed = sealed_secret_in(header);
    if (sealed.empty()) continue;
    if (Cutter(std::string_view(header).substr(8)).number<std::uint32_t>() > kFormat) {
      return permanent("cannot open " + file.string() + ": it was written by a newer Voxbus");
    }
    intact = true;
    if (auto secret = Aead().open(keys->wrap_, "voxbus secret", sealed)) {
      keys->secret_ = std::move(*secret);
      break;
    }
  }
  if (keys->secret_.empty()) {
    return permanent("cannot open " + file.string() + ": " +
                     (intact ? "the master key is not the one it was made with"
                             : "both copies of its header are damaged; restore it from a backup"));
  }
  keys->system_ = keys->purpose("system");

  struct stat about {};
  if (::fstat(fd, &about) != 0) return system_error("examine " + file.string(), errno);
  const auto size = static_cast<std::size_t>(about.st_size);
  std::size_t blocks = size > kSlotsAt ? (size - kSlotsAt) / kBlockBytes : 0;
  if (blocks > 0) {
    // The last block may have been cut by a crash before it was ever used. One that was used is
    // whole but for what rots, and then most of it still reads; the sequencer passes over slots
    // that do not.
    const auto first = static_cast<KeyId>((blocks - 1) * kBlockSlots + 1);
    const auto bytes = read_at(fd, place_of(first), kBlockBytes);
    std::size_t good = 0;
    for (KeyId i = 0; i < kBlockSlots; ++i) {
      const auto state = judge_slot(first + i, std::string_view(bytes).substr(i * kSlotSize));
      if (state == KeyState::usable || state == KeyState::erased) ++good;
    }
    if (good == 0 && blocks > 1) --blocks;
  }
  // A block written before a kill may be in the kernel's memory only.
  if (writable) VOXBUS_CHECK(synced(fd, file));
  keys->made_ = static_cast<KeyId>(blocks * kBlockSlots);
  return keys;
}

Key Keys::purpose(std::string_view name) const {
  return derive_key(secret_, "voxbus " + std::string(name));
}

Status Keys::make_block() {
  const KeyId first = made() + 1;
  VOXBUS_CHECK(write_at(file_.get(), place_of(first), make_slots(first, wrap_), path_));
  VOXBUS_CHECK(synced(file_.get(), path_));
  made_.store(first + kBlockSlots - 1, std::memory_order_release);
  return {};
}

KeyState Keys::read(KeyId id, Aead& aead, Key& out) const {
  if (id == kSystemKey) {
    out = system_;
    return KeyState::usable;
  }
  const auto slot = read_at(file_.get(), place_of(id), kSlotSize);
  const auto state = judge_slot(id, slot);
  if (state != KeyState::usable) return state;
  const auto key = aead.open(wrap_, bound_to(id), std::string_view(slot).substr(0, kSealedKey));
  if (!key || !assign(out, *key)) return KeyState::damaged;
  return KeyState::usable;
}

Status Keys::erase(KeyId id) {
  if (id == kSystemKey || id > made()) {
    return permanent("cannot erase key " + std::to_string(id) + ": there is no such slot");
  }
  VOXBUS_CHECK(write_at(file_.get(), place_of(id),
                        std::string(kSealedKey, '\0') + std::string(kErased), path_));
  VOXBUS_CHECK(synced(file_.get(), path_));
  erasures_.fetch_add(1, std::memory_order_release);
  return {};
}

KeyState KeyRing::get(KeyId id, Key& out) {
  if (const auto now = keys_.erasures(); now != erasures_ || entries_.size() >= most_) {
    entries_.clear();
    erasures_ = now;
  }
  auto at = entries_.find(id);
  if (at == entries_.end()) {
    Entry entry{};
    entry.state = keys_.read(id, aead_, entry.key);
    // A slot that is not made yet may be a moment later.
    if (entry.state == KeyState::missing) return entry.state;
    at = entries_.emplace(id, entry).first;
  }
  out = at->second.key;
  return at->second.state;
}

Result<Key> master_key(const std::optional<Key>& given, const std::filesystem::path& file,
                       bool create) {
  if (given) return *given;
  std::error_code code;
  if (!std::filesystem::exists(file, code)) {
    if (!create) {
      return permanent("cannot open " + file.string() +
                       ": it is missing; nothing can be read without it, restore it from where it "
                       "was kept");
    }
    const auto key = random_key();
    VOXBUS_CHECK(replace_file(file, as_text(key)));
    return key;
  }
  VOXBUS_TRY(bytes, read_file(file, 4096));
  Key key;
  if (!assign(key, bytes)) {
    return permanent("cannot use " + file.string() + ": a master key has 32 bytes, this has " +
                     std::to_string(bytes.size()));
  }
  return key;
}

}  // namespace voxbus::journal
