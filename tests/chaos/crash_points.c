/* Kills a process just before one of the calls by which it changes what is on the disk: an enumeration of crash points.

   Loaded by LD_PRELOAD, so that nothing in the product knows of it, and SQLite's own calls are seen too. It acts in processes whose
   program (the first argument that is no option) ends with CRASH_IN. Each call is a line in CRASH_JOURNAL; before call number
   CRASH_AT (from 1; 0 for none) the process kills itself. The file CRASH_MARK sees to it that only one process does. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *journal;
static long crash_at;
static atomic_long calls;

__attribute__((constructor)) static void begin(int argc, char **argv) {
    const char *program = "", *wanted = getenv("CRASH_IN");
    for (int i = 1; i < argc && !*program; i++)
        if (argv[i][0] != '-') program = argv[i];
    if (!wanted || strlen(program) < strlen(wanted) || strcmp(program + strlen(program) - strlen(wanted), wanted)) return;
    crash_at = atol(getenv("CRASH_AT"));
    journal = getenv("CRASH_JOURNAL");
}

static void point(const char *call, const char *path) {
    if (!journal) return;
    char line[512];
    int length = snprintf(line, sizeof line, "%s %s\n", call, path);
    if (length > (int)sizeof line - 1) length = sizeof line - 1;
    int file = open(journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666); /* each time: a supervisor closes what it inherits */
    if (file < 0 || write(file, line, length) < 0) abort();
    close(file);
    if (atomic_fetch_add(&calls, 1) + 1 == crash_at && open(getenv("CRASH_MARK"), O_CREAT | O_EXCL, 0666) >= 0) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

static void point_of(const char *call, int descriptor) {
    char link[64], path[400];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    point(call, path);
}

#define NEXT(name, ...) return ((__typeof__(&name))dlsym(RTLD_NEXT, #name))(__VA_ARGS__)

int fsync(int fd) { point_of("fsync", fd); NEXT(fsync, fd); }
int fdatasync(int fd) { point_of("fdatasync", fd); NEXT(fdatasync, fd); }
int rename(const char *a, const char *b) { point("rename", b); NEXT(rename, a, b); }
int renameat(int x, const char *a, int y, const char *b) { point("rename", b); NEXT(renameat, x, a, y, b); }
int link(const char *a, const char *b) { point("link", b); NEXT(link, a, b); }
int linkat(int x, const char *a, int y, const char *b, int flags) { point("link", b); NEXT(linkat, x, a, y, b, flags); }
int unlink(const char *a) { point("unlink", a); NEXT(unlink, a); }
int unlinkat(int x, const char *a, int flags) { point("unlink", a); NEXT(unlinkat, x, a, flags); }
int rmdir(const char *a) { point("rmdir", a); NEXT(rmdir, a); }
int mkdir(const char *a, mode_t mode) { point("mkdir", a); NEXT(mkdir, a, mode); }
int mkdirat(int x, const char *a, mode_t mode) { point("mkdir", a); NEXT(mkdirat, x, a, mode); }
int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
                char *const argv[], char *const envp[]) {
    point("spawn", path);
    NEXT(posix_spawn, pid, path, actions, attributes, argv, envp);
}
