/* storage.c - see storage.h. */
#include "storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/folder.h"
#include "base/str.h"

#include "spool.h"

#define HOST_SHOWN 40

sonde_status storage_open(const char *path, int *out_fd, sonde_error *out_error)
{
    char lock[SPOOL_PATH_MAX];
    int fd;

    if (strlen(path) + STORAGE_NAME_MAX + 2 > SPOOL_PATH_MAX)
        return sonde_fail(out_error, SONDE_ERR_CONFIG, "%s: the path is too long", path);
    if (sonde_folder_make(path) != SONDE_OK)
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

static bool is_old(int dir_fd, const char *name, int64_t now_unix_ns, uint64_t max_age_ns)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_mtim.tv_sec + (int64_t)(max_age_ns / SONDE_NS_PER_S) <
               now_unix_ns / (int64_t)SONDE_NS_PER_S;
}

static bool is_body(const char *name)
{
    sonde_str text = sonde_str_from(name);

    return sonde_str_ends(text, SONDE_STR(".body")) || sonde_str_ends(text, SONDE_STR(".part"));
}

static uint64_t sweep_folder(const char *path, int64_t now_unix_ns, uint64_t max_age_ns)
{
    DIR *dir = opendir(path);
    struct dirent *d;
    uint64_t removed = 0;

    while (dir && (d = readdir(dir)) != NULL)
        if (is_body(d->d_name) && is_old(dirfd(dir), d->d_name, now_unix_ns, max_age_ns))
            removed += unlinkat(dirfd(dir), d->d_name, 0) == 0;
    if (dir)
        (void)closedir(dir);
    (void)rmdir(path); /* if that was all */
    return removed;
}

static bool is_used(const char *name, const char (*names)[STORAGE_NAME_MAX], size_t names_len)
{
    size_t i;

    for (i = 0; i < names_len; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

uint64_t storage_sweep(const char *path, const char (*names)[STORAGE_NAME_MAX], size_t names_len,
                       int64_t now_unix_ns, uint64_t max_age_ns)
{
    char folder[SPOOL_PATH_MAX + 256];
    DIR *dir = opendir(path);
    struct dirent *d;
    uint64_t removed = 0;

    while (dir && (d = readdir(dir)) != NULL) {
        if (d->d_name[0] == '.' || (d->d_type != DT_DIR && d->d_type != DT_UNKNOWN) ||
            is_used(d->d_name, names, names_len))
            continue;
        (void)snprintf(folder, sizeof(folder), "%s/%s", path, d->d_name);
        removed += sweep_folder(folder, now_unix_ns, max_age_ns);
    }
    if (dir)
        (void)closedir(dir);
    return removed;
}
