/* guard.c - reading the mark, and removing it. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

#define NAME "sonde-crash-"

static pid_t owner; /* a forked child removes nothing */

bool sonde_prof__guard_is_on(const sonde_prof__config *c)
{
    return c->crash_guard == SONDE_PROF__ON || (c->crash_guard == SONDE_PROF__AUTO && c->crash);
}

/* -- the file --------------------------------------------------------------------------------------- */

static bool is_ours_alone(const char *folder)
{
    struct stat st;

    return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* False: there is none that can be trusted. */
static bool find_folder(sonde_buf *out)
{
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");

    if (runtime && runtime[0] == '/' && is_ours_alone(runtime)) {
        sonde_buf_append_str(out, sonde_str_from(runtime));
        return true;
    }
    sonde_buf_printf(out, "/tmp/sonde-%u", (unsigned)geteuid());
    sonde_buf_append_byte(out, 0);
    if (out->status != SONDE_OK)
        return false;
    out->len--;
    if (mkdir((const char *)out->data, 0700) != 0 && errno != EEXIST)
        return false;
    return is_ours_alone((const char *)out->data);
}

static uint64_t name_of(const sonde_prof__config *c)
{
    return sonde_hash(sonde_hash(0, c->exe.ptr, c->exe.len), c->service.ptr, c->service.len);
}

static bool find_path(const sonde_prof__config *c, char *out, size_t cap)
{
    sonde_buf path;
    bool found;

    sonde_buf_init(&path, cap - 1);
    found = find_folder(&path);
    if (found)
        sonde_buf_printf(&path, "/" NAME "%016llx", (unsigned long long)name_of(c));
    found = found && path.status == SONDE_OK;
    if (found) {
        memcpy(out, path.data, path.len);
        out[path.len] = 0;
    }
    sonde_buf_done(&path);
    return found;
}

/* What it says: 1, 2; 0: there is none, or it is not ours.  `*out_age_s` is below 0 when the clock was put back. */
static int read_mark(const char *path, int64_t *out_age_s)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    char digit = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        read(fd, &digit, 1) != 1)
        digit = 0;
    (void)close(fd);
    if (digit != '1' && digit != '2')
        return 0;
    *out_age_s = sonde_unix_ns() / (int64_t)SONDE_NS_PER_S - (int64_t)st.st_mtim.tv_sec;
    return digit - '0';
}

/* -- life ------------------------------------------------------------------------------------------- */

static sonde_prof__allowed judge(const char *path)
{
    int64_t age_s = 0;
    int mark = read_mark(path, &age_s);

    if (mark == 0)
        return SONDE_PROF__ALLOW_ALL;
    if (mark == 2 && age_s >= 0 && age_s < (int64_t)SONDE_PROF__GUARD_OFF_S) {
        SONDE_LOG_ALWAYS(
            SONDE_LOG_ERROR,
            "not profiling: the last two runs crashed within %u s of their start: "
            "next_try_s=%lld again_now=\"rm %s\" never=SONDE_PROFILING_CRASH_GUARD=false",
            SONDE_PROF__GUARD_YOUNG_S, (long long)((int64_t)SONDE_PROF__GUARD_OFF_S - age_s), path);
        return SONDE_PROF__ALLOW_NOTHING;
    }
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR,
                     "profiling CPU only: the last run crashed within %u s of its start: "
                     "again_now=\"rm %s\" never=SONDE_PROFILING_CRASH_GUARD=false",
                     SONDE_PROF__GUARD_YOUNG_S, path);
    return SONDE_PROF__ALLOW_CPU;
}

sonde_prof__allowed sonde_prof__guard_begin(const sonde_prof__config *c, uint64_t now_mono_ns)
{
    sonde_prof__guard_state *g = &sonde_prof__guard_now;
    sonde_prof__allowed allowed;

    atomic_store_explicit(&g->until_mono_ns, 0, memory_order_relaxed);
    g->was_marked = false;
    if (!sonde_prof__guard_is_on(c) || !find_path(c, g->path, sizeof(g->path)))
        return SONDE_PROF__ALLOW_ALL;
    allowed = judge(g->path);
    if (allowed == SONDE_PROF__ALLOW_NOTHING)
        return allowed;
    g->was_marked = allowed == SONDE_PROF__ALLOW_CPU;
    owner = getpid();
    /* pairs with guard_crashed() */
    atomic_store_explicit(&g->until_mono_ns,
                          now_mono_ns + SONDE_PROF__GUARD_YOUNG_S * (uint64_t)SONDE_NS_PER_S,
                          memory_order_release);
    return allowed;
}

static void be_well(void)
{
    sonde_prof__guard_state *g = &sonde_prof__guard_now;

    if (atomic_exchange_explicit(&g->until_mono_ns, 0, memory_order_acquire) != 0 &&
        g->was_marked && owner == getpid())
        (void)unlink(g->path);
}

void sonde_prof__guard_look(uint64_t now_mono_ns)
{
    uint64_t until =
        atomic_load_explicit(&sonde_prof__guard_now.until_mono_ns, memory_order_relaxed);

    if (until != 0 && now_mono_ns >= until)
        be_well();
}

void sonde_prof__guard_end(void)
{
    be_well();
}
