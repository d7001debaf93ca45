// SPDX-License-Identifier: Apache-2.0
// voxbus-host: loads one plugin for one channel, in a process that may die of it. Started by
// voxbusd only.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "app/intake_wiring.hpp"
#include "host/host_process.hpp"

int main() {
  if (::fcntl(voxbus::host::kMarkDescriptor, F_GETFD) < 0) {
    std::fputs("voxbus-host is started by voxbusd; to try a plugin: voxbus try FILE.so\n", stderr);
    return 2;
  }
  ::prctl(PR_SET_DUMPABLE, 0);  // its settings hold secrets
  try {
    ::_exit(voxbus::host::run_host_process(voxbus::app::make_intake, VOXBUS_BUILD));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "voxbus-host: %s\n", error.what());
    ::_exit(70);
  }
}
