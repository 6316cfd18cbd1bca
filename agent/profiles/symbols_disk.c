/* symbols_disk.c - a folder of files with a ceiling: names by build-id, whole by rename, the oldest go. */
#include "symbols_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/folder.h"
#include "base/hex.h"
#include "base/mutex.h"
#include "base/parse.h"

#define NAMES ".names"
#define DEBUG ".debug"
#define PART  ".part"

struct symbols_disk {
    int folder; /* descriptor */
    uint64_t max_bytes;
    sonde_mutex mu;
    uint64_t bytes; /* guarded by mu, as the rest */
    uint32_t files;
    uint64_t parts; /* that were begun: their names */
    symbols_disk_counters counters;
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static void name_of(const elf_identity *id, const char *kind, char out[SYMBOLS_DISK_NAME_MAX])
{
    char hex[SYMBOLS_BUILD_ID_MAX * 2 + 1] = { 0 };

    sonde_hex_bytes(id->build_id, id->build_id_len, hex);
    (void)snprintf(out, SYMBOLS_DISK_NAME_MAX, "%s%s", hex, kind);
}

/* ---- the folder ---- */

typedef struct file {
    char name[SYMBOLS_DISK_NAME_MAX];
    uint64_t bytes;
    struct timespec used;
} file;

typedef struct file_list {
    file *items;
    uint32_t len, cap;
} file_list;

/* Ours, by its name; what else is in the folder is let alone. */
static bool is_ours(sonde_str name)
{
    size_t hex = 0;

    while (hex < name.len && strchr("0123456789abcdef", name.ptr[hex]))
        hex++;
    name = sonde_str_sub(name, hex, name.len);
    return hex >= 2 &&
           (sonde_str_eq(name, SONDE_STR(NAMES)) || sonde_str_eq(name, SONDE_STR(DEBUG)) ||
            sonde_str_ends(name, SONDE_STR(PART)));
}

static void list_file(const symbols_disk *d, const char *name, file_list *l)
{
    struct stat st;
    file *items;

    if (strlen(name) >= SYMBOLS_DISK_NAME_MAX || !is_ours(sonde_str_from(name)) ||
        fstatat(d->folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    items = sonde_array_room(l->items, l->len, &l->cap, sizeof(*items), 2 * SYMBOLS_DISK_FILES_MAX);
    if (!items)
        return;
    l->items = items;
    items[l->len] = (file){ .bytes = (uint64_t)st.st_size, .used = st.st_mtim };
    memcpy(items[l->len].name, name, strlen(name) + 1);
    l->len++;
}

static void list_files(const symbols_disk *d, file_list *l)
{
    int fd = openat(d->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *e;

    if (!dir && fd >= 0)
        (void)close(fd);
    while (dir && (e = readdir(dir)) != NULL)
        list_file(d, e->d_name, l);
    if (dir)
        (void)closedir(dir);
}

static int by_use(const void *a, const void *b)
{
    const file *x = a, *y = b;

    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec)
        return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool is_part(const file *f)
{
    return sonde_str_ends(sonde_str_from(f->name), SONDE_STR(PART));
}

/* Counts what is there, and removes the oldest until it is within the bounds, with room for one more. */
static void make_room_locked(symbols_disk *d)
{
    file_list l = { .len = 0 };

    list_files(d, &l);
    d->bytes = d->files = 0;
    for (uint32_t i = 0; i < l.len; i++) {
        d->bytes += l.items[i].bytes;
        d->files += !is_part(&l.items[i]);
    }
    if (l.len)
        qsort(l.items, l.len, sizeof(*l.items), by_use);
    for (uint32_t i = 0;
         i < l.len && (d->bytes > d->max_bytes || d->files >= SYMBOLS_DISK_FILES_MAX); i++) {
        if (is_part(&l.items[i]) || unlinkat(d->folder, l.items[i].name, 0) != 0)
            continue;
        d->bytes -= l.items[i].bytes;
        d->files--;
        count(&d->counters.files_dropped);
    }
    sonde_free(l.items);
}

static void remove_parts(symbols_disk *d)
{
    file_list l = { .len = 0 };

    list_files(d, &l);
    for (uint32_t i = 0; i < l.len; i++)
        if (is_part(&l.items[i]))
            (void)unlinkat(d->folder, l.items[i].name, 0);
    sonde_free(l.items);
}

/* ---- files ---- */

/* One of ours, and of nobody else; its use is noted in its time. */
static int open_ours(symbols_disk *d, const char *name)
{
    struct stat st;
    int fd = openat(d->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 022)) {
        (void)close(fd);
        return -1;
    }
    (void)futimens(fd, NULL);
    return fd;
}

static int begin(symbols_disk *d, const elf_identity *id, char out_part[SYMBOLS_DISK_NAME_MAX])
{
    char kind[32];
    int fd;

    sonde_mutex_lock(&d->mu);
    (void)snprintf(kind, sizeof(kind), ".%llu" PART, (unsigned long long)d->parts++);
    sonde_mutex_unlock(&d->mu);
    name_of(id, kind, out_part);
    fd = openat(d->folder, out_part, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        count(&d->counters.failed_writes);
    return fd;
}

/* Closes the file and, when it is good, makes room for it and puts it in its place. */
static sonde_status end(symbols_disk *d, int fd, const char *part, const char *name,
                        sonde_status so_far)
{
    struct stat st;
    uint64_t bytes = fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;

    (void)close(fd);
    sonde_mutex_lock(&d->mu);
    if (so_far == SONDE_OK && bytes > symbols_disk_file_max_bytes(d))
        so_far = SONDE_ERR_TOO_BIG;
    if (so_far == SONDE_OK) { /* the part is counted already */
        make_room_locked(d);
        if (renameat(d->folder, part, d->folder, name) != 0)
            so_far = SONDE_ERR_SYS;
    }
    if (so_far != SONDE_OK)
        (void)unlinkat(d->folder, part, 0);
    make_room_locked(d);
    sonde_mutex_unlock(&d->mu);
    if (so_far == SONDE_ERR_SYS)
        count(&d->counters.failed_writes);
    return so_far;
}

uint64_t symbols_disk_file_max_bytes(const symbols_disk *d)
{
    return d->max_bytes / SYMBOLS_DISK_SHARE;
}

/* ---- indexes ---- */

sonde_status symbols_disk_load(symbols_disk *d, const elf_identity *id, symbol_index *x)
{
    char name[SYMBOLS_DISK_NAME_MAX];
    sonde_status status;
    int fd;

    name_of(id, NAMES, name);
    fd = open_ours(d, name);
    if (fd < 0)
        return SONDE_ERR_NOT_FOUND;
    status = symbol_image_read(fd, id, x);
    (void)close(fd);
    if (status == SONDE_OK)
        count(&d->counters.names_read);
    else if (status == SONDE_ERR_TOO_BIG)
        count(&d->counters.names_too_big);
    if (status == SONDE_ERR_SYNTAX) {
        count(&d->counters.names_damaged);
        (void)unlinkat(d->folder, name, 0);
    }
    return status;
}

void symbols_disk_save(symbols_disk *d, const elf_identity *id, const symbol_index *x)
{
    char name[SYMBOLS_DISK_NAME_MAX], part[SYMBOLS_DISK_NAME_MAX];
    uint64_t bytes;
    sonde_status status;
    int fd;

    if (x->len < SYMBOLS_DISK_LEAST || x->cut)
        return;
    fd = begin(d, id, part);
    if (fd < 0)
        return;
    name_of(id, NAMES, name);
    status = end(d, fd, part, name, symbol_image_write(fd, id, x, &bytes));
    if (status == SONDE_OK)
        count(&d->counters.names_written);
    else if (status == SONDE_ERR_TOO_BIG)
        count(&d->counters.names_too_big);
}

/* ---- debug files ---- */

static bool is_of(int fd, const elf_identity *id)
{
    elf_identity got;

    return elf_read_identity(fd, &got) == SONDE_OK && got.build_id_len == id->build_id_len &&
           memcmp(got.build_id, id->build_id, id->build_id_len) == 0;
}

int symbols_disk_open_debug(symbols_disk *d, const elf_identity *id)
{
    char name[SYMBOLS_DISK_NAME_MAX];
    int fd;

    name_of(id, DEBUG, name);
    fd = open_ours(d, name);
    if (fd >= 0 && !is_of(fd, id)) {
        count(&d->counters.debug_damaged);
        (void)unlinkat(d->folder, name, 0);
        (void)close(fd);
        return -1;
    }
    if (fd >= 0)
        count(&d->counters.debug_read);
    return fd;
}

int symbols_disk_begin_debug(symbols_disk *d, const elf_identity *id,
                             char out_part[SYMBOLS_DISK_NAME_MAX])
{
    return begin(d, id, out_part);
}

sonde_status symbols_disk_end_debug(symbols_disk *d, int fd, const char *part,
                                    const elf_identity *id, sonde_status so_far)
{
    char name[SYMBOLS_DISK_NAME_MAX];

    if (so_far == SONDE_OK && (!is_of(fd, id) || !elf_is_whole(fd)))
        so_far = SONDE_ERR_SYNTAX;
    name_of(id, DEBUG, name);
    so_far = end(d, fd, part, name, so_far);
    if (so_far == SONDE_OK)
        count(&d->counters.debug_written);
    return so_far;
}

/* ---- life ---- */

sonde_status symbols_disk_open(const char *folder, uint64_t max_bytes, symbols_disk **out_disk)
{
    symbols_disk *d;
    sonde_status status = sonde_folder_make(folder);
    int fd;

    if (status != SONDE_OK)
        return status;
    fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return SONDE_ERR_SYS;
    d = sonde_calloc(1, sizeof(*d));
    if (!d) {
        (void)close(fd);
        return SONDE_ERR_NOMEM;
    }
    d->folder = fd;
    d->max_bytes = max_bytes;
    sonde_mutex_init(&d->mu, SONDE_RANK_STORE);
    remove_parts(d);
    make_room_locked(d);
    *out_disk = d;
    return SONDE_OK;
}

void symbols_disk_close(symbols_disk *d)
{
    if (!d)
        return;
    (void)close(d->folder);
    sonde_mutex_done(&d->mu);
    sonde_free(d);
}

void symbols_disk_write_json(symbols_disk *d, sonde_json_writer *w)
{
    const symbols_disk_counters *c = &d->counters;
    uint64_t bytes, files;

    sonde_mutex_lock(&d->mu);
    bytes = d->bytes;
    files = d->files;
    sonde_mutex_unlock(&d->mu);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "files", files);
    sonde_json_put_u64(w, "bytes", bytes);
    sonde_json_put_u64(w, "bytes_max", d->max_bytes);
    sonde_json_put_counter(w, "names_read", &c->names_read);
    sonde_json_put_counter(w, "names_written", &c->names_written);
    sonde_json_put_counter(w, "names_damaged", &c->names_damaged);
    sonde_json_put_counter(w, "names_too_big", &c->names_too_big);
    sonde_json_put_counter(w, "debug_read", &c->debug_read);
    sonde_json_put_counter(w, "debug_written", &c->debug_written);
    sonde_json_put_counter(w, "debug_damaged", &c->debug_damaged);
    sonde_json_put_counter(w, "files_dropped", &c->files_dropped);
    sonde_json_put_counter(w, "failed_writes", &c->failed_writes);
    sonde_json_end_object(w);
}
