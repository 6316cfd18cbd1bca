/* ending.c - pidfds, exit codes, and the memory events of a cgroup.
 *
 * The numbers of newer kernels are written out: the headers of the build machine may be older than the kernel the
 * agent runs on.  Source: include/uapi/linux/pidfd.h and asm-generic/socket.h of Linux 6.15. */
#include "ending.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/parse.h"
#include "base/str.h"

#ifndef SO_PEERPIDFD
#    define SO_PEERPIDFD 77
#endif

#define INFO_EXIT (UINT64_C(1) << 3)

/* struct pidfd_info of 64 bytes and what 6.15 added. */
typedef struct pidfd_info_v1 {
    uint64_t mask;
    uint64_t cgroup_id;
    uint32_t pid, tgid, ppid;
    uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
    uint32_t coredump[2];
} pidfd_info_v1;

#define GET_INFO _IOWR(0xFF, 11, pidfd_info_v1)

static size_t read_file(const char *path, char *to, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, room - 1);

    if (fd >= 0)
        (void)close(fd);
    to[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

/* The number behind `name ` at the start of a line. */
static uint64_t number_of_line(sonde_str text, sonde_str name)
{
    uint64_t n = 0;

    while (text.len > 0) {
        sonde_str line = sonde_str_cut(&text, '\n'), key = sonde_str_cut(&line, ' ');

        if (sonde_str_eq(key, name) && sonde_parse_u64(sonde_str_trim(line), &n) == SONDE_OK)
            return n;
    }
    return 0;
}

static uint64_t oom_kills(const char *events_path)
{
    char text[512];
    size_t len = events_path[0] ? read_file(events_path, text, sizeof(text)) : 0;

    return number_of_line((sonde_str){ text, len }, SONDE_STR("oom_kill"));
}

void ending_watch_begin(ending_watch *w, pid_t pid)
{
    char path[64], text[1024];
    sonde_str rest, line;

    w->events_path[0] = '\0';
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    rest = (sonde_str){ text, read_file(path, text, sizeof(text)) };
    while (rest.len > 0) {
        line = sonde_str_cut(&rest, '\n');
        if (!sonde_str_starts(line, SONDE_STR("0::")))
            continue;
        line = sonde_str_sub(line, 3, line.len);
        if (snprintf(w->events_path, sizeof(w->events_path), "/sys/fs/cgroup%.*s/memory.events",
                     SONDE_STR_ARG(line)) >= (int)sizeof(w->events_path))
            w->events_path[0] = '\0';
        break;
    }
    w->oom_kills = oom_kills(w->events_path);
}

bool ending_was_oom_killed(const ending_watch *w)
{
    return oom_kills(w->events_path) > w->oom_kills;
}

/* The number may have gone to another process before the descriptor was had: the connection must still stand. */
static bool still_connected(int socket)
{
    char byte;
    ssize_t n = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    return n != 0;
}

int ending_pidfd(int socket, pid_t pid)
{
    int fd = -1;
    socklen_t len = sizeof(fd);

    if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0 && fd >= 0)
        return fd;
    if (pid <= 0)
        return -1;
    fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0 && !still_connected(socket)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

/* The kernel writes 0 for those who may not look.  The folder belongs to us when we may, unless the process
 * made itself undumpable, and then it is root's. */
static bool may_look(pid_t pid)
{
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    return stat(path, &st) == 0 && (geteuid() == 0 || st.st_uid == geteuid());
}

/* The last number of /proc/PID/stat, while the process is a zombie. */
static bool status_of_stat(pid_t pid, int *out_status)
{
    char path[64], text[1024];
    sonde_str all;
    uint64_t n;
    size_t at;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    all = (sonde_str){ text, read_file(path, text, sizeof(text)) };
    all = sonde_str_cut(&all, '\n');
    for (at = all.len; at > 0 && all.ptr[at - 1] != ' '; at--)
        ;
    if (at == 0 || !may_look(pid) || !sonde_str_find(all, SONDE_STR(") Z "), &(size_t){ 0 }) ||
        sonde_parse_u64(sonde_str_sub(all, at, all.len), &n) != SONDE_OK)
        return false;
    *out_status = (int)n;
    return true;
}

/* Known from when its parent has asked for it. */
static bool status_of_pidfd(int pidfd, int *out_status)
{
    pidfd_info_v1 info = { .mask = INFO_EXIT };

    if (pidfd < 0 || ioctl(pidfd, GET_INFO, &info) != 0 || !(info.mask & INFO_EXIT))
        return false;
    *out_status = info.exit_code;
    return true;
}

bool ending_status(int pidfd, pid_t pid, int *out_status)
{
    return status_of_pidfd(pidfd, out_status) || status_of_stat(pid, out_status) ||
           status_of_pidfd(pidfd, out_status); /* its parent asked in between */
}
