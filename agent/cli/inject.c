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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
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
#    define NEXT_WAIT_NS   (UINT64_C(2) * SONDE_NS_PER_S)
#    define THREADS_MAX    4096u
#    define CODE_BYTES     4096u
#    define BLOCK_BYTES    4096u
#    define MAP_BYTES      (80u * 1024) /* code, block, vector registers, stack */
#    define CREATE_NS      (5 * (uint64_t)SONDE_NS_PER_S)
#    define CREATE_LOOK_NS (SONDE_NS_PER_MS / 20)
#    define KNOWN_MAX      256u
#    define STACK_SCAN_MAX (512u * 1024)
#    define GET_RSEQ       0x420f    /* PTRACE_GET_RSEQ_CONFIGURATION */
#    define RTLD_DLOPEN    INT32_MIN /* __RTLD_DLOPEN, for libc's own dlopen() of before 2.34 */

#    define NOT_CREATED INT32_MIN

typedef struct injection {
    const target *target;
    const inject_request *request;
    sonde_attach_block block;
    uint64_t back_at; /* where a thread's way back has room */
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

/* Between the end of an object's code and the end of its last page, where nothing is. */
static uint64_t find_room_in(const target *t, const target_mapping *m, const target_object *o)
{
    for (uint32_t i = 0; i < o->image.segments_len; i++) {
        uint64_t end = o->image.segments[i].hi + o->image.bias;
        uint64_t from = (end + 15) & ~UINT64_C(15);

        if (end > m->lo && from <= m->hi && m->hi - from >= sizeof(way_back) &&
            target_find(t, from) == m)
            return from;
    }
    return 0;
}

/* For a thread's way back, the C library's first. */
static uint64_t find_room(const target *t)
{
    uint64_t room = 0;

    for (int others = 0; others < 2 && !room; others++)
        for (size_t i = 0; i < t->mappings_len && !room; i++) {
            const target_mapping *m = &t->mappings[i];
            bool is_libc = target_is_named(m, "libc.so") || target_is_named(m, "libc-2.");
            target_object o;

            if (!m->is_executable || m->path[0] != '/' || is_libc == others)
                continue;
            if (target_object_at(t, m->lo, &o) == SONDE_OK)
                room = find_room_in(t, m, &o);
            target_object_done(&o);
        }
    return room;
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
    i->back_at = find_room(t);
    if (!b->pthread_create || !b->pthread_self || !b->pthread_detach)
        FAIL(i,
             "process %d has no threads, with a C library of before 2.34: start it anew with "
             "`sonde run --profile`",
             (int)t->pid);
    if (!b->dlopen || !b->dlsym || !b->munmap)
        FAIL(i,
             "the C library of process %d is one this command does not know: start it anew with "
             "`sonde run --profile`",
             (int)t->pid);
    if (!i->back_at)
        FAIL(i,
             "no object in process %d leaves room behind its code: start it anew with `sonde run "
             "--profile`",
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
static bool is_begun_anew(long number)
{
    return number == SYS_epoll_wait || number == SYS_epoll_pwait || number == SYS_epoll_pwait2 ||
           number == SYS_rt_sigtimedwait;
}

/* Without a time-out that is no difference. */
static bool has_time_out(long number, const uint64_t args[6])
{
    return number == SYS_rt_sigtimedwait ? args[2] != 0
           : number == SYS_epoll_pwait2  ? args[3] != 0
                                         : (int32_t)args[3] > 0;
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
    bool waits = number >= 0 && (waits_well(number, e->was.rsi) || is_begun_anew(number));

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

    return tracee_call(i->tracee, number, args);
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
    uint64_t block = map + CODE_BYTES, back[2];

    i->block.map = map;
    i->block.map_bytes = MAP_BYTES;
    if (!i->block.attach && i->request->copies &&
        (!target_write(t, block, name, sizeof(name)) || !bring_copy(i, block)))
        return false;
    back[1] = tracee_way_back(i->tracee, &back[0]);
    if (!target_write(t, map, inject_stub_begin, code_len) ||
        !target_write(t, block, &i->block, sizeof(i->block)) ||
        !target_write(t, block + INJECT_STUB_FLAGS, back, sizeof(back)) ||
        !target_write(t, block + INJECT_STUB_STATE, i->tracee->state, i->tracee->state_len))
        FAIL(i, "the memory of process %d cannot be written: %s", (int)t->pid, strerror(errno));
    if (call(i, SYS_mprotect, map, CODE_BYTES, PROT_READ | PROT_EXEC, 0, 0) != 0)
        FAIL(i,
             "process %d may not run code from memory (SELinux's execmem, or W^X): start it anew "
             "with "
             "`sonde run --profile`",
             (int)t->pid);
    return true;
}

/* What pthread_create() said; NOT_CREATED: it has not returned. */
static int32_t await_created(injection *i, uint64_t block)
{
    const struct timespec pause = { 0, CREATE_LOOK_NS };
    uint64_t until = sonde_mono_ns() + CREATE_NS;
    int32_t created = NOT_CREATED;

    while (target_read(i->target, block + offsetof(sonde_attach_block, created), &created,
                       sizeof(created)) &&
           created == NOT_CREATED && tracee_runs(i->tracee) && sonde_mono_ns() < until)
        (void)nanosleep(&pause, NULL);
    return created;
}

/* The thread is there, or was not to be had. */
static bool start_thread(injection *i, uint64_t map)
{
    uint64_t waits = map + (uint64_t)(inject_stub_waits - inject_stub_begin);
    uint64_t leaves = map + (uint64_t)(inject_stub_leaves - inject_stub_begin);
    int32_t created = NOT_CREATED;
    tracee_result result = TRACEE_GONE;

    if (tracee_start(i->tracee, map, map + CODE_BYTES, map + MAP_BYTES - 64)) {
        created = await_created(i, map + CODE_BYTES);
        result = tracee_take_back(i->tracee, waits, leaves);
    }
    if (created == 0)
        return true;
    FAIL(i, "process %d could not start a thread: %s", (int)i->target->pid,
         created != NOT_CREATED     ? strerror(created)
         : result == TRACEE_REFUSED ? "a fault"
                                    : "it has ended, or was stopped");
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
    if (!i->tracee->is_saved)
        return false; /* it went back alone, and what we left may be used yet */
    if (i->block.library_fd >= 0)
        (void)call(i, SYS_close, (uint64_t)i->block.library_fd, 0, 0, 0, 0);
    (void)call(i, SYS_munmap, (uint64_t)map, MAP_BYTES, 0, 0, 0);
    return false;
}

/* ---- looking for one ---- */

/* False: not this one, or (is_final) none. */
static bool try_thread(injection *i, pid_t tid, uint64_t *out_block)
{
    const uint32_t go = 1;
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
    if (stands_well(i) && tracee_borrow(i->tracee, i->back_at))
        ok = work(i, out_block);
    tracee_release(i->tracee);
    if (ok) /* not before: signals of a profiler that runs would end the call it waits in */
        (void)target_write(i->target, *out_block + INJECT_STUB_GO, &go, sizeof(go));
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

static enum order order_of(pid_t pid, pid_t tid)
{
    uint64_t args[6] = { 0 };
    long number = call_of(pid, tid, args);

    if (number == -2)
        return RUNS;
    if (!is_begun_anew(number))
        return waits_well(number, args[1]) ? WAITS_WELL : ORDERS;
    return has_time_out(number, args) ? WAITS_SO_SO : WAITS_WELL;
}

/* As ps says it: 'S' sleeps, 'R' runs, 'D' cannot be stopped. */
static char state_of(pid_t tid)
{
    char state[32] = "";

    (void)target_status(tid, "State", state, sizeof(state));
    return state[0];
}

/* A time-out that begins anew is little longer when it has just begun: the time to come. */
static void await_next_wait(pid_t tid, uint64_t until_ns)
{
    static const char sleeps[] = "voluntary_ctxt_switches";
    const struct timespec pause = { 0, SONDE_NS_PER_MS };
    uint64_t before = target_status_number(tid, sleeps);

    do
        (void)nanosleep(&pause, NULL);
    while ((target_status_number(tid, sleeps) == before || state_of(tid) == 'R') &&
           sonde_mono_ns() < until_ns);
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
    pid_t pid = i->target->pid;

    for (int order = 0; order < ORDERS; order++)
        for (size_t k = 0; k < len && !i->is_final; k++) {
            if (!is_of_the_program(pid, tids[k]) || (int)order_of(pid, tids[k]) != order)
                continue;
            if (order == WAITS_SO_SO)
                await_next_wait(tids[k], sonde_mono_ns() + NEXT_WAIT_NS);
            if (state_of(tids[k]) != 'D' && try_thread(i, tids[k], out_block))
                return true;
        }
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

/* One of these commands at a time, for a way back's place; -1: nobody else can be seen. */
static int lock_process(pid_t pid)
{
    char path[48];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)flock(fd, LOCK_EX);
    return fd;
}

/* Whoever stops us with a key does not stop the process. */
static bool try_alone(injection *i, uint64_t *out_block)
{
    sigset_t stops, before;
    int lock = lock_process(i->target->pid);
    bool ok;

    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGTSTP);
    (void)sigaddset(&stops, SIGTTOU);
    (void)sigprocmask(SIG_BLOCK, &stops, &before);
    ok = try_until(i, sonde_mono_ns() + TRY_NS, out_block);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (lock >= 0)
        (void)close(lock);
    return ok;
}

bool inject(const target *t, const inject_request *r, uint64_t *out_block, char why[TARGET_WHY])
{
    injection i = { .target = t, .request = r, .why = why };
    bool ok = false;

    i.block.magic = SONDE_ATTACH_MAGIC;
    i.block.version = SONDE_ATTACH_VERSION;
    i.block.library_fd = -1;
    i.block.created = NOT_CREATED;
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
        ok = try_alone(&i, out_block);
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
