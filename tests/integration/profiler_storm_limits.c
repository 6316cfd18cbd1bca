/* profiler_storm_limits.c - parts of profiler_storm that want much, or may do little. */
#include "profiler_storm.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBRARIES   50
#define FILES_MAX   64
#define BLOCK       ((size_t)1 << 20)
#define ADDRESSES   ((rlim_t)96 << 20) /* more than there are now */
#define BLOCKS_MAX  128
#define SMALL_STACK ((size_t)64 << 10)

typedef union found {
    void *object;
    uint64_t (*throw)(uint64_t rounds);
    uint64_t (*call)(uint64_t seed, uint64_t (*back)(uint64_t, uint64_t));
} found;

/* -- exceptions ------------------------------------------------------------------------------------- */

static found thrower;

static void *throws(void *arg)
{
    expect(thrower.throw(1000 * storm_scale) == 1000 * storm_scale, "every exception is caught");
    return arg;
}

void part_throw(void)
{
    void *library = dlopen(storm_module, RTLD_NOW | RTLD_LOCAL);

    expect(library != NULL, "dlopen");
    thrower.object = dlsym(library, "storm_throw");
    expect(thrower.object != NULL, "dlsym");
    in_threads(throws);
}

/* -- ten thousand threads --------------------------------------------------------------------------- */

static _Atomic uint64_t lives;

static void *lives_shortly(void *arg)
{
    (void)mix((uint64_t)(uintptr_t)arg, 100);
    atomic_fetch_add(&lives, 1);
    return NULL;
}

static void *makes_detached(void *arg)
{
    uint64_t i, want = 2500 * storm_scale;
    pthread_attr_t small;
    pthread_t thread;

    expect(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, SMALL_STACK) == 0 &&
               pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED) == 0,
           "pthread_attr");
    for (i = 0; i < want; i++)
        while (pthread_create(&thread, &small, lives_shortly, (void *)(uintptr_t)i) != 0)
            (void)mix(i, 10000); /* EAGAIN: too many at once */
    (void)pthread_attr_destroy(&small);
    return arg;
}

void part_churn(void)
{
    in_threads(makes_detached);
    while (atomic_load(&lives) < 4 * 2500 * storm_scale)
        (void)mix(1, 10000);
}

/* -- fifty libraries -------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
    static char block[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    ssize_t n = 1;

    expect(in >= 0 && out >= 0, "a copy of the library");
    while (n > 0) {
        n = read(in, block, sizeof(block));
        expect(n >= 0 && write(out, block, (size_t)n) == n, "copying");
    }
    (void)close(in);
    (void)close(out);
}

static void load_all(const char *folder, uint64_t round)
{
    void *libraries[LIBRARIES];
    char path[96];
    int i;

    for (i = 0; i < LIBRARIES; i++) {
        found f;

        (void)snprintf(path, sizeof(path), "%s/%d.so", folder, i);
        libraries[i] = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        expect(libraries[i] != NULL, "dlopen");
        f.object = dlsym(libraries[i], "storm_module");
        expect(f.object != NULL, "dlsym");
        expect(f.call(round, mix) == mix(round, 2000) + 1, "what a library says");
    }
    for (i = 0; i < LIBRARIES; i++) /* another order each time */
        expect(dlclose(libraries[(i * 7 + (int)(round % LIBRARIES)) % LIBRARIES]) == 0, "dlclose");
}

void part_libraries(void)
{
    char folder[] = "/tmp/profiler_storm_XXXXXX", path[96];
    uint64_t i;

    expect(mkdtemp(folder) != NULL, "mkdtemp");
    for (i = 0; i < LIBRARIES; i++) {
        (void)snprintf(path, sizeof(path), "%s/%d.so", folder, (int)i);
        copy_file(storm_module, path);
    }
    for (i = 0; i < 10 * storm_scale; i++)
        load_all(folder, i);
    for (i = 0; i < LIBRARIES; i++) {
        (void)snprintf(path, sizeof(path), "%s/%d.so", folder, (int)i);
        (void)unlink(path);
    }
    expect(rmdir(folder) == 0, "rmdir");
}

/* -- descriptors ------------------------------------------------------------------------------------ */

/* A program that closes what it does not know, and then opens files of its own. */
void part_files(void)
{
    char name[] = "/tmp/profiler_storm_XXXXXX", text[64], have[64];
    uint64_t i;
    int fd;

    for (i = 0; i < 200 * storm_scale; i++) {
        (void)mix(i, 20000);
        (void)syscall(SYS_close_range, 3u, ~0u, 0u);
        (void)memcpy(name + strlen(name) - 6, "XXXXXX", 6);
        fd = mkstemp(name);
        expect(fd == 3, "the first descriptor is the lowest one");
        (void)snprintf(text, sizeof(text), "round %llu", (unsigned long long)i);
        expect(write(fd, text, sizeof(text)) == (ssize_t)sizeof(text), "write");
        (void)mix(i, 100000);
        expect(pread(fd, have, sizeof(have), 0) == (ssize_t)sizeof(have) &&
                   memcmp(text, have, sizeof(text)) == 0,
               "a file holds what was written, and nothing else");
        expect(lseek(fd, 0, SEEK_END) == (off_t)sizeof(text), "nobody else writes to it");
        expect(unlink(name) == 0 && close(fd) == 0, "close");
    }
}

static void *churns_a_little(void *arg)
{
    (void)churn_memory((uintptr_t)arg, 2000);
    return (void *)(uintptr_t)climb((uint64_t)(uintptr_t)arg, 30);
}

void part_descriptors(void)
{
    struct rlimit before, few;
    uint64_t i;
    int fd, k, len;

    expect(getrlimit(RLIMIT_NOFILE, &before) == 0, "getrlimit");
    few = before;
    few.rlim_cur = FILES_MAX;
    expect(setrlimit(RLIMIT_NOFILE, &few) == 0, "setrlimit");
    (void)syscall(SYS_close_range, 3u, ~0u, 0u);
    for (i = 0; i < 10 * storm_scale; i++) {
        for (len = 0; (fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0; len++)
            expect(fd == 3 + len, "descriptors come in order");
        expect(errno == EMFILE && len == FILES_MAX - 3, "all of them are the program's");
        in_threads(churns_a_little);
        (void)mix(i, 2000000);
        for (k = 3; k < FILES_MAX; k++)
            expect(close(k) == 0, "close");
    }
    expect(setrlimit(RLIMIT_NOFILE, &before) == 0, "setrlimit");
}

/* -- another root ----------------------------------------------------------------------------------- */

/* Who may not goes on where it is. */
void part_chroot(void)
{
    char folder[] = "/tmp/profiler_storm_XXXXXX";
    int back = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint64_t i;
    bool moved;

    expect(back >= 0 && mkdtemp(folder) != NULL, "mkdtemp");
    moved = chroot(folder) == 0;
    for (i = 0; i < 5 * storm_scale; i++) {
        in_threads(churns_a_little);
        (void)mix(i, 5000000);
        expect(!moved || access("/proc/self/maps", F_OK) != 0, "there is no /proc");
    }
    expect(!moved || (fchdir(back) == 0 && chroot(".") == 0), "out again");
    expect(close(back) == 0 && rmdir(folder) == 0, "rmdir");
}

/* -- no address space ------------------------------------------------------------------------------- */

static rlim_t addresses_now(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    expect(f && fscanf(f, "%lu", &pages) == 1, "/proc/self/statm");
    (void)fclose(f);
    return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static int take_all(uint8_t *blocks[BLOCKS_MAX])
{
    int len = 0;

    while (len < BLOCKS_MAX && (blocks[len] = malloc(BLOCK)) != NULL) {
        blocks[len][0] = (uint8_t)len;
        blocks[len][BLOCK - 1] = (uint8_t)len;
        len++;
    }
    return len;
}

void part_addresses(void)
{
    static uint8_t *blocks[BLOCKS_MAX];
    struct rlimit before, few;
    uint64_t i;
    int len, k;

    expect(getrlimit(RLIMIT_AS, &before) == 0, "getrlimit");
    for (i = 0; i < 3 * storm_scale; i++) {
        few = before;
        few.rlim_cur = addresses_now() + ADDRESSES;
        expect(setrlimit(RLIMIT_AS, &few) == 0, "setrlimit");
        len = take_all(blocks);
        expect(len > 0, "some memory"); /* an allocator may have reserved more */
        for (k = 0; k < 200; k++)       /* some of these there is room for */
            free(malloc((size_t)k * 1000));
        (void)climb(i, 200);
        (void)mix(i, 10000000);
        for (k = 0; k < len; k++) {
            expect(blocks[k][0] == k && blocks[k][BLOCK - 1] == k,
                   "a block holds what was written");
            free(blocks[k]);
        }
        expect(setrlimit(RLIMIT_AS, &before) == 0, "setrlimit");
        (void)churn_memory(i, 1000);
    }
}

/* -- few system calls ------------------------------------------------------------------------------- */

/* What a sandbox allows that knows the program alone: others fail, as they would in a container. */
static void filter(void)
{
    static const uint16_t allowed[] = {
        SYS_read,        SYS_write,           SYS_close,        SYS_mmap,
        SYS_munmap,      SYS_mprotect,        SYS_madvise,      SYS_brk,
        SYS_futex,       SYS_clone,           SYS_clone3,       SYS_exit,
        SYS_exit_group,  SYS_rt_sigprocmask,  SYS_rt_sigaction, SYS_rt_sigreturn,
        SYS_sigaltstack, SYS_set_robust_list, SYS_rseq,         SYS_sched_getaffinity,
        SYS_gettid,      SYS_getpid,          SYS_tgkill,       SYS_clock_gettime,
        SYS_mremap,      SYS_prctl,           SYS_nanosleep,    SYS_clock_nanosleep,
        SYS_newfstatat,
    };
    enum { LEN = sizeof(allowed) / sizeof(allowed[0]) };
    struct sock_filter code[LEN + 5], *at = code;
    struct sock_fprog program = { LEN + 5, code };
    size_t i;

    *at++ =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (i = 0; i < LEN; i++)
        *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                             (uint8_t)(LEN - i + 2), 0);
    *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1);
    *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0, "PR_SET_NO_NEW_PRIVS");
    expect(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0,
           "seccomp");
}

/* What a sandbox ends a program for: names of threads are all it may ask prctl() for, and what few programs call is not
 * called by any. */
static void filter_that_kills(void)
{
    static const uint16_t fatal[] = {
        SYS_pidfd_open,
        SYS_pidfd_getfd,
        SYS_close_range,
        SYS_perf_event_open,
        SYS_ptrace,
        SYS_process_vm_writev,
        SYS_kcmp,
        SYS_unshare,
        SYS_setns,
        SYS_memfd_create,
        SYS_membarrier,
        SYS_seccomp,
        SYS_sched_setaffinity,
        SYS_sched_setscheduler,
        SYS_sched_setattr,
        SYS_setpriority,
        SYS_ioprio_set,
        SYS_mbind,
        SYS_set_mempolicy,
        SYS_move_pages,
        SYS_userfaultfd,
        SYS_bpf,
        SYS_personality,
        SYS_add_key,
        SYS_request_key,
        SYS_keyctl,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        SYS_mincore,
        SYS_vmsplice,
        SYS_syslog,
        SYS_name_to_handle_at,
        SYS_open_by_handle_at,
        SYS_mlockall,
        SYS_acct,
    };
    static const uint16_t asked[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_DUMPABLE };
    enum { LEN = sizeof(fatal) / sizeof(fatal[0]), ASKED = sizeof(asked) / sizeof(asked[0]) };
    struct sock_filter code[LEN + ASKED + 5], *at = code;
    struct sock_fprog program = { LEN + ASKED + 5, code };
    size_t i;

    *at++ =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (i = 0; i < LEN; i++)
        *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, fatal[i],
                                             (uint8_t)(LEN - i + ASKED + 1), 0);
    *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, ASKED + 2);
    *at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                         offsetof(struct seccomp_data, args[0]));
    for (i = 0; i < ASKED; i++)
        *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, asked[i],
                                             (uint8_t)(ASKED - i), 0);
    *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    expect(prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) == 0 &&
               prctl(PR_SET_SECCOMP, (long)SECCOMP_MODE_FILTER, &program, 0L, 0L) == 0,
           "seccomp");
}

static int exit_status_of(pid_t child)
{
    int status;

    while (waitpid(child, &status, 0) != child)
        expect(errno == EINTR, "waitpid");
    return status;
}

/* The filter is there before the program is, and in its children before they have a thread of the profiler's. */
void part_killed(void)
{
    const struct rlimit no_core = { 0, 0 };
    pid_t child;

    if (storm_scale > 0) {
        expect(setrlimit(RLIMIT_CORE, &no_core) == 0, "setrlimit");
        filter_that_kills();
        (void)execl(self_path, self_path, "killed", "0", storm_module, (char *)NULL);
        expect(false, "exec");
    }
    child = fork();
    if (child == 0)
        _exit(prctl(PR_GET_SECCOMP, 0L, 0L, 0L, 0L) == 0);
    expect(WIFSIGNALED(exit_status_of(child)), "the filter");
    in_threads(churns_a_little);
    child = fork();
    if (child == 0) {
        (void)wait_for_samples();
        _exit(3);
    }
    expect(exit_status_of(child) == 3 << 8, "a child's end");
}

void part_seccomp(void)
{
    uint64_t i;

    filter();
    expect(open("/dev/null", O_RDWR | O_CLOEXEC) < 0 && errno == EPERM, "the filter");
    for (i = 0; i < 5 * storm_scale; i++) {
        in_threads(churns_a_little);
        expect(climb(i, 3000) != 1, "a deep stack");
        (void)mix(i, 3000000);
    }
}
