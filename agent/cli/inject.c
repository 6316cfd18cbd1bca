/* inject.c - which thread, and what it does for us.
 *
 * The thread we borrow calls pthread_create() and nothing else, where it can (stand.h).  dlopen(), which may wait for long,
 * and for locks the thread has, is the new thread's. */
#include "inject.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/parse.h"
#include "base/str.h"
#include "inject_stub.h"
#include "stand.h"
#include "tracee.h"

#if defined(__x86_64__)

#    define TRY_NS         (INJECT_TRY_S * (uint64_t)SONDE_NS_PER_S)
#    define AGAIN_NS       (20 * (long)SONDE_NS_PER_MS)
#    define NEXT_WAIT_NS   (UINT64_C(2) * SONDE_NS_PER_S)
#    define THREADS_MAX    4096u
#    define CODE_BYTES     4096u
#    define MAP_BYTES      (80u * 1024) /* code, block, vector registers, stack */
#    define CREATE_NS      (60 * (uint64_t)SONDE_NS_PER_S) /* it runs: on a busy machine when it can */
#    define CREATE_LOOK_NS (SONDE_NS_PER_MS / 20)
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
    stand stand;
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
                                    : "it has ended, was stopped, or does not come to it");
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

/* One that was not told for too long has gone, and there may be anything in its place. */
static void let_begin(const target *t, uint64_t block)
{
    const uint32_t go = 1;
    uint32_t magic = 0;

    if (target_read(t, block + offsetof(sonde_attach_block, magic), &magic, sizeof(magic)) &&
        magic == SONDE_ATTACH_MAGIC)
        (void)target_write(t, block + INJECT_STUB_GO, &go, sizeof(go));
}

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
    if (stand_is_good(&i->stand, i->tracee) && tracee_borrow(i->tracee, i->back_at))
        ok = work(i, out_block);
    tracee_release(i->tracee);
    if (ok) /* not before: signals of a profiler that runs would end the call it waits in */
        let_begin(i->target, *out_block);
    stand_look_at_unknown(&i->stand);
    return ok;
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

    for (int order = 0; order < STAND_ORDERS; order++)
        for (size_t k = 0; k < len && !i->is_final; k++) {
            if (!stand_is_of_the_program(pid, tids[k]) ||
                (int)stand_order_of(pid, tids[k]) != order)
                continue;
            if (order == STAND_WAITS_SO_SO)
                stand_await_next_wait(tids[k], sonde_mono_ns() + NEXT_WAIT_NS);
            if (stand_can_be_stopped(tids[k]) && try_thread(i, tids[k], out_block))
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

    while (tids && !i->is_final && !target_has_ended(i->target)) {
        len = read_threads(i->target->pid, tids);
        ok = try_all(i, tids, len, out_block);
        if (ok || sonde_mono_ns() >= until_ns)
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
    injection i = { .target = t, .request = r, .why = why, .stand = { .target = t } };
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
    if (!ok && target_has_ended(t))
        (void)snprintf(why, TARGET_WHY, "process %d has ended", (int)t->pid);
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
