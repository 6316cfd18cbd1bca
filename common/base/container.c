/* container.c - ids in control group paths. */
#include "base/container.h"

#include <stdio.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"

#define HOST_CGROUP_INODE 0xEFFFFFFBu

sonde_str sonde_cgroup_path(sonde_str cgroup)
{
    sonde_str first = { NULL, 0 };

    while (cgroup.len > 0) {
        sonde_str line = sonde_str_cut(&cgroup, '\n');
        bool unified = sonde_str_starts(line, SONDE_STR("0::"));

        (void)sonde_str_cut(&line, ':');
        (void)sonde_str_cut(&line, ':');
        if (unified)
            return line;
        if (first.len == 0)
            first = line;
    }
    return first;
}

static sonde_str read_cgroup(char *to, size_t cap)
{
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return (sonde_str){ NULL, 0 };
    n = read(fd, to, cap);
    (void)close(fd);
    return (sonde_str){ to, n > 0 ? (size_t)n : 0 };
}

/* In a namespace of its own the id is not visible; the inode tells the agent the same. */
static void name_by_inode(sonde_str cgroup, char entity[SONDE_CONTAINER_ID_MAX])
{
    sonde_str path = sonde_cgroup_path(cgroup);
    char full[1024];
    struct stat st;

    if (stat("/proc/self/ns/cgroup", &st) != 0 || st.st_ino == HOST_CGROUP_INODE)
        return;
    if (path.len == 0 || path.len > sizeof(full) - sizeof("/sys/fs/cgroup"))
        return;
    (void)snprintf(full, sizeof(full), "/sys/fs/cgroup%.*s", SONDE_STR_ARG(path));
    if (stat(full, &st) == 0 && st.st_ino > 2) /* 2 is the root itself: no container */
        (void)snprintf(entity, SONDE_CONTAINER_ID_MAX, "in-%llu", (unsigned long long)st.st_ino);
}

void sonde_container_read(char id[SONDE_CONTAINER_ID_MAX], char entity[SONDE_CONTAINER_ID_MAX])
{
    char text[2048];
    sonde_str cgroup = read_cgroup(text, sizeof(text));
    sonde_str found = sonde_cgroup_container_id(cgroup);

    id[0] = '\0';
    entity[0] = '\0';
    if (found.len == 0) {
        name_by_inode(cgroup, entity);
        return;
    }
    (void)snprintf(id, SONDE_CONTAINER_ID_MAX, "%.*s", SONDE_STR_ARG(found));
    (void)snprintf(entity, SONDE_CONTAINER_ID_MAX, "ci-%.*s", SONDE_STR_ARG(found));
}
