/* cgroups.c - reads /proc/<pid>/cgroup and walks the tree of control groups. */
#include "cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CGROUP_TEXT_BYTES 4096

static bool keep(sonde_str id, container_id out)
{
    if (id.len == 0 || id.len > SONDE_CGROUP_ID_MAX)
        return false;
    memcpy(out, id.ptr, id.len);
    out[id.len] = '\0';
    return true;
}

bool cgroups_of_process(const char *proc, pid_t pid, container_id out)
{
    char path[256], text[CGROUP_TEXT_BYTES];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%d/cgroup", proc, (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text));
    (void)close(fd);
    return n > 0 && keep(sonde_cgroup_container_id((sonde_str){ text, (size_t)n }), out);
}

typedef struct walk {
    uint64_t inode;    /* looked for; 0: not */
    sonde_str pod_uid; /* looked for; empty: not */
    char *out;
    unsigned found;
    unsigned dirs; /* seen */
} walk;

/* Kubernetes writes a pod's uid with dashes, systemd's driver with underscores. */
static bool names_pod(const char *name, sonde_str uid)
{
    size_t len = strlen(name);

    for (size_t at = 0; at + uid.len <= len; at++) {
        size_t i = 0;

        while (i < uid.len &&
               (name[at + i] == uid.ptr[i] || (name[at + i] == '_' && uid.ptr[i] == '-')))
            i++;
        if (i == uid.len)
            return true;
    }
    return false;
}

/* `in_pod`: one of the folders above is the pod's. */
static void visit(walk *w, const struct dirent *entry, bool in_pod)
{
    sonde_str id = sonde_cgroup_component_id(sonde_str_from(entry->d_name));

    if (w->inode ? entry->d_ino == w->inode : in_pod)
        w->found += keep(id, w->out);
}

static void walk_folder(walk *w, int parent, const char *name, int depth, bool in_pod)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL && w->dirs < CGROUPS_DIRS_MAX) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
            continue;
        w->dirs++;
        visit(w, entry, in_pod);
        if (w->inode && w->found)
            break;
        if (depth < CGROUPS_DEPTH_MAX)
            walk_folder(w, dirfd(dir), entry->d_name, depth + 1,
                        in_pod || (w->pod_uid.len && names_pod(entry->d_name, w->pod_uid)));
    }
    (void)closedir(dir);
}

bool cgroups_of_inode(const char *root, uint64_t inode, container_id out)
{
    walk w = { .inode = inode, .out = out };

    walk_folder(&w, AT_FDCWD, root, 0, false);
    return w.found > 0;
}

bool cgroups_of_pod(const char *root, sonde_str pod_uid, container_id out)
{
    walk w = { .pod_uid = pod_uid, .out = out };

    walk_folder(&w, AT_FDCWD, root, 0, false);
    return w.found == 1;
}
