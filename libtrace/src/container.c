/* container.c - ids in control group paths. */
#include "container.h"

#include <stdio.h>
#include <string.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_CGROUP_INODE 0xEFFFFFFBu

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static size_t hex_run(sonde_str s)
{
    size_t n = 0;

    while (n < s.len && is_hex(s.ptr[n]))
        n++;
    return n;
}

static bool is_all_hex(sonde_str s, size_t len)
{
    return s.len == len && hex_run(s) == len;
}

static bool is_uuid(sonde_str s)
{
    static const size_t groups[] = { 8, 4, 4, 4, 12 };
    size_t i;

    for (i = 0; i < 5; i++) {
        if (hex_run(s) < groups[i])
            return false;
        s = sonde_str_sub(s, groups[i], s.len);
        if (i == 4 || (i == 3 && s.len == 0)) /* a short form ends with its fourth group of four */
            return s.len == 0;
        if (s.len == 0 || (s.ptr[0] != '-' && s.ptr[0] != '_'))
            return false;
        s = sonde_str_sub(s, 1, s.len);
        if (i == 3 && is_all_hex(s, 4))
            return true;
    }
    return false;
}

static bool is_task(sonde_str s) /* <32 hex>-<digits> */
{
    size_t i;

    if (s.len < 34 || hex_run(s) != 32 || s.ptr[32] != '-')
        return false;
    for (i = 33; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return true;
}

/* The id a path component ends in. */
static sonde_str id_of_component(sonde_str c)
{
    size_t i;

    if (sonde_str_ends(c, SONDE_STR(".scope")))
        c.len -= 6;
    for (i = 0; i < c.len; i++) {
        sonde_str tail = sonde_str_sub(c, i, c.len);

        if (is_all_hex(tail, 64) || is_uuid(tail) || is_task(tail))
            return tail;
    }
    return (sonde_str){ NULL, 0 };
}

static sonde_str last_component(sonde_str line)
{
    size_t i = line.len;

    while (i > 0 && line.ptr[i - 1] != '/')
        i--;
    return sonde_str_sub(line, i, line.len);
}

sonde_str sonde__container_id(sonde_str cgroup)
{
    while (cgroup.len > 0) {
        sonde_str id = id_of_component(last_component(sonde_str_cut(&cgroup, '\n')));

        if (id.len > 0 && id.len < SONDE__CONTAINER_ID_MAX - 3)
            return id;
    }
    return (sonde_str){ NULL, 0 };
}

sonde_str sonde__cgroup_path(sonde_str cgroup)
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
static void name_by_inode(sonde_str cgroup, char entity[SONDE__CONTAINER_ID_MAX])
{
    sonde_str path = sonde__cgroup_path(cgroup);
    char full[1024];
    struct stat st;

    if (stat("/proc/self/ns/cgroup", &st) != 0 || st.st_ino == HOST_CGROUP_INODE)
        return;
    if (path.len == 0 || path.len > sizeof(full) - sizeof("/sys/fs/cgroup"))
        return;
    (void)snprintf(full, sizeof(full), "/sys/fs/cgroup%.*s", SONDE_STR_ARG(path));
    if (stat(full, &st) == 0 && st.st_ino > 2) /* 2 is the root itself: no container */
        (void)snprintf(entity, SONDE__CONTAINER_ID_MAX, "in-%llu", (unsigned long long)st.st_ino);
}

void sonde__container_read(char id[SONDE__CONTAINER_ID_MAX], char entity[SONDE__CONTAINER_ID_MAX])
{
    char text[2048];
    sonde_str cgroup = read_cgroup(text, sizeof(text));
    sonde_str found = sonde__container_id(cgroup);

    id[0] = '\0';
    entity[0] = '\0';
    if (found.len == 0) {
        name_by_inode(cgroup, entity);
        return;
    }
    (void)snprintf(id, SONDE__CONTAINER_ID_MAX, "%.*s", SONDE_STR_ARG(found));
    (void)snprintf(entity, SONDE__CONTAINER_ID_MAX, "ci-%.*s", SONDE_STR_ARG(found));
}
