// SPDX-License-Identifier: Apache-2.0
// Leaves a process behind that holds all that was open, and ends its own while it is loaded.

#include <fcntl.h>
#include <unistd.h>

#include "raw_entry.hpp"

namespace {
__attribute__((constructor)) void on_load() {
  if (::fork() != 0) ::_exit(3);
  ::setsid();  // out of the reach of who ends its parent's group
  ::alarm(30);
  // A test's own output would else seem to go on.
  const int null = ::open("/dev/null", O_RDWR);
  for (int standard = 0; standard <= 2; ++standard) ::dup2(null, standard);
  ::pause();
  ::_exit(0);
}
}  // namespace

const voxbus_plugin voxbus_plugin_entry = raw::entry("org.example.forks_on_load");
