// SPDX-License-Identifier: Apache-2.0
// Loaded before the C library by LD_PRELOAD: faults of disk and kernel on demand, in a program that
// knows nothing of it. $VOXBUS_FAULTS names a folder; while it holds a file
//
//     sync_fails    fsync() and fdatasync() answer EIO
//     hang_CALL     sync, accept or memfd_create does not come back before the file is gone
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int asked_for(const char* fault) {
  const char* folder = getenv("VOXBUS_FAULTS");
  char path[4096];
  if (!folder) return 0;
  snprintf(path, sizeof path, "%s/%s", folder, fault);
  return access(path, F_OK) == 0;
}

static void hang_while(const char* fault) {
  while (asked_for(fault)) poll(NULL, 0, 20);
}

static int sync_with(const char* name, int fd) {
  hang_while("hang_sync");
  if (asked_for("sync_fails")) {
    errno = EIO;
    return -1;
  }
  int (*call)(int);
  *(void**)&call = dlsym(RTLD_NEXT, name);
  return call(fd);
}

int fsync(int fd) { return sync_with("fsync", fd); }

int fdatasync(int fd) { return sync_with("fdatasync", fd); }

int accept(int fd, struct sockaddr* address, socklen_t* size) {
  hang_while("hang_accept");
  int (*call)(int, struct sockaddr*, socklen_t*);
  *(void**)&call = dlsym(RTLD_NEXT, "accept");
  return call(fd, address, size);
}

int memfd_create(const char* name, unsigned flags) {
  hang_while("hang_memfd_create");
  int (*call)(const char*, unsigned);
  *(void**)&call = dlsym(RTLD_NEXT, "memfd_create");
  return call(name, flags);
}
