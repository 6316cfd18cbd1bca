/* symbols.c - the objects of all processes: who has which, what of them is in memory.
 *
 * An object is made when a mapping that has it arrives, and opened then; its index is made at the first
 * question.  It lives as long as somebody has a reference or its index is within the ceiling.
 */
#include "symbols.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/table.h"
#include "symbols_disk.h"
#include "symbols_fetch.h"
#include "symbols_object.h"

#define DEFAULT_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define AWAIT_FILES_NS    (5 * (uint64_t)SONDE_NS_PER_S)
#define OBJECT_BYTES      512 /* one without an index, key and all */

/* ---- the list by use ---- */

static void unlink_locked(symbols *s, symbol_object *o)
{
    *(o->newer ? &o->newer->older : &s->newest) = o->older;
    *(o->older ? &o->older->newer : &s->oldest) = o->newer;
    o->newer = o->older = NULL;
}

static void push_newest_locked(symbols *s, symbol_object *o)
{
    o->older = s->newest;
    o->newer = NULL;
    *(s->newest ? &s->newest->newer : &s->oldest) = o;
    s->newest = o;
}

static void drop_index(symbol_object *o)
{
    symbol_index_done(&o->index);
    symbol_index_init(&o->index, o->of->options.max_bytes);
    dwarf_reader_close(o->dwarf);
    o->dwarf = NULL;
    if (o->map_fd >= 0)
        (void)close(o->map_fd);
    o->map_fd = -1;
}

static void free_object(symbol_object *o)
{
    if (o->fd >= 0)
        (void)close(o->fd);
    drop_index(o);
    sonde_free((void *)(uintptr_t)o->path.ptr);
    sonde_free(o);
}

static void forget_locked(symbols *s, symbol_object *o)
{
    (void)sonde_table_remove(&s->objects, sonde_str_from(o->key));
    unlink_locked(s, o);
    s->bytes -= o->bytes;
    if (o->fd >= 0)
        s->open_fds--;
    free_object(o);
    symbols_count(&s->counters.objects_evicted);
}

/* Objects nobody refers to make room, the one unused longest first. */
static void evict_locked(symbols *s)
{
    symbol_object *o = s->oldest, *newer;

    while (o && (s->bytes > s->options.max_bytes || s->objects.count >= SYMBOLS_OBJECTS_MAX)) {
        newer = o->newer;
        if (o->refs == 0)
            forget_locked(s, o);
        o = newer;
    }
}

/* ---- objects ---- */

static void write_key(const symbol_request *r, char out[SYMBOL_KEY_MAX_BYTES])
{
    size_t len = r->build_id_len < SYMBOLS_BUILD_ID_MAX ? r->build_id_len : SYMBOLS_BUILD_ID_MAX;

    if (r->map_pid) {
        (void)snprintf(out, SYMBOL_KEY_MAX_BYTES, "map of %u in %d", r->map_pid, (int)r->pid);
    } else if (len) {
        for (size_t i = 0; i < len; i++)
            (void)snprintf(out + 2 * i, 3, "%02x", r->build_id[i]);
    } else if (r->inode) {
        (void)snprintf(out, SYMBOL_KEY_MAX_BYTES, "%llx:%llx:%llx", (unsigned long long)r->device,
                       (unsigned long long)r->inode, (unsigned long long)r->mtime_s);
    } else { /* of this process only */
        (void)snprintf(out, SYMBOL_KEY_MAX_BYTES, "pid %d at %llx", (int)r->pid,
                       (unsigned long long)r->start);
    }
}

static symbol_object *new_object(symbols *s, const symbol_request *r)
{
    symbol_object *o = sonde_calloc(1, sizeof(*o));
    char *path = sonde_strndup(r->path.ptr, r->path.len);

    if (!o || !path) {
        sonde_free(o);
        sonde_free(path);
        return NULL;
    }
    o->of = s;
    o->fd = o->map_fd = -1;
    o->request = *r;
    o->path = (sonde_str){ path, r->path.len };
    o->request.path = o->path;
    if (o->request.build_id_len > SYMBOLS_BUILD_ID_MAX)
        o->request.build_id_len = SYMBOLS_BUILD_ID_MAX;
    if (o->request.build_id_len)
        memcpy(o->build_id, r->build_id, o->request.build_id_len);
    o->request.build_id = o->build_id;
    o->bytes = OBJECT_BYTES + r->path.len;
    symbol_index_init(&o->index, o->of->options.max_bytes);
    write_key(r, o->key);
    return o;
}

static symbol_object *find_locked(symbols *s, const char *key)
{
    symbol_object *o = sonde_table_get(&s->objects, sonde_str_from(key));

    if (!o)
        return NULL;
    unlink_locked(s, o);
    push_newest_locked(s, o);
    o->refs++;
    return o;
}

/* Its file is wanted: never tried, or a long time ago. */
static void want_file_locked(symbols *s, symbol_object *o, uint64_t at)
{
    if (o->fd >= 0 || o->indexed || o->is_to_open ||
        (o->tried_mono_ns && at - o->tried_mono_ns <= SYMBOLS_RETRY_NS))
        return;
    o->tried_mono_ns = at ? at : 1;
    o->is_to_open = true;
    o->refs++;
    o->next_to_open = s->to_open;
    s->to_open = o;
}

symbol_object *symbols_get(symbols *s, const symbol_request *r)
{
    char key[SYMBOL_KEY_MAX_BYTES];
    symbol_object *o, *made;
    uint64_t at = symbols_now(s);

    write_key(r, key);
    sonde_mutex_lock(&s->mu);
    o = find_locked(s, key);
    if (!o) {
        evict_locked(s);
        made = new_object(s, r);
        if (made && sonde_table_put(&s->objects, sonde_str_from(key), made) == SONDE_OK) {
            o = made;
            o->refs = 1;
            push_newest_locked(s, o);
            s->bytes += o->bytes;
        } else if (made) {
            free_object(made);
        }
    }
    if (o)
        want_file_locked(s, o, at);
    sonde_mutex_unlock(&s->mu);
    return o;
}

/* The next object to open, with its reference; NULL: none. */
static symbol_object *next_to_open(symbols *s)
{
    symbol_object *o;

    sonde_mutex_lock(&s->mu);
    o = s->to_open;
    if (o) {
        s->to_open = o->next_to_open;
        o->is_to_open = false;
        if (s->open_fds >= SYMBOLS_OPEN_MAX) { /* whoever asks for a name tries again */
            symbols_count(&s->counters.open_limit);
            o->refs--;
            o->tried_mono_ns = 0;
            o = NULL;
        }
    }
    s->opening += o != NULL;
    sonde_mutex_unlock(&s->mu);
    return o;
}

static void give_file(symbols *s, symbol_object *o, int fd)
{
    sonde_mutex_lock(&s->mu);
    if (fd >= 0 && o->fd < 0) {
        o->fd = fd;
        s->open_fds++;
        fd = -1;
    }
    if (--s->opening == 0)
        (void)pthread_cond_broadcast(&s->opened);
    sonde_mutex_unlock(&s->mu);
    if (fd >= 0)
        (void)close(fd);
}

static int open_object(symbols *s, const symbol_object *o)
{
    int fd = o->request.map_pid ? perf_map_open(s->options.proc, &o->request)
                                : object_open(s->options.proc, &o->request);

    symbols_count(fd >= 0 ? &s->counters.objects_opened : &s->counters.objects_missing);
    return fd;
}

void symbols_open_files(symbols *s)
{
    symbol_object *o;

    while ((o = next_to_open(s)) != NULL) {
        int fd = open_object(s, o);

        give_file(s, o, fd);
        symbol_object_put(o);
    }
}

void symbols_await_files(symbols *s)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), AWAIT_FILES_NS);

    symbols_open_files(s);
    sonde_mutex_lock(&s->mu);
    while (s->opening > 0 && sonde_mono_ns() < deadline)
        sonde_cond_wait_until(&s->opened, &s->mu, deadline);
    sonde_mutex_unlock(&s->mu);
}

void symbol_object_get(symbol_object *o)
{
    sonde_mutex_lock(&o->of->mu);
    o->refs++;
    sonde_mutex_unlock(&o->of->mu);
}

void symbol_object_put(symbol_object *o)
{
    symbols *s;

    if (!o)
        return;
    s = o->of;
    sonde_mutex_lock(&s->mu);
    o->refs--;
    evict_locked(s);
    sonde_mutex_unlock(&s->mu);
}

/* ---- indexes ---- */

/* Takes the file away from the object: it is read once. */
static int take_file(symbols *s, symbol_object *o)
{
    int fd;

    sonde_mutex_lock(&s->mu);
    fd = o->fd;
    if (fd >= 0)
        s->open_fds--;
    o->fd = -1;
    sonde_mutex_unlock(&s->mu);
    return fd >= 0 ? fd : open_object(s, o); /* there may have been too many open ones */
}

/* Indexes of others make room, the one unused longest first.  Called by the thread that uses them. */
static void drop_indexes_locked(symbols *s, const symbol_object *but)
{
    for (symbol_object *o = s->oldest; o && s->bytes > s->options.max_bytes; o = o->newer) {
        if (o == but || o->index_bytes == 0)
            continue;
        s->bytes -= o->index_bytes;
        o->bytes -= o->index_bytes;
        o->index_bytes = 0;
        o->indexed = false;
        o->tried_mono_ns = 0;
        drop_index(o);
        symbols_count(&s->counters.indexes_dropped);
    }
}

static void acsymbols_count(symbols *s, symbol_object *o)
{
    size_t bytes = symbol_index_bytes(&o->index) + (o->dwarf ? dwarf_reader_bytes(o->dwarf) : 0);

    sonde_mutex_lock(&s->mu);
    o->indexed = true;
    s->bytes += bytes - o->index_bytes;
    o->bytes += bytes - o->index_bytes;
    o->index_bytes = bytes;
    unlink_locked(s, o);
    push_newest_locked(s, o);
    evict_locked(s);
    drop_indexes_locked(s, o);
    sonde_mutex_unlock(&s->mu);
}

static void make_index(symbols *s, symbol_object *o)
{
    int fd = take_file(s, o);
    sonde_status status;

    o->looked_mono_ns = symbols_now(s);
    if (!o->request.map_pid)
        drop_index(o);
    status = object_read(o, fd);
    object_want_debug(o);
    if (o->index.cut)
        symbols_count(&s->counters.objects_cut);
    symbols_count(status == SONDE_OK ? &s->counters.objects_indexed : &s->counters.objects_failed);
    acsymbols_count(s, o);
}

/* Generated code is new code all the time; what could not be read may be there later. */
static bool wants_index(symbols *s, symbol_object *o)
{
    struct stat st;
    uint64_t age;

    if (!o->indexed || object_has_debug_come(o))
        return true;
    if (o->map_fd < 0 && (o->index.len > 0 || o->dwarf))
        return false;
    age = symbols_now(s) - o->looked_mono_ns;
    if (o->map_fd < 0)
        return age > (o->request.map_pid ? PERF_MAP_LOOK_NS : SYMBOLS_RETRY_NS);
    if (age < PERF_MAP_LOOK_NS)
        return false;
    o->looked_mono_ns = symbols_now(s);
    return fstat(o->map_fd, &st) == 0 &&
           (st.st_size != o->map_bytes || st.st_mtim.tv_sec != o->map_time.tv_sec ||
            st.st_mtim.tv_nsec != o->map_time.tv_nsec);
}

/* ---- answers ---- */

/* Readable names go one behind the other into a buffer, which may move while it grows. */
static void demangle(symbols *s, symbol_line *lines, size_t len)
{
    size_t at[SYMBOLS_LINES_MAX];

    sonde_buf_reset(&s->names);
    for (size_t i = 0; i < len; i++) {
        at[i] = s->names.len;
        if (lines[i].name.len && symbol_demangle(lines[i].name.ptr, &s->names))
            lines[i].system_name = lines[i].name;
    }
    for (size_t i = 0; i < len; i++) {
        if (lines[i].system_name.len)
            lines[i].name = sonde_str_from((const char *)s->names.data + at[i]);
    }
}

/* "main" in "main.cold": the same function. */
static bool is_part_of(sonde_str symbol, sonde_str function)
{
    return function.len > 0 && symbol.len > function.len && symbol.ptr[function.len] == '.' &&
           sonde_str_starts(symbol, function);
}

/* The function that owns the code, by the symbol table, where that knows more. */
static size_t add_symbol(symbol_object *o, uint64_t address, symbol_line *out, size_t len)
{
    const symbol_entry *e;
    sonde_str name;

    if (len && out[len - 1].name.len && !out[len - 1].is_short)
        return len;
    e = symbol_index_find(&o->index, address);
    if (!e)
        return len;
    if (len == 0)
        out[len++] = (symbol_line){ .line = 0 };
    name = sonde_str_from(symbol_index_name(&o->index, e));
    if (!is_part_of(name, out[len - 1].name))
        out[len - 1].name = name;
    return len;
}

size_t symbols_resolve(symbol_object *o, uint64_t address, symbol_line out[SYMBOLS_LINES_MAX])
{
    symbols *s = o->of;
    size_t len;

    if (wants_index(s, o))
        make_index(s, o);
    len = o->dwarf ? dwarf_reader_lines(o->dwarf, address, out) : 0;
    len = add_symbol(o, address, out, len);
    if (len && out[len - 1].name.len == 0)
        len = 0; /* a place without a name tells less than the address */
    symbols_count(len ? &s->counters.resolved : &s->counters.unresolved);
    demangle(s, out, len);
    return len;
}

/* A function of no known size would reach into the data: only what has one counts. */
sonde_str symbols_resolve_data(symbol_object *o, uint64_t address, uint64_t *out_offset)
{
    symbol_line line = { .line = 0 };
    const symbol_entry *e;

    if (wants_index(o->of, o))
        make_index(o->of, o);
    e = symbol_index_find(&o->index, address);
    if (!e || address - e->address >= e->size)
        return line.name;
    *out_offset = address - e->address;
    line.name = sonde_str_from(symbol_index_name(&o->index, e));
    demangle(o->of, &line, 1);
    return line.name;
}

/* ---- life ---- */

sonde_status symbols_open(const symbols_options *options, symbols **out_symbols)
{
    symbols *s = sonde_calloc(1, sizeof(*s));

    if (!s)
        return SONDE_ERR_NOMEM;
    s->options = *options;
    if (!s->options.max_bytes)
        s->options.max_bytes = DEFAULT_MAX_BYTES;
    if (!s->options.proc)
        s->options.proc = "/proc";
    if (!s->options.debug_dir)
        s->options.debug_dir = "/usr/lib/debug";
    if (!s->options.clock)
        s->options.clock = &sonde_system_clock;
    sonde_mutex_init(&s->mu, SONDE_RANK_POOL);
    sonde_cond_init(&s->opened);
    sonde_table_init(&s->objects, SYMBOLS_OBJECTS_MAX);
    sonde_buf_init(&s->names, (size_t)1024 * 1024);
    *out_symbols = s;
    return SONDE_OK;
}

void symbols_close(symbols *s)
{
    if (!s)
        return;
    while (s->oldest)
        forget_locked(s, s->oldest);
    sonde_table_done(&s->objects);
    sonde_buf_done(&s->names);
    (void)pthread_cond_destroy(&s->opened);
    sonde_mutex_done(&s->mu);
    sonde_free(s);
}

void symbols_write_json(symbols *s, sonde_json_writer *w)
{
    const symbols_counters *c = &s->counters;
    size_t bytes, objects, open_files;

    sonde_mutex_lock(&s->mu);
    bytes = s->bytes;
    objects = s->objects.count;
    open_files = s->open_fds;
    sonde_mutex_unlock(&s->mu);
    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "objects", objects);
    sonde_json_put_u64(w, "bytes", bytes);
    sonde_json_put_u64(w, "bytes_max", s->options.max_bytes);
    sonde_json_put_u64(w, "open_files", open_files);
    sonde_json_put_counter(w, "objects_opened", &c->objects_opened);
    sonde_json_put_counter(w, "objects_missing", &c->objects_missing);
    sonde_json_put_counter(w, "objects_indexed", &c->objects_indexed);
    sonde_json_put_counter(w, "objects_failed", &c->objects_failed);
    sonde_json_put_counter(w, "objects_cut", &c->objects_cut);
    sonde_json_put_counter(w, "objects_evicted", &c->objects_evicted);
    sonde_json_put_counter(w, "indexes_dropped", &c->indexes_dropped);
    sonde_json_put_counter(w, "lines_too_big", &c->lines_too_big);
    sonde_json_put_counter(w, "open_limit", &c->open_limit);
    sonde_json_put_counter(w, "resolved", &c->resolved);
    sonde_json_put_counter(w, "unresolved", &c->unresolved);
    if (s->options.disk) {
        sonde_json_key(w, SONDE_STR("disk"));
        symbols_disk_write_json(s->options.disk, w);
    }
    if (s->options.fetch) {
        sonde_json_key(w, SONDE_STR("debuginfod"));
        symbols_fetch_write_json(s->options.fetch, w);
    }
    sonde_json_end_object(w);
}
