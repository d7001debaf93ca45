// SPDX-License-Identifier: Apache-2.0
// A loaded plugin, its entry checked against our ABI. Owned by the process or the inline channel
// that runs it; it outlives every channel made of it, and is unloaded with the last owner.
#pragma once

#include <memory>
#include <string>

#include "base/posix.hpp"
#include "base/result.hpp"
#include "voxbus/abi.h"

namespace voxbus::host {

class Plugin {
 public:
  // Loads by descriptor with Boost.DLL and negotiates: same major, both minors known. Runs the
  // library's constructors, therefore hostile code: in the daemon only for trusted inline plugins.
  [[nodiscard]] static Result<std::shared_ptr<Plugin>> load(const FileDescriptor& file,
                                                            const std::string& name);
  // For tests: an entry that is linked in.
  [[nodiscard]] static Result<std::shared_ptr<Plugin>> from_entry(const voxbus_plugin& entry,
                                                                  const std::string& name);
  ~Plugin();

  [[nodiscard]] const voxbus_plugin& entry() const { return *entry_; }
  [[nodiscard]] std::string id() const { return entry_->id; }
  [[nodiscard]] std::string version() const { return entry_->version ? entry_->version : ""; }
  // The lower of both minors: what may be used.
  [[nodiscard]] std::uint16_t abi_minor() const;

 private:
  struct Library;
  Plugin(std::unique_ptr<Library> library, const voxbus_plugin* entry);
  std::unique_ptr<Library> library_;
  const voxbus_plugin* entry_;
};

}  // namespace voxbus::host
