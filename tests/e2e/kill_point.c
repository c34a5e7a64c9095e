// Preloaded into the server by test_kill_ledger.py: the process dies (SIGKILL) at a named point, before or after the
// n-th call of one kind on a file whose path holds a text. It is no part of the program.
//
//   TIDEMILL_KILL_POINT="before|after CALL PATH-PART NTH"      CALL: write, flush, rename, create, remove
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char when[16], call[16], part[64];
static atomic_long left;

__attribute__((constructor)) static void read_point(void) {
  const char* text = getenv("TIDEMILL_KILL_POINT");
  long nth = 0;
  if (text != NULL && sscanf(text, "%15s %15s %63s %ld", when, call, part, &nth) == 4) left = nth;
}

// Whether this is the call; it counts down.
static int is_it(const char* what, const char* path) {
  return left > 0 && strcmp(what, call) == 0 && strstr(path, part) != NULL && --left == 0;
}
static int is_it_fd(const char* what, int fd) {
  char link[64], path[4096];
  if (left <= 0 || strcmp(what, call) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  return is_it(what, path);
}
static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define AROUND(hit, type, expression)          \
  const int it = hit;                          \
  if (it && strcmp(when, "before") == 0) die(); \
  const type result = expression;              \
  if (it) die();                               \
  return result

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  AROUND(is_it_fd("write", fd), ssize_t, REAL(pwrite)(fd, bytes, size, at));
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t at) {
  AROUND(is_it_fd("write", fd), ssize_t, REAL(pwrite64)(fd, bytes, size, at));
}
int fdatasync(int fd) {
  AROUND(is_it_fd("flush", fd), int, REAL(fdatasync)(fd));
}
int fsync(int fd) {  // of a directory
  AROUND(is_it_fd("flush", fd), int, REAL(fsync)(fd));
}
int rename(const char* from, const char* to) {
  AROUND(is_it("rename", to), int, REAL(rename)(from, to));
}
int remove(const char* path) {
  AROUND(is_it("remove", path), int, REAL(remove)(path));
}
int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  AROUND((flags & O_CREAT) && is_it("create", path), int, REAL(open)(path, flags, mode));
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  AROUND((flags & O_CREAT) && is_it("create", path), int, REAL(open64)(path, flags, mode));
}
