/* telemetry_libraries.c - what dl_iterate_phdr() shows: name, version, build id. */
#include "telemetry_libraries.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#if defined(__GLIBC__)
#    include <gnu/libc-version.h>
#endif

#include "base/alloc.h"
#include "base/digest.h"
#include "base/hex.h"

#include "counters.h"

#define PATH_MAX_BYTES  256
#define BUILD_ID_MAX    32
#define NOTES_MAX_BYTES 4096

typedef struct library {
    char path[PATH_MAX_BYTES];
    uint8_t id[BUILD_ID_MAX];
    uint32_t id_len;
} library;

typedef struct listing {
    library *item; /* owned */
    uint32_t len;
    uint64_t left_out;
} listing;

static struct {
    unsigned long long loads;      /* the loader's count, when the last event was made */
    unsigned long long loads_told; /* and when the last one that was taken was */
    uint32_t known;                /* told, or in the event under way */
    uint32_t known_told;
    uint64_t hash[SONDE__TELEMETRY_LIBRARIES]; /* of their paths */
} l;

/* -- the loader's list ---------------------------------------------------------------------------- */

/* The notes are mapped as the loader found them; their sizes are the file's to say. */
static void find_build_id(const uint8_t *at, size_t len, library *to)
{
    ElfW(Nhdr) note;

    while (len >= sizeof(note)) {
        size_t name_len, whole;

        memcpy(&note, at, sizeof(note));
        if (note.n_namesz > NOTES_MAX_BYTES || note.n_descsz > NOTES_MAX_BYTES)
            return;
        name_len = (note.n_namesz + 3u) & ~3u;
        whole = sizeof(note) + name_len + ((note.n_descsz + 3u) & ~3u);
        if (whole > len)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_descsz <= BUILD_ID_MAX && note.n_namesz == 4 &&
            memcmp(at + sizeof(note), "GNU", 4) == 0) {
            memcpy(to->id, at + sizeof(note) + name_len, note.n_descsz);
            to->id_len = note.n_descsz;
            return;
        }
        at += whole;
        len -= whole;
    }
}

/* A note need not be in memory at all. */
static bool is_mapped(const struct dl_phdr_info *info, const ElfW(Phdr) * note)
{
    int i;

    for (i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && (p->p_flags & PF_R) && note->p_vaddr >= p->p_vaddr &&
            note->p_vaddr - p->p_vaddr <= p->p_filesz &&
            note->p_filesz <= p->p_filesz - (note->p_vaddr - p->p_vaddr))
            return true;
    }
    return false;
}

static void read_notes(const struct dl_phdr_info *info, library *to)
{
    int i;

    for (i = 0; i < info->dlpi_phnum && to->id_len == 0; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_NOTE && p->p_filesz <= NOTES_MAX_BYTES && is_mapped(info, p))
            find_build_id((const uint8_t *)(info->dlpi_addr + p->p_vaddr), p->p_filesz, to);
    }
}

/* The program itself has no name, the kernel's object no path. */
static int add(struct dl_phdr_info *info, size_t bytes, void *user)
{
    listing *to = (listing *)user;
    size_t len = info->dlpi_name ? strlen(info->dlpi_name) : 0;

    (void)bytes;
    if (len == 0 || !strchr(info->dlpi_name, '/'))
        return 0;
    if (to->len == SONDE__TELEMETRY_LIBRARIES || len >= PATH_MAX_BYTES) {
        to->left_out++;
        return 0;
    }
    memcpy(to->item[to->len].path, info->dlpi_name, len + 1);
    read_notes(info, &to->item[to->len]);
    to->len++;
    return 0;
}

static int count_loads(struct dl_phdr_info *info, size_t bytes, void *user)
{
    if (bytes >= offsetof(struct dl_phdr_info, dlpi_subs))
        *(unsigned long long *)user = info->dlpi_adds;
    return 1; /* the first one says it */
}

static bool list(listing *to)
{
    *to = (listing){ .item = (library *)sonde_calloc(SONDE__TELEMETRY_LIBRARIES, sizeof(library)) };
    if (!to->item)
        return false;
    (void)dl_iterate_phdr(add, to);
    return true;
}

/* -- one entry ------------------------------------------------------------------------------------ */

static sonde_str file_of(sonde_str path)
{
    while (path.len > 0 && memchr(path.ptr, '/', path.len))
        (void)sonde_str_cut(&path, '/');
    return path;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

sonde_str sonde__library_version(sonde_str file)
{
    sonde_str none = { NULL, 0 };
    size_t at, i;

    if (!sonde_str_find(file, SONDE_STR(".so"), &at))
        return none;
    if (at + 4 < file.len && file.ptr[at + 3] == '.' && is_digit(file.ptr[at + 4]))
        return sonde_str_sub(file, at + 4, file.len);
    for (i = at; i > 0 && (is_digit(file.ptr[i - 1]) || file.ptr[i - 1] == '.'); i--)
        ;
    if (i == at || i == 0 || file.ptr[i - 1] != '-' || !is_digit(file.ptr[i]))
        return none;
    return sonde_str_sub(file, i, at - i);
}

#if defined(__GLIBC__)
/* Parts of glibc carry its interface's version in their names. */
static bool is_libc(sonde_str file)
{
    static const char *const names[] = { "libc.so.6",   "libm.so.6",       "libdl.so.2",
                                         "librt.so.1",  "libpthread.so.0", "libresolv.so.2",
                                         "libutil.so.1" };
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (sonde_str_eq(file, sonde_str_from(names[i])))
            return true;
    return sonde_str_starts(file, SONDE_STR("ld-linux"));
}
#endif

/* The name may be a link to a file whose name says more. */
static sonde_str version_of(const char *path, sonde_str file, char room[PATH_MAX_BYTES])
{
    sonde_str version = sonde__library_version(file);
    sonde_str more;
    ssize_t len;

#if defined(__GLIBC__)
    if (is_libc(file))
        return sonde_str_from(gnu_get_libc_version());
#endif
    len = readlink(path, room, PATH_MAX_BYTES);
    more = sonde__library_version(file_of((sonde_str){ room, len > 0 ? (size_t)len : 0 }));
    return more.len > version.len ? more : version;
}

static void put_library(sonde_json_writer *w, const library *what)
{
    sonde_str file = file_of(sonde_str_from(what->path));
    char room[PATH_MAX_BYTES];
    char id[2 * BUILD_ID_MAX];

    sonde_json_begin_object(w);
    sonde_json_put_str(w, "name", file);
    sonde_json_put_str(w, "version", version_of(what->path, file, room));
    if (what->id_len > 0) {
        sonde_hex_bytes(what->id, what->id_len, id);
        sonde_json_put_str(w, "hash", (sonde_str){ id, 2 * (size_t)what->id_len });
    }
    sonde_json_end_object(w);
}

/* -- told ----------------------------------------------------------------------------------------- */

/* Whether it was not; from now on it is known. */
static bool is_new(const library *what)
{
    uint64_t hash = sonde_hash(0, what->path, strlen(what->path));
    uint32_t i;

    for (i = 0; i < l.known; i++)
        if (l.hash[i] == hash)
            return false;
    if (l.known == SONDE__TELEMETRY_LIBRARIES) {
        sonde__count(SONDE__TELEMETRY_DROPPED, 1);
        return false;
    }
    l.hash[l.known++] = hash;
    return true;
}

static void put_new(sonde__telemetry_request *r, const listing *all)
{
    sonde_json_writer *w = NULL;
    uint32_t i;

    for (i = 0; i < all->len; i++) {
        if (!is_new(&all->item[i]))
            continue;
        if (!w) {
            w = sonde__telemetry_begin(r, "app-dependencies-loaded");
            sonde_json_begin_object(w);
            sonde_json_key(w, SONDE_STR("dependencies"));
            sonde_json_begin_array(w);
        }
        put_library(w, &all->item[i]);
    }
    if (!w)
        return;
    sonde_json_end_array(w);
    sonde_json_end_object(w);
    sonde__telemetry_end(r);
}

void sonde__telemetry_libraries_put(sonde__telemetry_request *r)
{
    listing all;

    l.known = l.known_told; /* those of an event that was not taken */
    l.loads = 0;
    (void)dl_iterate_phdr(count_loads, &l.loads);
    if (l.loads == l.loads_told || !list(&all))
        return;
    if (all.left_out > 0)
        sonde__count(SONDE__TELEMETRY_DROPPED, all.left_out);
    put_new(r, &all);
    sonde_free(all.item);
}

void sonde__telemetry_libraries_told(void)
{
    l.known_told = l.known;
    l.loads_told = l.loads;
}

void sonde__telemetry_libraries_forget(void)
{
    memset(&l, 0, sizeof(l));
}

void sonde__telemetry_libraries_put_all(sonde_json_writer *w)
{
    listing all;
    uint32_t i;

    if (!list(&all))
        return;
    for (i = 0; i < all.len; i++)
        put_library(w, &all.item[i]);
    sonde_free(all.item);
}
