/* symbols_read.c - the index of an object: from the disk, from its file and the one with its symbols, from a map. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spb.h"
#include "symbols_disk.h"
#include "symbols_fetch.h"
#include "symbols_object.h"

#define IDENTITY_LEAST 8 /* bytes of a build-id that is nobody else's */

/* Best first: a full table makes the lesser ones needless. */
static sonde_status read_names(symbol_object *o, int fd, int companion)
{
    unsigned found = 0;
    sonde_status status = SONDE_OK;

    if (o->is_loaded)
        return SONDE_OK;
    if (companion >= 0)
        status = elf_read_symbols(companion, ELF_SYMTAB, &o->index, &found);
    if (status == SONDE_OK)
        status = elf_read_symbols(fd, ELF_PLT | (found & ELF_SYMTAB ? 0 : ELF_SYMTAB), &o->index,
                                  &found);
    if (status == SONDE_OK && !(found & ELF_SYMTAB))
        status = elf_read_symbols(fd, ELF_DEBUGDATA | ELF_DYNSYM, &o->index, &found);
    o->is_whole = (found & (ELF_SYMTAB | ELF_DEBUGDATA)) != 0;
    return status;
}

/* Half of the cache at most for one object, unpacked or not; takes over the descriptor. */
static bool open_lines(symbols *s, symbol_object *o, int fd)
{
    char root[64];
    sonde_status status;

    (void)snprintf(root, sizeof(root), "%.40s/%d/root", s->options.proc, (int)o->request.pid);
    status = dwarf_reader_open(fd, o->request.pid > 0 ? root : NULL, s->options.debug_dir,
                               s->options.max_bytes / 2, &o->dwarf);
    if (status == SONDE_ERR_TOO_BIG)
        symbols_count(&s->counters.lines_too_big);
    return status == SONDE_OK;
}

/* Of the companion, where there is one: it takes over both descriptors. */
static void read_lines(symbols *s, symbol_object *o, int fd, int companion)
{
    if (companion >= 0 && open_lines(s, o, companion))
        (void)close(fd);
    else
        (void)open_lines(s, o, fd);
}

/* On this machine, or one that was fetched. */
static int find_companion(symbols *s, const symbol_object *o, int fd, const elf_identity *id)
{
    int companion = companion_open(s->options.debug_dir, s->options.proc, &o->request, fd, id);

    return companion < 0 && s->options.disk && id->build_id_len
               ? symbols_disk_open_debug(s->options.disk, id)
               : companion;
}

static sonde_status read_object(symbols *s, symbol_object *o, int fd)
{
    elf_identity id;
    sonde_status status = elf_read_identity(fd, &id);
    int companion = -1;

    if (status == SONDE_OK && (!o->is_loaded || s->options.lines)) {
        companion = find_companion(s, o, fd, &id);
        status = read_names(o, fd, companion);
    }
    if (status == SONDE_OK && s->options.lines) {
        read_lines(s, o, fd, companion);
        return status;
    }
    if (companion >= 0)
        (void)close(companion);
    (void)close(fd);
    return status;
}

/* The map of generated code stays open: it grows. */
static sonde_status read_map(symbol_object *o, int fd)
{
    struct stat st;
    sonde_status status;

    if (o->map_fd >= 0 && o->map_fd != fd)
        (void)close(o->map_fd);
    o->map_fd = fd;
    if (fstat(fd, &st) != 0)
        return SONDE_ERR_SYS;
    o->map_bytes = st.st_size;
    o->map_time = st.st_mtim;
    symbol_index_done(&o->index);
    symbol_index_init(&o->index, o->of->options.max_bytes);
    o->index.last_wins = true;
    status = perf_map_read(fd, &o->index);
    return status;
}

/* What it is called on disk and by those who have debug files; false: it has no name that is its own. */
static bool identity_of(const symbol_object *o, elf_identity *out)
{
    *out = (elf_identity){ .build_id_len = o->request.build_id_len };
    memcpy(out->build_id, o->build_id, o->request.build_id_len);
    return !o->request.map_pid && out->build_id_len >= IDENTITY_LEAST;
}

/* Of an object whose file is gone, the debug file may be here. */
static sonde_status read_file(symbols *s, symbol_object *o, int fd)
{
    elf_identity id;
    bool is_known = s->options.disk && identity_of(o, &id);

    o->is_loaded = is_known && symbols_disk_load(s->options.disk, &id, &o->index) == SONDE_OK;
    if (fd < 0 && is_known && (!o->is_loaded || s->options.lines))
        fd = symbols_disk_open_debug(s->options.disk, &id);
    if (fd < 0)
        return o->is_loaded ? SONDE_OK : SONDE_ERR_SYS;
    return read_object(s, o, fd);
}

void object_want_debug(symbol_object *o)
{
    symbols *s = o->of;
    elf_identity id;
    bool is_missing = !(o->is_whole || o->is_loaded) || (s->options.lines && !o->dwarf);

    o->wants_debug = s->options.fetch && is_missing && identity_of(o, &id) &&
                     !(o->request.flags & (SPB_MAPPING_ID_SYNTHETIC | SPB_MAPPING_VDSO));
    if (!o->wants_debug)
        return;
    o->arrived = symbols_fetch_arrived(s->options.fetch);
    symbols_fetch_want(s->options.fetch, &id);
}

bool object_has_debug_come(symbol_object *o)
{
    symbols *s = o->of;
    uint64_t arrived;
    elf_identity id;
    int fd = -1;

    if (!o->wants_debug)
        return false;
    arrived = symbols_fetch_arrived(s->options.fetch);
    if (arrived != o->arrived && identity_of(o, &id))
        fd = symbols_disk_open_debug(s->options.disk, &id);
    o->arrived = arrived;
    if (fd >= 0)
        (void)close(fd);
    else if (symbols_now(s) - o->looked_mono_ns > SYMBOLS_RETRY_NS) {
        o->looked_mono_ns = symbols_now(s);
        object_want_debug(o);
    }
    return fd >= 0;
}

sonde_status object_read(symbol_object *o, int fd)
{
    symbols *s = o->of;
    sonde_status status = SONDE_ERR_SYS;
    elf_identity id;

    o->is_whole = o->is_loaded = false;
    if (!o->request.map_pid)
        status = read_file(s, o, fd);
    else if (fd >= 0)
        status = read_map(o, fd);
    if (!o->is_loaded) /* it was, when it was written */
        symbol_index_seal(&o->index);
    if (status == SONDE_OK && s->options.disk && o->is_whole && identity_of(o, &id))
        symbols_disk_save(s->options.disk, &id, &o->index);
    return status;
}
