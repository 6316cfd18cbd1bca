/* storage.c - see storage.h. */
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/error.h"

#include "spool.h"

#define HOST_SHOWN 40

/* Like mkdir -p, for the owner only: bodies hold what nobody else should read. */
static bool make_folders(const char *path)
{
    char part[SPOOL_PATH_MAX];
    size_t i, len = strlen(path);

    for (i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return false;
    }
    return true;
}

sonde_status storage_open(const char *path, int *out_fd, sonde_error *out_error)
{
    char lock[SPOOL_PATH_MAX];
    int fd;

    if (strlen(path) + STORAGE_NAME_MAX + 2 > SPOOL_PATH_MAX)
        return sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: the path is too long", path);
    if (!make_folders(path))
        return sonde_fail_sys(out_error, errno, "%s", path);
    (void)snprintf(lock, sizeof(lock), "%s/lock", path);
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return sonde_fail_sys(out_error, errno, "%s", lock);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;

        (void)close(fd);
        if (error == EWOULDBLOCK)
            return sonde_fail(out_error, SONDE_ERR_STATE, "%s: another agent uses it", path);
        return sonde_fail_sys(out_error, error, "%s", lock);
    }
    *out_fd = fd;
    return SONDE_OK;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-';
}

void storage_endpoint_name(const char *url, unsigned ordinal, char out[STORAGE_NAME_MAX])
{
    const char *host = strstr(url, "://");
    char shown[HOST_SHOWN + 1];
    size_t len = 0;

    host = host ? host + 3 : url;
    while (len < HOST_SHOWN && is_plain(host[len])) {
        shown[len] = host[len];
        len++;
    }
    shown[len] = '\0';
    (void)snprintf(out, STORAGE_NAME_MAX, "%s-%016llx-%u", shown,
                   (unsigned long long)sonde_fnv1a64(SONDE_FNV1A64_INIT, url, strlen(url)),
                   ordinal);
}
