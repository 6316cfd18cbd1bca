/* attached.c - what is said and read through the block in the process. */
#include "attached.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define BEGIN_NS (20 * (uint64_t)SONDE_NS_PER_S) /* for the loader, which others may keep busy */
#define END_NS   (10 * (uint64_t)SONDE_NS_PER_S)
#define LOOK_NS  (10 * (long)SONDE_NS_PER_MS)

#define FIELD(a, field) ((a)->block + offsetof(sonde_attach_block, field))

/* ---- the block ---- */

static bool read_state(const attached *a, uint32_t *out)
{
    return target_read(&a->target, FIELD(a, state), out, sizeof(*out));
}

/* When it has not heard from us for long it has unmapped the block, and there may be anything now. */
static bool is_ours(const attached *a)
{
    uint32_t now[2]; /* beat, magic */

    _Static_assert(offsetof(sonde_attach_block, magic) == offsetof(sonde_attach_block, beat) + 4,
                   "one behind the other");
    return target_read(&a->target, FIELD(a, beat), now, sizeof(now)) && now[0] == a->beat &&
           now[1] == SONDE_ATTACH_MAGIC;
}

static void ask(const attached *a, uint32_t what)
{
    if (is_ours(a))
        (void)target_write(&a->target, FIELD(a, ask), &what, sizeof(what));
}

bool attached_beat(attached *a)
{
    uint32_t state;

    if (!is_ours(a))
        return false;
    a->beat++;
    return target_write(&a->target, FIELD(a, beat), &a->beat, sizeof(a->beat)) &&
           read_state(a, &state) && state == SONDE_ATTACH_RUNNING;
}

/* The first state that is neither of these; SONDE_ATTACH_NONE: the process is over, or it takes too long. */
static uint32_t await_other(attached *a, uint32_t one, uint32_t other, uint64_t until_ns)
{
    const struct timespec pause = { 0, LOOK_NS };
    uint32_t state = SONDE_ATTACH_NONE;

    while (read_state(a, &state) && (state == one || state == other)) {
        if (sonde_mono_ns() >= until_ns)
            return SONDE_ATTACH_NONE;
        (void)nanosleep(&pause, NULL);
    }
    return state == one || state == other ? SONDE_ATTACH_NONE : state;
}

/* ---- where files are ---- */

/* Links in the process's root lead nowhere else. */
static int open_folder(const attached *a, const char *name)
{
    struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
    char path[48];
    int root, fd;

    if (a->target.is_same_root)
        return open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof(path), "/proc/%d/root", (int)a->target.pid);
    root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -1;
    fd = (int)syscall(SYS_openat2, root, name, &how, sizeof(how));
    (void)close(root);
    return fd;
}

/* Some file systems count no files. */
static bool has_room(int folder)
{
    struct statvfs v;

    return fstatvfs(folder, &v) != 0 || v.f_files == 0 || v.f_favail > 2;
}

/* A folder of the process's that we can write to. */
static bool find_place(attached *a)
{
    static const char *const folders[] = { "/tmp", "/run", "/var/tmp", "/dev/shm" };

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        a->folder = open_folder(a, folders[i]);
        (void)snprintf(a->base, sizeof(a->base), "/proc/self/fd/%d", a->folder);
        a->there = folders[i];
        if (a->folder >= 0 && access(a->base, W_OK | X_OK) == 0 && has_room(a->folder))
            return true;
        if (a->folder >= 0)
            (void)close(a->folder);
        a->folder = -1;
    }
    (void)snprintf(
        a->why, sizeof(a->why),
        "process %d has no folder for a socket that we can write to (/tmp, /run, /var/tmp, "
        "/dev/shm)",
        (int)a->target.pid);
    return false;
}

collector_place attached_place(const attached *a)
{
    return (collector_place){ .base = a->base,
                              .there = a->there,
                              .uid = (uint32_t)a->target.uid,
                              .gid = (uint32_t)a->target.gid };
}

/* Everybody may open it, and all folders on the way. */
static bool is_open_to_all(const char *path)
{
    char part[512];
    struct stat s;

    (void)snprintf(part, sizeof(part), "%s", path);
    if (stat(part, &s) != 0 || !(s.st_mode & S_IROTH))
        return false;
    for (char *slash = strrchr(part, '/'); slash && slash != part; slash = strrchr(part, '/')) {
        *slash = '\0';
        if (stat(part, &s) != 0 || !(s.st_mode & S_IXOTH))
            return false;
    }
    return true;
}

static bool sees(const attached *a, const char *library)
{
    return a->target.is_same_root && strlen(library) < 512 &&
           (a->target.uid == geteuid() || a->target.uid == 0 || is_open_to_all(library));
}

/* ---- all of it ---- */

bool attached_open(attached *a, pid_t pid, bool trusts_seccomp)
{
    const target_options o = { .trusts_seccomp = trusts_seccomp };

    *a = (attached){ .folder = -1 };
    return target_open(&a->target, pid, &o, a->why) && find_place(a);
}

void attached_close(attached *a)
{
    target_close(&a->target);
    if (a->folder >= 0)
        (void)close(a->folder);
    a->folder = -1;
}

static void explain(attached *a, uint32_t state)
{
    char message[sizeof(((sonde_attach_block *)0)->message)] = "";

    (void)target_read(&a->target, FIELD(a, message), message, sizeof(message));
    message[sizeof(message) - 1] = '\0';
    if (state == SONDE_ATTACH_REFUSED)
        (void)snprintf(a->why, sizeof(a->why), "process %d is not profiled: %s", (int)a->target.pid,
                       message[0] ? message : "its profiler is of another version");
    else if (state == SONDE_ATTACH_FAILED)
        (void)snprintf(a->why, sizeof(a->why), "the profiler cannot be loaded into process %d: %s",
                       (int)a->target.pid, message);
    else
        (void)snprintf(a->why, sizeof(a->why),
                       "process %d has ended, or its loader was busy for %u s: try again",
                       (int)a->target.pid, (unsigned)(BEGIN_NS / SONDE_NS_PER_S));
}

bool attached_begin(attached *a, const char *library, const char *settings, size_t settings_len)
{
    const inject_request r = { .library = library,
                               .copies = !sees(a, library),
                               .settings = settings,
                               .settings_len = settings_len };
    uint32_t state;

    if (!inject(&a->target, &r, &a->block, a->why))
        return false;
    state = await_other(a, SONDE_ATTACH_NONE, SONDE_ATTACH_THREAD, sonde_mono_ns() + BEGIN_NS);
    if (state == SONDE_ATTACH_RUNNING)
        return true;
    explain(a, state);
    ask(a, SONDE_ATTACH_LEAVE); /* also one that comes to itself later */
    return false;
}

void attached_end(attached *a)
{
    ask(a, SONDE_ATTACH_END);
    (void)await_other(a, SONDE_ATTACH_RUNNING, SONDE_ATTACH_RUNNING, sonde_mono_ns() + END_NS);
    ask(a, SONDE_ATTACH_LEAVE);
}
