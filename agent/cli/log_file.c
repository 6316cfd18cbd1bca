/* log_file.c - one descriptor that keeps its number, so that no line meets a closed one. */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/uio.h>

#include "base/error.h"
#include "base/log.h"

static int file = -1;

static void write_line(void *user, sonde_log_level level, const char *line, size_t len)
{
    const struct iovec parts[] = { { (void *)(uintptr_t)line, len },
                                   { (void *)(uintptr_t) "\n", 1 } };

    (void)user, (void)level;
    if (writev(file, parts, 2) < 0)
        return; /* a full disk: there is nowhere to say so */
}

sonde_status log_file_use(sonde_str path, sonde_error *out_error)
{
    int fd;

    if (path.len == 0) {
        sonde_log_set_sink(NULL, NULL);
        return SONDE_OK;
    }
    fd = open(path.ptr, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return sonde_fail_sys(out_error, errno, "log_file %.*s", SONDE_STR_ARG(path));
    if (file < 0) {
        file = fd;
    } else {
        (void)dup3(fd, file, O_CLOEXEC);
        (void)close(fd);
    }
    sonde_log_set_sink(write_line, NULL);
    return SONDE_OK;
}
