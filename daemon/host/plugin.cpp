// SPDX-License-Identifier: Apache-2.0
#include "host/plugin.hpp"

#include <boost/dll/shared_library.hpp>

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "host/plugin_file.hpp"

namespace voxbus::host {
namespace {

Status check_entry(const voxbus_plugin& entry, const std::string& name) {
  // The first three members can be read whatever the version is; the others only once it fits.
  if (entry.size < sizeof(std::uint32_t) * 2 || entry.abi_major != VOXBUS_ABI_MAJOR) {
    return permanent(name + " speaks plugin ABI " + std::to_string(entry.abi_major) +
                     ", this program " + std::to_string(VOXBUS_ABI_MAJOR) +
                     ": rebuild the plugin with this version's SDK");
  }
  constexpr std::uint32_t kEntry01 = 72;  // what ABI 0.1 had, whatever is appended later
  static_assert(sizeof(voxbus_plugin) == kEntry01);
  if (entry.size < kEntry01) {
    return permanent(name + " has an entry of " + std::to_string(entry.size) +
                     " bytes, fewer than the " + std::to_string(kEntry01) + " of ABI 0.1");
  }
  if (!entry.id || !entry.version || !entry.describe || !entry.create || !entry.destroy ||
      !entry.poll || !entry.stop) {
    return permanent(name + " leaves a required member of its entry empty");
  }
  return {};
}

}  // namespace

struct Plugin::Library {
  // Kept open: the loader knows a library by the path it was given, so the number in
  // /proc/self/fd/N must not name another file while this one is loaded.
  FileDescriptor file;
  boost::dll::shared_library handle;
};

Plugin::Plugin(std::unique_ptr<Library> library, const voxbus_plugin* entry)
    : library_(std::move(library)), entry_(entry) {}
Plugin::~Plugin() = default;

Result<std::shared_ptr<Plugin>> Plugin::load(const FileDescriptor& file, const std::string& name) {
  VOXBUS_CHECK(check_exports(file.get(), name));
  auto library = std::make_unique<Library>();
  library->file = FileDescriptor(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (!library->file) return system_error("keep " + name + " open", errno);
  boost::dll::fs::error_code code;
  library->handle.load("/proc/self/fd/" + std::to_string(library->file.get()), code,
                       boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  if (code) return permanent("cannot load " + name + ": " + code.message());
  if (!library->handle.has(VOXBUS_ENTRY_SYMBOL))
    return permanent(name + " does not export " VOXBUS_ENTRY_SYMBOL);
  const auto* entry = &library->handle.get<const voxbus_plugin>(VOXBUS_ENTRY_SYMBOL);
  VOXBUS_CHECK(check_entry(*entry, name));
  return std::shared_ptr<Plugin>(new Plugin(std::move(library), entry));
}

Result<std::shared_ptr<Plugin>> Plugin::from_entry(const voxbus_plugin& entry,
                                                   const std::string& name) {
  VOXBUS_CHECK(check_entry(entry, name));
  return std::shared_ptr<Plugin>(new Plugin(nullptr, &entry));
}

std::uint16_t Plugin::abi_minor() const {
  return std::min<std::uint16_t>(entry_->abi_minor, VOXBUS_ABI_MINOR);
}

}  // namespace voxbus::host
