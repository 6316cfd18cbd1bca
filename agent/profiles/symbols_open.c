/* symbols_open.c - the file of a mapping, and the one with its symbols. */
#include <fcntl.h>
#include <link.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/hex.h"
#include "spb.h"
#include "symbols_internal.h"

#define PATH_MAX_BYTES 4096

/* A regular file only.  The path is the process's word, and opening a device can do things: looked at first, by a
 * descriptor that opens nothing. */
static int open_file(const char *path)
{
    char self[64];
    struct stat st;
    int fd = -1, place = open(path, O_PATH | O_CLOEXEC);

    if (place < 0)
        return -1;
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
    if (fstat(place, &st) == 0 && S_ISREG(st.st_mode))
        fd = open(self, O_RDONLY | O_CLOEXEC);
    (void)close(place);
    return fd;
}

/* The same for a path as a process in another root sees it: links in it lead nowhere else. */
static int open_below(const char *root, sonde_str path)
{
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
    char relative[PATH_MAX_BYTES], self[64];
    int fd = -1, place, dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return -1;
    (void)snprintf(relative, sizeof(relative), "%.*s", SONDE_STR_ARG(path));
    place = (int)syscall(SYS_openat2, dir, relative, &how, sizeof(how));
    (void)close(dir);
    if (place < 0)
        return -1;
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
    fd = open_file(self);
    (void)close(place);
    return fd;
}

/* Whether the open file is the mapped one. */
static bool is_the_one(int fd, const symbol_request *r)
{
    elf_identity id;
    struct stat st;

    if (r->build_id_len && !(r->flags & SPB_MAPPING_ID_SYNTHETIC))
        return elf_read_identity(fd, &id) == SONDE_OK && id.build_id_len == r->build_id_len &&
               memcmp(id.build_id, r->build_id, id.build_id_len) == 0;
    if (fstat(fd, &st) != 0)
        return false;
    return r->inode == 0 || ((uint64_t)st.st_ino == r->inode &&
                             (r->mtime_s == 0 || (uint64_t)st.st_mtime == r->mtime_s));
}

static int keep_if_the_one(int fd, const symbol_request *r)
{
    if (fd >= 0 && !is_the_one(fd, r)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* The kernel gives every process the same; a copy of ours. */
static int open_vdso(void)
{
    unsigned long at = getauxval(AT_SYSINFO_EHDR);
    ElfW(Ehdr) head;
    size_t len;
    int fd;

    if (at == 0)
        return -1;
    memcpy(&head, (const void *)at, sizeof(head));
    /* the table of sections comes last */
    len = head.e_shoff + (size_t)head.e_shnum * head.e_shentsize;
    fd = memfd_create("vdso", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, (const void *)at, len) != (ssize_t)len) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

int object_open(const char *proc, const symbol_request *r)
{
    char path[PATH_MAX_BYTES];
    int fd = -1;

    if (r->flags & SPB_MAPPING_VDSO)
        return keep_if_the_one(open_vdso(), r);
    if (r->pid > 0) {
        (void)snprintf(path, sizeof(path), "%s/%d/map_files/%llx-%llx", proc, (int)r->pid,
                       (unsigned long long)r->start, (unsigned long long)(r->start + r->length));
        fd = keep_if_the_one(open_file(path), r);
    }
    if (r->path.len == 0 || r->path.ptr[0] != '/' || r->path.len > PATH_MAX_BYTES - 64 ||
        memchr(r->path.ptr, '\0', r->path.len))
        return fd;
    if (fd < 0 && r->pid > 0) {
        (void)snprintf(path, sizeof(path), "%s/%d/root", proc, (int)r->pid);
        fd = keep_if_the_one(open_below(path, r->path), r);
    }
    if (fd < 0) {
        (void)snprintf(path, sizeof(path), "%.*s", SONDE_STR_ARG(r->path));
        fd = keep_if_the_one(open_file(path), r);
    }
    return fd;
}

int perf_map_open(const char *proc, const symbol_request *r)
{
    char root[PATH_MAX_BYTES], path[64];

    (void)snprintf(root, sizeof(root), "%s/%d/root", proc, (int)r->pid);
    (void)snprintf(path, sizeof(path), "/tmp/perf-%u.map", r->map_pid);
    return r->pid > 0 ? open_below(root, sonde_str_from(path)) : open_file(path);
}

/* ---- companions ---- */

int symbols_open_under(const char *root, const char *path)
{
    return root ? open_below(root, sonde_str_from(path)) : open_file(path);
}

static int keep_if_id(int fd, const elf_identity *want)
{
    elf_identity got;

    if (fd >= 0 &&
        (elf_read_identity(fd, &got) != SONDE_OK || got.build_id_len != want->build_id_len ||
         memcmp(got.build_id, want->build_id, got.build_id_len) != 0)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static int open_by_id(const char *root, const char *debug_dir, const elf_identity *id)
{
    char hex[SYMBOLS_BUILD_ID_MAX * 2 + 1] = { 0 };
    char path[PATH_MAX_BYTES];

    if (id->build_id_len < 2)
        return -1;
    sonde_hex_bytes(id->build_id, id->build_id_len, hex);
    (void)snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", debug_dir, hex, hex + 2);
    return keep_if_id(symbols_open_under(root, path), id);
}

/* Of a whole file, as debuglink has it. */
static bool has_crc(int fd, uint32_t want)
{
    uint8_t block[16384];
    uint32_t crc = 0;
    off_t at = 0;
    ssize_t n;

    while ((n = pread(fd, block, sizeof(block), at)) > 0) {
        crc = sonde_crc32(crc, block, (size_t)n);
        at += n;
    }
    return n == 0 && crc == want;
}

static int keep_if_crc(int fd, const elf_debuglink *link)
{
    if (fd >= 0 && !has_crc(fd, link->crc)) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static int open_by_link(const char *root, const char *debug_dir, sonde_str object_path,
                        const elf_debuglink *link)
{
    const char *slash = object_path.len ? memrchr(object_path.ptr, '/', object_path.len) : NULL;
    sonde_str dir = { object_path.ptr, slash ? (size_t)(slash - object_path.ptr) : 0 };
    const struct {
        const char *before, *between;
    } places[] = { { "", "" }, { "", "/.debug" }, { debug_dir, "" } };
    char path[PATH_MAX_BYTES];
    int fd = -1;

    if (!slash || strchr(link->name, '/') || dir.len > PATH_MAX_BYTES - 1024)
        return -1;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && fd < 0; i++) {
        (void)snprintf(path, sizeof(path), "%s%.*s%s/%s", places[i].before, SONDE_STR_ARG(dir),
                       places[i].between, link->name);
        fd = keep_if_crc(symbols_open_under(root, path), link);
    }
    return fd;
}

static int open_companion(const char *root, const char *debug_dir, const symbol_request *r,
                          const elf_identity *id, const elf_debuglink *link)
{
    int fd = open_by_id(root, debug_dir, id);

    return fd >= 0 || !link->name[0] ? fd : open_by_link(root, debug_dir, r->path, link);
}

int companion_open(const char *debug_dir, const char *proc, const symbol_request *r, int fd,
                   const elf_identity *id)
{
    elf_debuglink link;
    char root[64];
    int found = -1;

    if (elf_read_debuglink(fd, &link) != SONDE_OK)
        return -1;
    if (r->pid > 0) {
        (void)snprintf(root, sizeof(root), "%.40s/%d/root", proc, (int)r->pid);
        found = open_companion(root, debug_dir, r, id, &link);
    }
    return found >= 0 ? found : open_companion(NULL, debug_dir, r, id, &link);
}
