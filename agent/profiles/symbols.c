/* symbols.c - the objects of all processes: who has which, what of them is in memory.
 *
 * An object is made when a mapping that has it arrives, and opened then; its index is made at the first
 * question.  It lives as long as somebody has a reference or its index is within the ceiling.
 */
#include "symbols.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/table.h"
#include "symbols_internal.h"

#define DEFAULT_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define KEY_MAX_BYTES     160
#define AWAIT_FILES_NS    (5 * (uint64_t)SONDE_NS_PER_S)
#define OBJECT_BYTES      512 /* one without an index, key and all */

struct symbol_object {
    symbols *of;
    char key[KEY_MAX_BYTES];
    sonde_str path;         /* owned */
    symbol_request request; /* path: the one above; build_id: below */
    uint8_t build_id[SYMBOLS_BUILD_ID_MAX];
    unsigned refs; /* guarded by symbols.mu, as everything down to is_to_open */
    size_t bytes;
    symbol_object *newer, *older; /* by use */
    int fd;                       /* -1: none, or indexed already */
    uint64_t tried_mono_ns;       /* to open it; 0: never */
    symbol_object *next_to_open;
    bool is_to_open;
    /* the resolving thread's */
    bool indexed;
    symbol_index index;
};

struct symbols {
    symbols_options options;
    sonde_mutex mu;
    sonde_table objects;
    symbol_object *newest, *oldest;
    size_t bytes;
    unsigned open_fds;
    symbol_object *to_open; /* each with a reference */
    unsigned opening;       /* files somebody is at */
    pthread_cond_t opened;  /* opening fell to 0 */
    sonde_buf names;        /* of the last answer; the resolving thread's */
    symbols_counters counters;
};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t now(const symbols *s)
{
    return s->options.clock->mono_ns(s->options.clock->user);
}

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

static void free_object(symbol_object *o)
{
    if (o->fd >= 0)
        (void)close(o->fd);
    symbol_index_done(&o->index);
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
    count(&s->counters.objects_evicted);
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

static void write_key(const symbol_request *r, char out[KEY_MAX_BYTES])
{
    size_t len = r->build_id_len < SYMBOLS_BUILD_ID_MAX ? r->build_id_len : SYMBOLS_BUILD_ID_MAX;

    if (len) {
        for (size_t i = 0; i < len; i++)
            (void)snprintf(out + 2 * i, 3, "%02x", r->build_id[i]);
    } else if (r->inode) {
        (void)snprintf(out, KEY_MAX_BYTES, "%llx:%llx:%llx", (unsigned long long)r->device,
                       (unsigned long long)r->inode, (unsigned long long)r->mtime_s);
    } else { /* of this process only: the vdso, generated code */
        (void)snprintf(out, KEY_MAX_BYTES, "pid %d at %llx", (int)r->pid,
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
    o->fd = -1;
    o->request = *r;
    o->path = (sonde_str){ path, r->path.len };
    o->request.path = o->path;
    if (o->request.build_id_len > SYMBOLS_BUILD_ID_MAX)
        o->request.build_id_len = SYMBOLS_BUILD_ID_MAX;
    if (o->request.build_id_len)
        memcpy(o->build_id, r->build_id, o->request.build_id_len);
    o->request.build_id = o->build_id;
    o->bytes = OBJECT_BYTES + r->path.len;
    symbol_index_init(&o->index);
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
    char key[KEY_MAX_BYTES];
    symbol_object *o, *made;
    uint64_t at = now(s);

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
            count(&s->counters.open_limit);
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

void symbols_open_files(symbols *s)
{
    symbol_object *o;

    while ((o = next_to_open(s)) != NULL) {
        int fd = object_open(s->options.proc, &o->request);

        count(fd >= 0 ? &s->counters.objects_opened : &s->counters.objects_missing);
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

/* ---- answers ---- */

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
    return fd;
}

/* Best first: the first table that has anything is the one; the rest adds what it lacks. */
static sonde_status read_object(symbols *s, symbol_object *o, int fd)
{
    elf_identity id;
    unsigned found = 0, more;
    sonde_status status = elf_read_identity(fd, &id);
    int companion;

    if (status != SONDE_OK)
        return status;
    companion = companion_open(s->options.debug_dir, s->options.proc, &o->request, fd, &id);
    if (companion >= 0) {
        status = elf_read_symbols(companion, ELF_SYMTAB, &o->index, &found);
        (void)close(companion);
    }
    if (status == SONDE_OK && !(found & ELF_SYMTAB))
        status = elf_read_symbols(fd, ELF_SYMTAB, &o->index, &found);
    if (status == SONDE_OK && !(found & ELF_SYMTAB))
        status = elf_read_symbols(fd, ELF_DYNSYM, &o->index, &more);
    return status;
}

static void make_index(symbols *s, symbol_object *o)
{
    int fd = take_file(s, o);
    sonde_status status;

    if (fd < 0)
        return;
    status = read_object(s, o, fd);
    (void)close(fd);
    symbol_index_seal(&o->index);
    count(status == SONDE_OK ? &s->counters.objects_indexed : &s->counters.objects_failed);
    sonde_mutex_lock(&s->mu);
    o->indexed = true;
    s->bytes += symbol_index_bytes(&o->index);
    o->bytes += symbol_index_bytes(&o->index);
    evict_locked(s);
    sonde_mutex_unlock(&s->mu);
}

size_t symbols_resolve(symbol_object *o, uint64_t address, symbol_line out[SYMBOLS_LINES_MAX])
{
    symbols *s = o->of;
    const symbol_entry *e;
    const char *name;

    if (!o->indexed)
        make_index(s, o);
    e = symbol_index_find(&o->index, address);
    count(e ? &s->counters.resolved : &s->counters.unresolved);
    if (!e)
        return 0;
    name = symbol_index_name(&o->index, e);
    sonde_buf_reset(&s->names);
    out[0] = (symbol_line){ .name = sonde_str_from(name) };
    if (symbol_demangle(name, &s->names)) {
        out[0].system_name = out[0].name;
        out[0].name = sonde_str_from((const char *)s->names.data);
    }
    return 1;
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
    sonde_json_put_counter(w, "objects_evicted", &c->objects_evicted);
    sonde_json_put_counter(w, "open_limit", &c->open_limit);
    sonde_json_put_counter(w, "resolved", &c->resolved);
    sonde_json_put_counter(w, "unresolved", &c->unresolved);
    sonde_json_end_object(w);
}
