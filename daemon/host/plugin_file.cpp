// SPDX-License-Identifier: Apache-2.0
#include "host/plugin_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>

#include "base/units.hpp"
#include "voxbus/abi.h"

namespace voxbus::host {
namespace {

Status check_owner(const struct stat& status, const std::string& what) {
  return host::check_owner(status, ::geteuid(), what);
}

// Every folder above the file, as they really are: links resolved. A sticky /tmp fails as well,
// because others may put things beside.
Status check_folders(const std::filesystem::path& file) {
  std::error_code code;
  auto folder = std::filesystem::canonical(file.parent_path(), code);
  if (code)
    return permanent("cannot resolve " + file.parent_path().string() + ": " + code.message());
  for (;; folder = folder.parent_path()) {
    struct stat status {};
    if (::lstat(folder.c_str(), &status) != 0)
      return system_error("look at " + folder.string(), errno);
    VOXBUS_CHECK(check_owner(status, folder.string()));
    if (folder == folder.root_path()) return {};
  }
}

// The manifest beside it decides what the plugin may have and may do: whoever may write it decides.
Status check_manifest(std::filesystem::path file) {
  file.replace_extension(".plugin.yaml");
  struct stat status {};
  if (::lstat(file.c_str(), &status) != 0)
    return errno == ENOENT ? Status() : Status(system_error("look at " + file.string(), errno));
  return check_owner(status, file.string());
}

// A read-only view of the file's bytes, bounds checked at every access.
class Elf {
 public:
  Elf(const char* bytes, std::size_t size) : bytes_(bytes), size_(size) {}
  template<class T>
  [[nodiscard]] std::span<const T> table(std::uint64_t offset, std::uint64_t bytes) const {
    if (offset > size_ || bytes > size_ - offset || offset % alignof(T) != 0) return {};
    return {reinterpret_cast<const T*>(bytes_ + offset), bytes / sizeof(T)};
  }
  [[nodiscard]] std::string_view name(std::span<const char> strings, std::uint32_t at) const {
    if (at >= strings.size()) return {};
    return {strings.data() + at, ::strnlen(strings.data() + at, strings.size() - at)};
  }

 private:
  const char* bytes_;
  std::size_t size_;
};

// Defined, visible names of the dynamic symbol table.
Result<std::vector<std::string>> exports(const char* bytes, std::size_t size) {
  const Elf elf(bytes, size);
  const auto heads = elf.table<Elf64_Ehdr>(0, sizeof(Elf64_Ehdr));
  if (heads.empty() || std::memcmp(heads[0].e_ident, ELFMAG, SELFMAG) != 0 ||
      heads[0].e_ident[EI_CLASS] != ELFCLASS64 || heads[0].e_type != ET_DYN) {
    return permanent("is no shared library for this machine");
  }
  const auto sections =
      elf.table<Elf64_Shdr>(heads[0].e_shoff, std::uint64_t{heads[0].e_shnum} * sizeof(Elf64_Shdr));
  std::vector<std::string> names;
  for (const auto& section : sections) {
    if (section.sh_type != SHT_DYNSYM || section.sh_link >= sections.size()) continue;
    const auto& text = sections[section.sh_link];
    const auto strings = elf.table<char>(text.sh_offset, text.sh_size);
    for (const auto& symbol : elf.table<Elf64_Sym>(section.sh_offset, section.sh_size)) {
      const auto binding = ELF64_ST_BIND(symbol.st_info);
      const auto visibility = ELF64_ST_VISIBILITY(symbol.st_other);
      const bool shown = visibility == STV_DEFAULT || visibility == STV_PROTECTED;
      if (symbol.st_shndx == SHN_UNDEF || binding == STB_LOCAL || !shown) continue;
      if (symbol.st_shndx == SHN_ABS) continue;  // version names, not code
      names.emplace_back(elf.name(strings, symbol.st_name));
    }
  }
  return names;
}

}  // namespace

Status check_owner(const struct stat& status, uid_t ours, const std::string& what) {
  if (status.st_uid != 0 && status.st_uid != ours) {
    return permanent(what + " belongs to another user (uid " + std::to_string(status.st_uid) +
                     "): it must belong to root or to the service's user");
  }
  if (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0 &&
      (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return permanent(what + " may be written by others, as it is meant to: move the plugin below " +
                     "another folder, as /usr/lib/voxbus/plugins");
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return permanent(what + " may be written by others: chmod go-w " + what);
  }
  return {};
}

Result<FileDescriptor> open_plugin(const std::filesystem::path& file, Trust trust) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) {
    if (errno == ELOOP)
      return permanent("cannot load " + file.string() +
                       ": it is a symbolic link, name the file itself");
    return system_error("open " + file.string(), errno);
  }
  FileDescriptor opened(fd);
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error("look at " + file.string(), errno);
  if (!S_ISREG(status.st_mode))
    return permanent("cannot load " + file.string() + ": it is no regular file");
  if (static_cast<std::uint64_t>(status.st_size) > kMostLibrary) {
    return permanent("cannot load " + file.string() + ": it has " +
                     format_size(static_cast<std::uint64_t>(status.st_size)) + ", of " +
                     format_size(kMostLibrary) + " at most; strip its debug information");
  }
  if (trust == Trust::owned) {
    VOXBUS_CHECK(check_owner(status, file.string()));
    VOXBUS_CHECK(check_manifest(file));
    VOXBUS_CHECK(check_folders(file));
  }
  return opened;
}

Status check_exports(int descriptor, const std::string& name) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return system_error("look at " + name, errno);
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) return permanent(name + " is empty");
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (memory == MAP_FAILED) return system_error("map " + name, errno);
  auto found = exports(static_cast<const char*>(memory), size);
  ::munmap(memory, size);
  if (!found) return permanent(name + ' ' + found.error().message);
  bool entry = false;
  for (const auto& symbol : *found) {
    if (symbol == VOXBUS_ENTRY_SYMBOL) {
      entry = true;
    } else {
      return permanent(name + " exports '" + symbol +
                       "' beside " VOXBUS_ENTRY_SYMBOL ": link it with the SDK's version script");
    }
  }
  if (!entry) return permanent(name + " does not export " VOXBUS_ENTRY_SYMBOL ": it is no plugin");
  return {};
}

}  // namespace voxbus::host
