/* log_file.c - one descriptor, kept for ever: a thread may be writing a line while the file changes, so a
 * new file takes the old one's place under the same number. */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include <sys/uio.h>
#include <unistd.h>

#include "base/log.h"

static int file = -1; /* written before the sink is set */
static bool in_use;
static _Atomic uint64_t written_bytes;

static void write_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    struct iovec parts[2] = { { (void *)(uintptr_t)line, len }, { (void *)(uintptr_t) "\n", 1 } };
    ssize_t n;

    (void)user, (void)level;
    if (atomic_fetch_add_explicit(&written_bytes, len + 1, memory_order_relaxed) + len + 1 >
        SONDE__LOG_FILE_MAX_BYTES)
        return;
    do {
        n = writev(file, parts, 2);
    } while (n < 0 && errno == EINTR);
}

static bool use(int fd)
{
    bool ok;

    if (file < 0) {
        file = fd;
        return true;
    }
    ok = dup3(fd, file, O_CLOEXEC) >= 0;
    (void)close(fd);
    return ok;
}

sonde_status sonde__log_file_open(sonde_str directory)
{
    char path[4096];
    int len = snprintf(path, sizeof(path), "%.*s/sonde-%ld.log", SONDE_STR_ARG(directory),
                       (long)getpid());
    int fd;

    if (len < 0 || (size_t)len >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return SONDE_ERR_SYS;
    }
    fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !use(fd))
        return SONDE_ERR_SYS;
    atomic_store_explicit(&written_bytes, 0, memory_order_relaxed);
    in_use = true;
    sonde_log_set_sink(write_line, NULL);
    return SONDE_OK;
}

void sonde__log_file_close(void)
{
    if (in_use)
        sonde_log_set_sink(NULL, NULL);
    in_use = false;
}
