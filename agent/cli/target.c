/* target.c - /proc/PID: what the process is, what is mapped, what stands in the way. */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "base/parse.h"
#include "base/str.h"

#define MEMORY_FILE "memfd:" /* as mappings of one are called */

/* ---- memory ---- */

bool target_read(const target *t, uint64_t address, void *out, size_t len)
{
    return pread(t->memory, out, len, (off_t)address) == (ssize_t)len;
}

bool target_write(const target *t, uint64_t address, const void *from, size_t len)
{
    return pwrite(t->memory, from, len, (off_t)address) == (ssize_t)len;
}

/* ---- files of /proc ---- */

bool target_status(pid_t pid, const char *name, char *out, size_t cap)
{
    char path[48], line[256];
    size_t len = strlen(name);
    bool found = false;
    FILE *file;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(out, cap, "%s", line + len + 1 + strspn(line + len + 1, " \t"));
        found = true;
    }
    if (file)
        (void)fclose(file);
    return found;
}

uint64_t target_status_number(pid_t pid, const char *name)
{
    char text[64];
    uint64_t n = 0;

    if (target_status(pid, name, text, sizeof(text)))
        (void)sonde_parse_u64(sonde_str_from(text), &n);
    return n;
}

bool target_has_ended(const target *t)
{
    char state[32] = "";

    return !target_status(t->pid, "State", state, sizeof(state)) || state[0] == 'Z' ||
           state[0] == 'X';
}

/* ---- mappings ---- */

static bool take_hex(sonde_str *rest, char end, uint64_t *out)
{
    return sonde_hex_parse_u64(sonde_str_cut(rest, end), 0, out) == SONDE_OK;
}

/* "lo-hi rwxp offset dev inode   path" */
static bool read_mapping(const char *text, target_mapping *out)
{
    sonde_str rest = sonde_str_from(text), rights;

    if (!take_hex(&rest, '-', &out->lo) || !take_hex(&rest, ' ', &out->hi))
        return false;
    rights = sonde_str_cut(&rest, ' ');
    if (rights.len != 4 || !take_hex(&rest, ' ', &out->offset))
        return false;
    out->is_executable = rights.ptr[2] == 'x';
    (void)sonde_str_cut(&rest, ' ');
    (void)sonde_str_cut(&rest, ' ');
    rest = sonde_str_trim(rest);
    out->path = sonde_strndup(rest.ptr ? rest.ptr : "", rest.len);
    return out->path != NULL;
}

static bool add_mapping(target *t, const target_mapping *m)
{
    size_t cap =
        t->mappings_len & (t->mappings_len - 1) ? 0 : 2 * t->mappings_len + !t->mappings_len;
    target_mapping *more = cap ? sonde_realloc(t->mappings, cap * sizeof(*more)) : t->mappings;

    if (!more)
        return false;
    t->mappings = more;
    t->mappings[t->mappings_len++] = *m;
    return true;
}

static bool read_mappings(target *t)
{
    char path[48], line[PATH_MAX + 128];
    target_mapping m;
    FILE *maps;
    bool ok = true;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)t->pid);
    maps = fopen(path, "re");
    while (maps && ok && t->mappings_len < TARGET_MAPPINGS_MAX && fgets(line, sizeof(line), maps)) {
        line[strcspn(line, "\n")] = '\0';
        if (!read_mapping(line, &m))
            continue;
        ok = add_mapping(t, &m);
        if (!ok)
            sonde_free(m.path);
    }
    if (maps)
        (void)fclose(maps);
    return ok && t->mappings_len > 0;
}

const target_mapping *target_find(const target *t, uint64_t address)
{
    size_t lo = 0, hi = t->mappings_len;

    while (lo < hi) { /* the first that ends behind it */
        size_t mid = lo + (hi - lo) / 2;

        if (t->mappings[mid].hi <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < t->mappings_len && address >= t->mappings[lo].lo ? &t->mappings[lo] : NULL;
}

bool target_is_named(const target_mapping *m, const char *name)
{
    const char *slash = strrchr(m->path, '/'), *its = slash ? slash + 1 : m->path;

    if (strncmp(its, MEMORY_FILE, sizeof(MEMORY_FILE) - 1) == 0)
        its += sizeof(MEMORY_FILE) - 1;
    return strncmp(its, name, strlen(name)) == 0;
}

static bool has_mapped(const target *t, const char *name)
{
    for (size_t i = 0; i < t->mappings_len; i++)
        if (target_is_named(&t->mappings[i], name))
            return true;
    return false;
}

/* ---- objects ---- */

void target_object_done(target_object *o)
{
    sonde_free(o->bytes);
    *o = (target_object){ .bytes = NULL };
}

/* All mappings of the file from its beginning on; anonymous memory between and behind them belongs to it, too. */
static sonde_status copy_object(const target *t, size_t first, target_object *out)
{
    const target_mapping *m = &t->mappings[first];
    size_t last = first, i;

    for (i = first; i < t->mappings_len && t->mappings[i].hi - m->lo <= TARGET_OBJECT_MAX; i++)
        if (strcmp(t->mappings[i].path, m->path) == 0)
            last = i;
        else if (t->mappings[i].path[0])
            break;
    *out = (target_object){ .base = m->lo, .len = t->mappings[last].hi - m->lo };
    out->bytes = sonde_calloc(1, out->len);
    if (!out->bytes)
        return SONDE_ERR_NOMEM;
    for (i = first; i <= last; i++) /* code, and what cannot be read, is a hole */
        if (i == first || !t->mappings[i].is_executable)
            (void)target_read(t, t->mappings[i].lo, out->bytes + (t->mappings[i].lo - m->lo),
                              t->mappings[i].hi - t->mappings[i].lo);
    if (sonde_elf_open_copy(&out->image, out->bytes, out->len, out->base))
        return SONDE_OK;
    target_object_done(out);
    return SONDE_ERR_SYNTAX;
}

sonde_status target_object_named(const target *t, const char *name, target_object *out)
{
    *out = (target_object){ .bytes = NULL };
    for (size_t i = 0; i < t->mappings_len; i++)
        if (t->mappings[i].offset == 0 && target_is_named(&t->mappings[i], name))
            return copy_object(t, i, out);
    return SONDE_ERR_NOT_FOUND;
}

sonde_status target_object_at(const target *t, uint64_t address, target_object *out)
{
    const target_mapping *m = target_find(t, address);

    *out = (target_object){ .bytes = NULL };
    for (size_t i = m && m->path[0] ? (size_t)(m - t->mappings) + 1 : 0; i > 0; i--) {
        if (strcmp(t->mappings[i - 1].path, m->path) != 0)
            break;
        if (t->mappings[i - 1].offset == 0)
            return copy_object(t, i - 1, out);
    }
    return SONDE_ERR_NOT_FOUND;
}

/* ---- what stands in the way ---- */

#define REFUSE(...)                                                                                \
    do {                                                                                           \
        (void)snprintf(why, TARGET_WHY, __VA_ARGS__);                                              \
        return false;                                                                              \
    } while (0)

static bool is_there(target *t, char why[TARGET_WHY])
{
    char state[32] = "", path[48];
    struct stat s;

    (void)snprintf(path, sizeof(path), "/proc/%d", (int)t->pid);
    if (stat(path, &s) != 0 || !target_status(t->pid, "State", state, sizeof(state)))
        REFUSE("there is no process %d", (int)t->pid);
    if (!target_status(t->pid, "Name", t->name, sizeof(t->name)))
        (void)snprintf(t->name, sizeof(t->name), "process");
    t->uid = s.st_uid;
    t->gid = s.st_gid;
    if (target_has_ended(t))
        REFUSE("process %d has ended", (int)t->pid);
    if (target_status_number(t->pid, "Tgid") != (uint64_t)t->pid)
        REFUSE("%d is a thread: say --pid %llu", (int)t->pid,
               (unsigned long long)target_status_number(t->pid, "Tgid"));
    if (t->pid == getpid())
        REFUSE("%d is this command itself", (int)t->pid);
    if (geteuid() != 0 && t->uid != geteuid())
        REFUSE("process %d belongs to another user (%u): profile it as that user, or as root",
               (int)t->pid, (unsigned)t->uid);
    if (state[0] == 'T')
        REFUSE("process %d is stopped: continue it first (kill -CONT %d)", (int)t->pid,
               (int)t->pid);
    return true;
}

static bool is_let_alone(const target *t, const target_options *o, char why[TARGET_WHY])
{
    uint64_t tracer = target_status_number(t->pid, "TracerPid");
    char name[32] = "another process";

    if (tracer) {
        (void)target_status((pid_t)tracer, "Name", name, sizeof(name));
        REFUSE("process %d is traced by %s (%llu): end that first", (int)t->pid, name,
               (unsigned long long)tracer);
    }
    if (target_status_number(t->pid, "Seccomp") == 1)
        REFUSE("process %d may read and write only (seccomp, strict): it cannot be profiled",
               (int)t->pid);
    if (target_status_number(t->pid, "Seccomp") && !o->trusts_seccomp)
        REFUSE(
            "process %d filters its system calls (seccomp), and what the profiler needs could end "
            "it. If its filter allows mmap, clone3, timer_create and sockets, as those of "
            "container engines do, say --trust-seccomp",
            (int)t->pid);
    return true;
}

static bool is_64_bit(pid_t pid)
{
    unsigned char head[5] = "";
    char path[48];
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true; /* gone, or not ours to see: said elsewhere */
    (void)!read(fd, head, sizeof(head));
    (void)close(fd);
    return head[4] != 1;
}

static bool open_memory(target *t, char why[TARGET_WHY])
{
    char path[48], yama[8] = "";
    int fd, error;

    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)t->pid);
    t->memory = open(path, O_RDWR | O_CLOEXEC);
    if (t->memory >= 0)
        return true;
    error = errno;
    if (error == ENOENT || error == ESRCH)
        REFUSE("process %d has no memory to look into: it has ended, or is the kernel's",
               (int)t->pid);
    fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!read(fd, yama, sizeof(yama) - 1);
        (void)close(fd);
    }
    if (yama[0] > '0')
        REFUSE(
            "the system lets nobody but %s look into process %d (kernel.yama.ptrace_scope is %c): "
            "%s",
            yama[0] == '1' ? "its parents and root" : "root", (int)t->pid, yama[0],
            yama[0] == '3' ? "it has to be changed at boot"
                           : "run this as root, or sysctl kernel.yama.ptrace_scope=0 for now");
    REFUSE("process %d may not be looked into (%s): run this as root; in a container it needs "
           "--cap-add=SYS_PTRACE",
           (int)t->pid, strerror(error));
}

static bool is_fit(const target *t, char why[TARGET_WHY])
{
    static const char *const sanitizers[] = { "libasan", "libtsan",   "libmsan",
                                              "liblsan", "libhwasan", "libclang_rt." };

    if (has_mapped(t, "ld-musl-"))
        REFUSE("process %d uses musl, which cannot load the profiler later: start it anew with "
               "LD_PRELOAD and a profiler built for musl",
               (int)t->pid);
    if (!has_mapped(t, "libc.so") && !has_mapped(t, "libc-2."))
        REFUSE("process %d is linked statically: nothing can be loaded into it. Link it against "
               "libsonde-profiler.so and call sonde_prof_start() instead",
               (int)t->pid);
    for (size_t i = 0; i < sizeof(sanitizers) / sizeof(sanitizers[0]); i++)
        if (has_mapped(t, sanitizers[i]))
            REFUSE("process %d runs under a sanitizer (%s): build it without", (int)t->pid,
                   sanitizers[i]);
    return true;
}

static bool has_sanitizer_inside(const target *t)
{
    static const char *const names[] = { "__asan_init", "__tsan_init", "__msan_init",
                                         "__hwasan_init" };
    target_object program;
    bool found = false;

    if (target_object_at(t, t->mappings[0].lo, &program) != SONDE_OK)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        found |= sonde_elf_function(&program.image, names[i]) != 0;
    target_object_done(&program);
    return found;
}

static void look_at_root(target *t)
{
    char path[48], here[64] = "", there[64] = "-";
    struct stat a, b;

    (void)snprintf(path, sizeof(path), "/proc/%d/root", (int)t->pid);
    t->is_same_root =
        stat(path, &a) == 0 && stat("/", &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)t->pid);
    (void)!readlink(path, there, sizeof(there) - 1);
    (void)!readlink("/proc/self/ns/mnt", here, sizeof(here) - 1);
    t->is_same_root = t->is_same_root && strcmp(here, there) == 0;
}

bool target_open(target *t, pid_t pid, const target_options *o, char why[TARGET_WHY])
{
    *t = (target){ .pid = pid, .memory = -1 };
    if (!is_there(t, why) || !is_let_alone(t, o, why))
        return false;
    if (!is_64_bit(pid))
        REFUSE("process %d is a 32-bit program, and there is no profiler for those", (int)pid);
    if (!open_memory(t, why))
        return false;
    if (!read_mappings(t))
        REFUSE("process %d has no memory of its own, or its mappings cannot be read", (int)pid);
    if (!is_fit(t, why))
        return false;
    if (has_sanitizer_inside(t))
        REFUSE("process %d runs under a sanitizer: build it without", (int)pid);
    look_at_root(t);
    return true;
}

void target_close(target *t)
{
    if (t->memory >= 0)
        (void)close(t->memory);
    for (size_t i = 0; i < t->mappings_len; i++)
        sonde_free(t->mappings[i].path);
    sonde_free(t->mappings);
    *t = (target){ .memory = -1 };
}
