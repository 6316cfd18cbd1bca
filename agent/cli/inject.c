/* inject.c - which thread, where it stands, and what it does for us.
 *
 * The thread we borrow calls pthread_create() and nothing else.  That needs the allocator, a lock of stacks and one of
 * thread-local storage, each held for moments by whoever has it, all of which run on.  So the thread must not have one
 * itself: it waits in the kernel in a call that nobody makes who has, or runs code of neither libc, the loader nor an
 * allocator; and it is in no signal handler, which may have come at any point.  dlopen(), which may wait for long, and for
 * locks the thread has, is the new thread's. */
#include "inject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/parse.h"
#include "base/str.h"
#include "inject_stub.h"
#include "tracee.h"

#if defined(__x86_64__)

#    define TRY_NS         (INJECT_TRY_S * (uint64_t)SONDE_NS_PER_S)
#    define AGAIN_NS       (20 * (long)SONDE_NS_PER_MS)
#    define THREADS_MAX    4096u
#    define CODE_BYTES     4096u
#    define BLOCK_BYTES    4096u
#    define MAP_BYTES      (64u * 1024) /* code, block, stack */
#    define KNOWN_MAX      256u
#    define STACK_SCAN_MAX (512u * 1024)
#    define GET_RSEQ       0x420f    /* PTRACE_GET_RSEQ_CONFIGURATION */
#    define RTLD_DLOPEN    INT32_MIN /* __RTLD_DLOPEN, for libc's own dlopen() of before 2.34 */

typedef struct injection {
    const target *target;
    const inject_request *request;
    sonde_attach_block block;
    uint64_t call_at; /* a system call instruction */
    tracee *tracee;
    char *why;
    bool is_final; /* no other thread would do better */
    struct {
        const target_mapping *mapping;
        bool is_harmless;
    } known[KNOWN_MAX]; /* code that threads were in */
    size_t known_len;
    const target_mapping *unknown;
} injection;

#    define FAIL(i, ...)                                                                           \
        do {                                                                                       \
            (void)snprintf((i)->why, TARGET_WHY, __VA_ARGS__);                                     \
            (i)->is_final = true;                                                                  \
            return false;                                                                          \
        } while (0)

/* ---- functions of the process ---- */

static uint64_t find_in(const target *t, const char *object, const char *function)
{
    target_object o;
    uint64_t at = 0;

    if (target_object_named(t, object, &o) == SONDE_OK)
        at = sonde_elf_function(&o.image, function);
    target_object_done(&o);
    return at;
}

/* Of the C library, in the files it has had over time. */
static uint64_t find_function(const target *t, const char *function)
{
    static const char *const objects[] = { "libc.so.6",     "libc-2.",    "libpthread.so.0",
                                           "libpthread-2.", "libdl.so.2", "libdl-2." };
    uint64_t at = 0;

    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]) && !at; i++)
        at = find_in(t, objects[i], function);
    return at;
}

static uint64_t find_call(const target *t)
{
    uint64_t from = find_function(t, "getpid");
    unsigned char code[64];

    if (!from || !target_read(t, from, code, sizeof(code)))
        return 0;
    for (size_t i = 0; i + 1 < sizeof(code); i++)
        if (code[i] == 0x0f && code[i + 1] == 0x05)
            return from + i;
    return 0;
}

static bool find_functions(injection *i)
{
    const target *t = i->target;
    sonde_attach_block *b = &i->block;

    b->pthread_create = find_function(t, "pthread_create");
    b->pthread_self = find_function(t, "pthread_self");
    b->pthread_detach = find_function(t, "pthread_detach");
    b->munmap = find_function(t, "munmap");
    b->dlopen = find_function(t, "dlopen");
    b->dlsym = find_function(t, "dlsym");
    b->dlerror = find_function(t, "dlerror");
    b->flags = 2; /* RTLD_NOW, and RTLD_LOCAL */
    if (!b->dlopen || !b->dlsym) {
        b->dlopen = find_function(t, "__libc_dlopen_mode");
        b->dlsym = find_function(t, "__libc_dlsym");
        b->dlerror = 0;
        b->flags |= RTLD_DLOPEN;
    }
    i->call_at = find_call(t);
    if (!b->pthread_create || !b->pthread_self || !b->pthread_detach)
        FAIL(i,
             "process %d has no threads, with a C library of before 2.34: start it anew with "
             "`sonde run --profile`",
             (int)t->pid);
    if (!b->dlopen || !b->dlsym || !b->munmap || !i->call_at)
        FAIL(i,
             "the C library of process %d is one this command does not know: start it anew with "
             "`sonde run --profile`",
             (int)t->pid);
    return true;
}

/* A profiler that is in it already is asked, whoever brought it. */
static bool find_library(injection *i)
{
    target_object o;
    sonde_status status = target_object_named(i->target, "libsonde-profiler.so", &o);

    if (status == SONDE_OK)
        i->block.attach = sonde_elf_function(&o.image, SONDE_ATTACH_ENTRY);
    target_object_done(&o);
    if (status == SONDE_OK && !i->block.attach)
        FAIL(i, "process %d has a profiler of another version: start it anew", (int)i->target->pid);
    return true;
}

/* ---- where a thread stands ---- */

/* What /proc/PID/task/TID/syscall says: the number, -1 for none, -2 for a thread that runs. */
static long call_of(pid_t pid, pid_t tid, uint64_t args[6])
{
    char path[64], text[256] = "";
    sonde_str rest, word;
    int64_t number = -1;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    if (strncmp(text, "running", 7) == 0)
        return -2;
    rest = sonde_str_from(text);
    word = sonde_str_cut(&rest, ' ');
    if (sonde_parse_i64(word, &number) != SONDE_OK)
        return -1;
    for (size_t i = 0; i < 6; i++) { /* "0x..." */
        word = sonde_str_cut(&rest, ' ');
        args[i] = 0;
        (void)sonde_hex_parse_u64(sonde_str_sub(word, 2, word.len), 0, &args[i]);
    }
    return (long)number;
}

/* Calls threads wait in that hold none of the locks in question; the kernel begins them anew as if nothing had been. */
static bool waits_well(long number, uint64_t futex_operation)
{
    static const long calls[] = { SYS_nanosleep,     SYS_clock_nanosleep, SYS_poll,
                                  SYS_ppoll,         SYS_select,          SYS_pselect6,
                                  SYS_wait4,         SYS_waitid,          SYS_pause,
                                  SYS_rt_sigsuspend, SYS_accept,          SYS_accept4,
                                  SYS_read,          SYS_readv,           SYS_recvfrom,
                                  SYS_recvmsg,       SYS_restart_syscall };

    /* For conditions, semaphores and the end of threads; libc's own locks are waited for without a bit set. */
    if (number == SYS_futex)
        return ((int)futex_operation & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (calls[i] == number)
            return true;
    return false;
}

/* The same, but the kernel would say EINTR: we begin them anew, and a time-out with them. */
static bool waits_so_so(long number)
{
    return number == SYS_epoll_wait || number == SYS_epoll_pwait || number == SYS_epoll_pwait2 ||
           number == SYS_rt_sigtimedwait;
}

/* Where a signal handler returns to: `mov $15, %rax` or %eax, `syscall`. */
static bool is_signal_return(const target *t, uint64_t address)
{
    static const unsigned char wide[] = { 0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05 };
    static const unsigned char narrow[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 };
    const target_mapping *m = target_find(t, address);
    unsigned char there[sizeof(wide)];

    return m && m->is_executable && target_read(t, address, there, sizeof(there)) &&
           (memcmp(there, wide, sizeof(wide)) == 0 || memcmp(there, narrow, sizeof(narrow)) == 0);
}

/* Any word on its stack that would be one counts, also one left from before: then it is not this thread. */
static bool is_in_handler(const target *t, uint64_t sp)
{
    uint64_t words[512], left = STACK_SCAN_MAX;

    sp &= ~UINT64_C(7);
    while (left > 0) {
        ssize_t n = pread(t->memory, words, sizeof(words), (off_t)sp);

        if (n < (ssize_t)sizeof(words[0]))
            return false; /* its end */
        for (size_t i = 0; i < (size_t)n / sizeof(words[0]); i++)
            if (words[i] > 4096 && words[i] >> 47 == 0 && is_signal_return(t, words[i]))
                return true;
        sp += (uint64_t)n;
        left -= (uint64_t)n < left ? (uint64_t)n : left;
    }
    return false;
}

/* Not the C library, the loader, us, or whoever defines malloc() or may be called by those who do. */
static bool is_harmless_object(const target *t, const target_mapping *m)
{
    static const char *const others[] = { "ld-",        "ld.so",     "libc.so", "libc-2.",
                                          "libpthread", "libdl.",    "libdl-",  "libgcc_s.",
                                          "libsonde-",  "libm.so",   "libm-2.", "libmvec",
                                          "librt",      "libstdc++", "libc++",  "libunwind",
                                          "liblzma" };
    target_object o;
    bool ok;

    if (m->path[0] != '/' || strstr(m->path, "malloc"))
        return false;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (target_is_named(m, others[i]))
            return false;
    ok = target_object_at(t, m->lo, &o) == SONDE_OK && !sonde_elf_function(&o.image, "malloc") &&
         !sonde_elf_function(&o.image, "free");
    target_object_done(&o);
    return ok;
}

/* An object is looked at when no thread waits for that, so of a new one nothing is known the first time. */
static bool is_harmless_code(injection *i, uint64_t pc)
{
    const target_mapping *m = target_find(i->target, pc);

    if (!m || !m->is_executable)
        return false;
    for (size_t k = 0; k < i->known_len; k++)
        if (i->known[k].mapping == m)
            return i->known[k].is_harmless;
    i->unknown = m;
    return false;
}

static void look_at_unknown(injection *i)
{
    if (i->unknown && i->known_len < KNOWN_MAX) {
        i->known[i->known_len].mapping = i->unknown;
        i->known[i->known_len++].is_harmless = is_harmless_object(i->target, i->unknown);
    }
    i->unknown = NULL;
}

/* In the middle of instructions that have to be done at one go: going away begins them anew, with what we left. */
static bool is_in_restartable_sequence(const target *t, pid_t tid)
{
    struct { /* the kernel's ptrace_rseq_configuration */
        uint64_t area;
        uint32_t bytes, signature, flags, pad;
    } c = { 0 };
    uint64_t sequence = 0;

    if (ptrace((enum __ptrace_request)GET_RSEQ, tid, (void *)sizeof(c), &c) <= 0)
        return false; /* a kernel without, or a thread without */
    return c.area && target_read(t, c.area + 8, &sequence, sizeof(sequence)) && sequence != 0;
}

static bool stands_well(injection *i)
{
    const tracee *e = i->tracee;
    long number = (long)e->was.orig_rax;
    bool waits = number >= 0 && (waits_well(number, e->was.rsi) || waits_so_so(number));

    if (!waits &&
        (!is_harmless_code(i, e->was.rip) || is_in_restartable_sequence(i->target, e->tid)))
        return false;
    return !is_in_handler(i->target, e->was.rsp);
}

/* ---- what it does for us ---- */

static int64_t call(injection *i, long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                    uint64_t e)
{
    const uint64_t args[6] = { a, b, c, d, e, 0 };

    return tracee_call(i->tracee, i->call_at, number, args);
}

static bool copy_file(const char *from, int to)
{
    char bytes[65536];
    int fd = open(from, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;

    while (n > 0) {
        n = read(fd, bytes, sizeof(bytes));
        if (n > 0 && write(to, bytes, (size_t)n) != n)
            n = -1;
    }
    if (fd >= 0)
        (void)close(fd);
    return n == 0;
}

/* The number was of our file when we had it made; the process may have put anything else there since. */
static bool is_new_memory_file(int fd)
{
    struct stat s;

    return fstat(fd, &s) == 0 && s.st_nlink == 0 && s.st_size == 0 && fcntl(fd, F_GET_SEALS) >= 0;
}

/* A file in its memory with a copy of the library; its name is in the mapping. */
static bool bring_copy(injection *i, uint64_t name_at)
{
    char path[64];
    int64_t number = call(i, SYS_memfd_create, name_at, MFD_CLOEXEC, 0, 0, 0);
    bool ok;
    int fd;

    if (number < 0)
        FAIL(i, "process %d may not have files in memory (%s), and cannot see %s",
             (int)i->target->pid, strerror((int)-number), i->request->library);
    i->block.library_fd = (int32_t)number;
    (void)snprintf(i->block.library, sizeof(i->block.library), "/proc/self/fd/%d", (int)number);
    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)i->target->pid, (int)number);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ok = fd >= 0 && is_new_memory_file(fd) && copy_file(i->request->library, fd);
    if (fd >= 0)
        (void)close(fd);
    if (!ok)
        FAIL(i, "the library cannot be copied into process %d: %s", (int)i->target->pid,
             strerror(errno));
    return true;
}

static bool fill(injection *i, uint64_t map)
{
    const target *t = i->target;
    size_t code_len = (size_t)(inject_stub_end - inject_stub_begin);
    static const char name[] = "libsonde-profiler.so";
    uint64_t block = map + CODE_BYTES;

    i->block.map = map;
    i->block.map_bytes = MAP_BYTES;
    if (!i->block.attach && i->request->copies &&
        (!target_write(t, block, name, sizeof(name)) || !bring_copy(i, block)))
        return false;
    if (!target_write(t, map, inject_stub_begin, code_len) ||
        !target_write(t, block, &i->block, sizeof(i->block)))
        FAIL(i, "the memory of process %d cannot be written: %s", (int)t->pid, strerror(errno));
    if (call(i, SYS_mprotect, map, CODE_BYTES, PROT_READ | PROT_EXEC, 0, 0) != 0)
        FAIL(i,
             "process %d may not run code from memory (SELinux's execmem, or W^X): start it anew "
             "with "
             "`sonde run --profile`",
             (int)t->pid);
    return true;
}

/* The thread is there, or was not to be had. */
static bool start_thread(injection *i, uint64_t map)
{
    uint64_t created = map + (uint64_t)(inject_stub_created - inject_stub_begin);
    tracee_result result =
        tracee_run(i->tracee, map, created, map + CODE_BYTES, map + MAP_BYTES - 64);
    int32_t error = 0;

    if (result == TRACEE_OK &&
        target_read(i->target, map + CODE_BYTES + offsetof(sonde_attach_block, created), &error,
                    sizeof(error)) &&
        error == 0)
        return true;
    FAIL(i, "process %d could not start a thread: %s", (int)i->target->pid,
         result == TRACEE_GONE ? "it has ended"
         : error               ? strerror(error)
                               : "a fault");
}

/* Gives everything back when it does not work. */
static bool work(injection *i, uint64_t *out_block)
{
    int64_t map = call(i, SYS_mmap, 0, MAP_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1);

    if (map < 0 && map > -4096)
        FAIL(i, "process %d has no memory left for the profiler: %s", (int)i->target->pid,
             strerror((int)-map));
    if (fill(i, (uint64_t)map) && start_thread(i, (uint64_t)map)) {
        *out_block = (uint64_t)map + CODE_BYTES;
        return true;
    }
    if (i->block.library_fd >= 0)
        (void)call(i, SYS_close, (uint64_t)i->block.library_fd, 0, 0, 0, 0);
    (void)call(i, SYS_munmap, (uint64_t)map, MAP_BYTES, 0, 0, 0);
    return false;
}

/* ---- looking for one ---- */

/* False: not this one, or (is_final) none. */
static bool try_thread(injection *i, pid_t tid, uint64_t *out_block)
{
    bool ok = false;

    switch (tracee_stop(i->tracee, tid)) {
    case TRACEE_OK:
        break;
    case TRACEE_REFUSED:
        FAIL(i,
             "process %d may not be traced (%s): run this as root; in a container it needs "
             "--cap-add=SYS_PTRACE",
             (int)i->target->pid, strerror(errno));
    case TRACEE_HALTED:
        FAIL(i, "process %d was stopped by a signal: continue it first (kill -CONT %d)",
             (int)i->target->pid, (int)i->target->pid);
    default:
        return false;
    }
    if (stands_well(i) && tracee_borrow(i->tracee))
        ok = work(i, out_block);
    tracee_release(i->tracee);
    look_at_unknown(i);
    return ok;
}

/* Threads of ours have files of their own; those of the kernel are no threads of the program. */
static bool is_of_the_program(pid_t pid, pid_t tid)
{
    static const char *const others[] = { "sonde-", "iou-", "vhost-" };
    char path[64], name[32] = "";
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    (void)!read(fd, name, sizeof(name) - 1);
    (void)close(fd);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strncmp(name, others[i], strlen(others[i])) == 0)
            return false;
    return true;
}

enum order { WAITS_WELL, RUNS, WAITS_SO_SO, ORDERS };

static bool is_of_order(pid_t pid, pid_t tid, enum order order)
{
    uint64_t args[6] = { 0 };
    long number = call_of(pid, tid, args);

    return order == WAITS_WELL ? waits_well(number, args[1])
           : order == RUNS     ? number == -2
                               : waits_so_so(number);
}

static size_t read_threads(pid_t pid, pid_t *out)
{
    struct dirent *entry;
    char path[48];
    size_t len = 0;
    uint64_t tid;
    DIR *tasks;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    while (tasks && len < THREADS_MAX && (entry = readdir(tasks)) != NULL)
        if (sonde_parse_u64(sonde_str_from(entry->d_name), &tid) == SONDE_OK)
            out[len++] = (pid_t)tid;
    if (tasks)
        (void)closedir(tasks);
    return len;
}

/* Those first that notice least. */
static bool try_all(injection *i, const pid_t *tids, size_t len, uint64_t *out_block)
{
    for (int order = 0; order < ORDERS; order++)
        for (size_t k = 0; k < len && !i->is_final; k++)
            if (is_of_the_program(i->target->pid, tids[k]) &&
                is_of_order(i->target->pid, tids[k], (enum order)order) &&
                try_thread(i, tids[k], out_block))
                return true;
    return false;
}

static bool try_until(injection *i, uint64_t until_ns, uint64_t *out_block)
{
    const struct timespec pause = { 0, AGAIN_NS };
    pid_t *tids = sonde_calloc(THREADS_MAX, sizeof(*tids));
    bool ok = false;
    size_t len;

    while (tids && !i->is_final) {
        len = read_threads(i->target->pid, tids);
        if (len == 0)
            (void)snprintf(i->why, TARGET_WHY, "process %d has ended", (int)i->target->pid);
        ok = len > 0 && try_all(i, tids, len, out_block);
        if (ok || len == 0 || sonde_mono_ns() >= until_ns)
            break;
        (void)nanosleep(&pause, NULL);
    }
    sonde_free(tids);
    return ok;
}

bool inject(const target *t, const inject_request *r, uint64_t *out_block, char why[TARGET_WHY])
{
    injection i = { .target = t, .request = r, .why = why };
    bool ok = false;

    i.block.magic = SONDE_ATTACH_MAGIC;
    i.block.version = SONDE_ATTACH_VERSION;
    i.block.library_fd = -1;
    (void)snprintf(i.block.symbol, sizeof(i.block.symbol), SONDE_ATTACH_ENTRY);
    (void)snprintf(i.block.library, sizeof(i.block.library), "%s", r->library);
    (void)snprintf(why, TARGET_WHY,
                   "no thread of process %d was found in %u s at a point where another one can be "
                   "started safely; try again, or start it anew with `sonde run --profile`",
                   (int)t->pid, INJECT_TRY_S);
    if (r->settings_len >= sizeof(i.block.settings) ||
        strlen(r->library) >= sizeof(i.block.library)) {
        (void)snprintf(why, TARGET_WHY, "the library's path is too long");
        return false;
    }
    memcpy(i.block.settings, r->settings, r->settings_len);
    i.tracee = sonde_calloc(1, sizeof(*i.tracee));
    if (i.tracee && find_functions(&i) && find_library(&i))
        ok = try_until(&i, sonde_mono_ns() + TRY_NS, out_block);
    sonde_free(i.tracee);
    return ok;
}

#else

bool inject(const target *t, const inject_request *r, uint64_t *out_block, char why[TARGET_WHY])
{
    (void)r;
    (void)out_block;
    (void)snprintf(
        why, TARGET_WHY,
        "processes that run are profiled on x86-64 only so far: start process %d anew with "
        "`sonde run --profile`",
        (int)t->pid);
    return false;
}

#endif
