// SPDX-License-Identifier: Apache-2.0
#include "unit/journal/faulty_vfs.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/guarded.hpp"

namespace voxbus::journal {
namespace {

struct Unsynced {
  std::string path;
  sqlite3_int64 at = 0;
  std::string before;             // what stood there
  std::string written;            // what was written
  sqlite3_int64 size_before = 0;  // of the file
};

struct Disk {
  std::function<bool()> full;
  bool fail_sync = false;
  std::uint64_t operations = 0;
  std::uint64_t crash_at = 0;  // 0: never
  bool crashed = false;
  std::vector<Unsynced> unsynced;

  // Counts one; true when the disk is gone.
  bool gone() {
    ++operations;
    if (crash_at != 0 && operations >= crash_at) crashed = true;
    return crashed;
  }
};
Guarded<Disk>& disk() {
  static Guarded<Disk> state;
  return state;
}

struct File {
  sqlite3_file base;
  sqlite3_file* real;
  char path[1024];
};
File* file_of(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
sqlite3_file* real(sqlite3_file* file) { return file_of(file)->real; }
const sqlite3_io_methods& methods(sqlite3_file* file) { return *real(file)->pMethods; }

int close_file(sqlite3_file* file) { return methods(file).xClose(real(file)); }
int read_file(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
  return methods(file).xRead(real(file), out, size, at);
}
int write_file(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  return disk().with([&](Disk& disk) {
    if (disk.gone()) return SQLITE_IOERR_WRITE;
    if (disk.full && disk.full()) return SQLITE_FULL;
    Unsynced write;
    write.path = file_of(file)->path;
    write.at = at;
    write.written.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
    methods(file).xFileSize(real(file), &write.size_before);
    if (at < write.size_before) {
      write.before.resize(
          static_cast<std::size_t>(std::min<sqlite3_int64>(size, write.size_before - at)));
      methods(file).xRead(real(file), write.before.data(), static_cast<int>(write.before.size()),
                          at);
    }
    disk.unsynced.push_back(std::move(write));
    return methods(file).xWrite(real(file), bytes, size, at);
  });
}
int truncate_file(sqlite3_file* file, sqlite3_int64 size) {
  return disk().with([&](Disk& disk) {
    if (disk.gone()) return SQLITE_IOERR_TRUNCATE;
    return methods(file).xTruncate(real(file), size);
  });
}
int sync_file(sqlite3_file* file, int flags) {
  return disk().with([&](Disk& disk) {
    if (disk.gone()) return SQLITE_IOERR_FSYNC;
    if (std::exchange(disk.fail_sync, false)) return SQLITE_IOERR_FSYNC;
    std::erase_if(disk.unsynced,
                  [&](const Unsynced& write) { return write.path == file_of(file)->path; });
    return methods(file).xSync(real(file), flags);
  });
}
int size_file(sqlite3_file* file, sqlite3_int64* size) {
  return methods(file).xFileSize(real(file), size);
}
int lock_file(sqlite3_file* file, int level) { return methods(file).xLock(real(file), level); }
int unlock_file(sqlite3_file* file, int level) { return methods(file).xUnlock(real(file), level); }
int check_lock(sqlite3_file* file, int* out) {
  return methods(file).xCheckReservedLock(real(file), out);
}
int control_file(sqlite3_file* file, int operation, void* argument) {
  return methods(file).xFileControl(real(file), operation, argument);
}
int sector_size(sqlite3_file* file) { return methods(file).xSectorSize(real(file)); }
int characteristics(sqlite3_file* file) { return methods(file).xDeviceCharacteristics(real(file)); }
int shm_map(sqlite3_file* file, int page, int size, int extend, void volatile** out) {
  return methods(file).xShmMap(real(file), page, size, extend, out);
}
int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
  return methods(file).xShmLock(real(file), offset, count, flags);
}
void shm_barrier(sqlite3_file* file) { methods(file).xShmBarrier(real(file)); }
int shm_unmap(sqlite3_file* file, int remove) {
  return methods(file).xShmUnmap(real(file), remove);
}

const sqlite3_io_methods kMethods = {
    2,         close_file,  read_file,  write_file,   truncate_file, sync_file,       size_file,
    lock_file, unlock_file, check_lock, control_file, sector_size,   characteristics, shm_map,
    shm_lock,  shm_barrier, shm_unmap,  nullptr,      nullptr};

sqlite3_vfs* below(sqlite3_vfs* vfs) { return static_cast<sqlite3_vfs*>(vfs->pAppData); }

int open_file(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out) {
  auto* opened = file_of(file);
  opened->real = reinterpret_cast<sqlite3_file*>(opened + 1);
  std::strncpy(opened->path, name ? name : "", sizeof opened->path - 1);
  const int code = below(vfs)->xOpen(below(vfs), name, opened->real, flags, out);
  file->pMethods = opened->real->pMethods ? &kMethods : nullptr;
  return code;
}
int delete_file(sqlite3_vfs* vfs, const char* name, int sync) {
  return disk().with([&](Disk& disk) {
    if (disk.gone()) return SQLITE_IOERR_DELETE;
    return below(vfs)->xDelete(below(vfs), name, sync);
  });
}

sqlite3_vfs* registered() {
  static sqlite3_vfs vfs = [] {
    auto* original = sqlite3_vfs_find(nullptr);
    sqlite3_vfs out = *original;
    out.pNext = nullptr;
    out.zName = kFaulty;
    out.pAppData = original;
    out.szOsFile = static_cast<int>(sizeof(File)) + original->szOsFile;
    out.xOpen = open_file;
    out.xDelete = delete_file;
    return out;
  }();
  static const int done = sqlite3_vfs_register(&vfs, 0);
  static_cast<void>(done);
  return &vfs;
}

void heal() {
  disk().with([](Disk& disk) { disk = Disk{}; });
}

}  // namespace

FaultyDisk::FaultyDisk() {
  registered();
  heal();
}
FaultyDisk::~FaultyDisk() { heal(); }

void FaultyDisk::full_while(std::function<bool()> condition) {
  disk().with([&](Disk& disk) { disk.full = std::move(condition); });
}
void FaultyDisk::fail_next_sync() {
  disk().with([](Disk& disk) { disk.fail_sync = true; });
}
void FaultyDisk::crash_at(std::uint64_t operation) {
  disk().with([&](Disk& disk) {
    disk.crash_at = operation;
    disk.operations = 0;
  });
}
bool FaultyDisk::crashed() const {
  return disk().with([](Disk& disk) { return disk.crashed; });
}
std::uint64_t FaultyDisk::operations() const {
  return disk().with([](Disk& disk) { return disk.operations; });
}

void FaultyDisk::settle(Crash how) {
  disk().with([&](Disk& disk) {
    bool newest = true;
    for (auto write = disk.unsynced.rbegin(); write != disk.unsynced.rend(); ++write) {
      const bool torn = how == Crash::tears_newest && newest;
      const bool drop = how == Crash::drops_all || (how == Crash::drops_newest && newest) || torn;
      newest = false;
      if (!drop) continue;
      const int fd = ::open(write->path.c_str(), O_RDWR | O_CLOEXEC);
      if (fd < 0) continue;
      auto content = write->before;
      auto size = write->size_before;
      if (torn) {
        // The first half arrived.
        const auto half = write->written.size() / 2;
        content = write->written.substr(0, half) +
                  (content.size() > half ? content.substr(half) : std::string());
        size =
            std::max<sqlite3_int64>(size, write->at + static_cast<sqlite3_int64>(content.size()));
      }
      if (::pwrite(fd, content.data(), content.size(), write->at) < 0 ||
          ::ftruncate(fd, size) != 0) {
        std::abort();
      }
      ::close(fd);
    }
    disk.unsynced.clear();
  });
}

}  // namespace voxbus::journal
