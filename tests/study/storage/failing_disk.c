// Calls on a study's database that fail, from one of them on: preloaded by failing_disk.py.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { READ, WRITE, SYNC, TRUNCATE, LOCK, MAP };
static int failing = -1, before, with;

void fail_from(int which, int calls, int error) { failing = which, before = calls, with = error; }

static int fails(int which, int fd) {
    char link[64], path[4096];
    if (which != failing) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "/study.db") || (before > 0 && before--)) return 0;
    errno = with;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OVER(kind, result, name, parameters, arguments) \
    result name parameters { return fails(kind, fd) ? -1 : REAL(name) arguments; }

OVER(READ, ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
OVER(READ, ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
OVER(READ, ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
OVER(WRITE, ssize_t, pwrite, (int fd, const void *of, size_t n, off_t at), (fd, of, n, at))
OVER(WRITE, ssize_t, pwrite64, (int fd, const void *of, size_t n, off64_t at), (fd, of, n, at))
OVER(WRITE, ssize_t, write, (int fd, const void *of, size_t n), (fd, of, n))
OVER(SYNC, int, fsync, (int fd), (fd))
OVER(SYNC, int, fdatasync, (int fd), (fd))
OVER(TRUNCATE, int, ftruncate, (int fd, off_t n), (fd, n))
OVER(TRUNCATE, int, ftruncate64, (int fd, off64_t n), (fd, n))

int fcntl64(int fd, int command, ...) {
    va_list values;
    va_start(values, command);
    void *value = va_arg(values, void *);
    va_end(values);
    int locks = command == F_SETLK || command == F_GETLK || command == F_SETLKW;
    return locks && fails(LOCK, fd) ? -1 : REAL(fcntl64)(fd, command, value);
}

int fcntl(int fd, int command, ...) {
    va_list values;
    va_start(values, command);
    void *value = va_arg(values, void *);
    va_end(values);
    int locks = command == F_SETLK || command == F_GETLK || command == F_SETLKW;
    return locks && fails(LOCK, fd) ? -1 : REAL(fcntl)(fd, command, value);
}

void *mmap(void *at, size_t n, int allowed, int flags, int fd, off_t from) {
    return fails(MAP, fd) ? MAP_FAILED : REAL(mmap)(at, n, allowed, flags, fd, from);
}
