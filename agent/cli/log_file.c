/* log_file.c - one descriptor that keeps its number, so that no line meets a closed one. */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/mutex.h"

#define ROLLED_PATH_MAX (PATH_MAX + 12) /* and ".4294967295" */

static struct {
    sonde_mutex mu;
    int fd;
    char path[PATH_MAX]; /* guarded by mu, as the next */
    unsigned rolls;
    _Atomic uint64_t max_bytes;
    _Atomic uint64_t bytes; /* in the file */
} log_file = { .mu = SONDE_MUTEX_INIT(SONDE_RANK_LOG), .fd = -1 };

/* Opens the file under the descriptor lines are written to. */
static sonde_status open_locked(void)
{
    int fd = open(log_file.path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    struct stat st;

    if (fd < 0)
        return SONDE_ERR_SYS;
    atomic_store_explicit(&log_file.bytes, fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0,
                          memory_order_relaxed);
    if (log_file.fd < 0) {
        log_file.fd = fd;
    } else {
        (void)dup3(fd, log_file.fd, O_CLOEXEC);
        (void)close(fd);
    }
    return SONDE_OK;
}

static void rolled_path(unsigned n, char out[ROLLED_PATH_MAX])
{
    if (n == 0)
        (void)snprintf(out, ROLLED_PATH_MAX, "%s", log_file.path);
    else
        (void)snprintf(out, ROLLED_PATH_MAX, "%s.%u", log_file.path, n);
}

/* The oldest goes, each other one becomes the next older.  A name that cannot be changed stays. */
static void roll_locked(void)
{
    char from[ROLLED_PATH_MAX], to[ROLLED_PATH_MAX];
    unsigned i;

    for (i = log_file.rolls; i > 0; i--) {
        rolled_path(i - 1, from);
        rolled_path(i, to);
        (void)rename(from, to);
    }
    atomic_store_explicit(&log_file.bytes, 0, memory_order_relaxed); /* not before as much again */
    (void)open_locked(); /* or go on in the renamed one */
}

static bool is_full(void)
{
    return atomic_load_explicit(&log_file.bytes, memory_order_relaxed) >
           atomic_load_explicit(&log_file.max_bytes, memory_order_relaxed);
}

void log_file_write(void *user, sonde_log_level level, const char *line, size_t len)
{
    const struct iovec parts[] = { { (void *)(uintptr_t)line, len },
                                   { (void *)(uintptr_t) "\n", 1 } };

    (void)user, (void)level;
    if (writev(log_file.fd, parts, 2) < 0)
        return; /* a full disk: there is nowhere to say so */
    atomic_fetch_add_explicit(&log_file.bytes, len + 1, memory_order_relaxed);
    if (!is_full())
        return;
    sonde_mutex_lock(&log_file.mu);
    if (is_full())
        roll_locked();
    sonde_mutex_unlock(&log_file.mu);
}

sonde_status log_file_use(sonde_str path, uint64_t max_bytes, unsigned rolls,
                          sonde_error *out_error)
{
    char before[PATH_MAX];
    sonde_status status;
    int why;

    if (path.len >= PATH_MAX)
        return sonde_fail(out_error, SONDE_ERR_TOO_BIG, "log_file: a path this long");
    sonde_mutex_lock(&log_file.mu);
    memcpy(before, log_file.path, sizeof(before));
    (void)snprintf(log_file.path, sizeof(log_file.path), "%.*s", SONDE_STR_ARG(path));
    status = open_locked();
    why = errno;
    if (status != SONDE_OK)
        memcpy(log_file.path, before, sizeof(before));
    log_file.rolls = rolls;
    atomic_store_explicit(&log_file.max_bytes, rolls ? max_bytes : UINT64_MAX,
                          memory_order_relaxed);
    sonde_mutex_unlock(&log_file.mu);
    if (status != SONDE_OK)
        return sonde_fail_sys(out_error, why, "log_file %.*s", SONDE_STR_ARG(path));
    return SONDE_OK;
}
