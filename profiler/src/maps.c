/* maps.c - records of objects, the snapshot of their tables, and the garbage of snapshots before. */
#include "maps.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

#include "frames.h"
#include "objects.h"
#include "unwind_build.h"

#define LOOK_NS          SONDE_NS_PER_S
#define MISSED_LOOK_NS   (SONDE_NS_PER_S / 2)
#define GONE_MAX         256u /* unloaded objects that are still found */
#define EH_FRAME_MAX     ((size_t)256 << 20)
#define EMPTY_SEEN_TWICE 2u

/* A snapshot with what only it held: tables of objects that are gone. */
typedef struct snapshot {
    sonde_prof__map map; /* first: handlers see only this */
    struct snapshot *next;
    size_t bytes;
    uint32_t empty_seen; /* drain cycles that found nobody under way */
    uint32_t dead_len;
    sonde_prof__table **dead;          /* behind the tables */
    const sonde_prof__table *tables[]; /* map.len, then dead_len */
} snapshot;

static _Alignas(64) _Atomic uint32_t under_way;
static _Alignas(64) _Atomic(snapshot *) current;
static _Atomic uint32_t missed;
static _Atomic bool poked;

/* All below: the drainer's. */
static struct {
    sonde_prof__loaded **records; /* by id */
    uint32_t records_len, records_cap;
    sonde_prof__loaded **live; /* by start */
    uint32_t live_len, live_cap;
    sonde_prof__loaded *gone[GONE_MAX];
    uint32_t gone_len;
    snapshot *garbage;
    size_t garbage_bytes;
    uint64_t generation;
    uint64_t next_look_ns;
    uint64_t next_missed_ns;
    uint32_t missed_seen;
    bool looked;
    sonde_prof__maps_counts counts;
} m;

/* -- handlers --------------------------------------------------------------------------------------- */

void sonde_prof__maps_enter(void)
{
    /* seq_cst: whoever finds 0 after a new snapshot was published knows that we load the new one */
    atomic_fetch_add_explicit(&under_way, 1, memory_order_seq_cst);
}

void sonde_prof__maps_leave(void)
{
    atomic_fetch_sub_explicit(&under_way, 1, memory_order_release);
}

uint32_t sonde_prof__maps_under_way(void)
{
    return atomic_load_explicit(&under_way, memory_order_seq_cst);
}

const sonde_prof__map *sonde_prof__maps_current(void)
{
    snapshot *s = atomic_load_explicit(&current, memory_order_seq_cst); /* see enter() */

    return s ? &s->map : NULL;
}

void sonde_prof__maps_missed(void)
{
    atomic_fetch_add_explicit(&missed, 1, memory_order_relaxed);
}

void sonde_prof__maps_poke(void)
{
    atomic_store_explicit(&poked, true, memory_order_release);
}

/* -- tables ----------------------------------------------------------------------------------------- */

/* Memory of an object that may be unloaded meanwhile: never by a plain load. */
static bool copy_range(const sonde_prof__range *from, uint8_t *to)
{
    struct iovec local = { to, from->hi - from->lo };
    struct iovec remote = { (void *)(uintptr_t)from->lo, from->hi - from->lo };

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)(from->hi - from->lo);
}

static sonde_status copy_image(const sonde_prof__range *from, sonde_prof__image *out)
{
    uint8_t *bytes;

    if (from->hi <= from->lo || from->hi - from->lo > EH_FRAME_MAX)
        return SONDE_ERR_TOO_BIG;
    bytes = (uint8_t *)sonde_malloc(from->hi - from->lo);
    if (!bytes)
        return SONDE_ERR_NOMEM;
    if (!copy_range(from, bytes)) {
        sonde_free(bytes);
        return SONDE_ERR_SYS;
    }
    *out = (sonde_prof__image){ bytes, from->hi - from->lo, from->lo };
    return SONDE_OK;
}

static void free_image(const sonde_prof__image *image)
{
    sonde_free((void *)(uintptr_t)image->bytes);
}

/* From .eh_frame to the end of the segment it lies in. */
static bool eh_frame_range(const sonde_prof__found *f, const sonde_prof__image *hdr,
                           sonde_prof__range *out)
{
    uint64_t at = sonde_prof__eh_frame_addr(hdr);
    uint32_t i;

    for (i = 0; i < f->segments_len; i++) {
        if (at < f->segments[i].lo || at >= f->segments[i].hi)
            continue;
        *out = (sonde_prof__range){ at, f->segments[i].hi };
        return true;
    }
    return false;
}

/* NULL: by frame pointers.  Only memory is worth another try. */
static sonde_status build_table(const sonde_prof__found *f, sonde_prof__table **out)
{
    sonde_prof__object o = { .arch = SONDE_PROF__ARCH_HERE,
                             .text_lo = f->text.lo,
                             .text_hi = f->text.hi };
    sonde_prof__range frame;
    sonde_status status;

    *out = NULL;
    if (f->hdr.hi <= f->hdr.lo)
        return SONDE_OK;
    status = copy_image(&f->hdr, &o.hdr);
    if (status != SONDE_OK)
        return status == SONDE_ERR_NOMEM ? status : SONDE_OK;
    if (eh_frame_range(f, &o.hdr, &frame))
        status = copy_image(&frame, &o.eh_frame);
    if (status == SONDE_OK)
        status = sonde_prof__table_build(&o, out);
    free_image(&o.hdr);
    free_image(&o.eh_frame);
    return status == SONDE_ERR_NOMEM ? status : SONDE_OK;
}

/* -- records ---------------------------------------------------------------------------------------- */

static bool is_same(const sonde_prof__loaded *l, const sonde_prof__found *f)
{
    return l->bias == f->bias && l->start == f->start && l->length == f->length &&
           l->file_offset == f->file_offset && l->build_id_len == f->build_id_len &&
           memcmp(l->build_id, f->build_id, f->build_id_len) == 0 &&
           sonde_str_eq(l->path, sonde_str_from(f->path)) &&
           (l->inode == f->inode || l->inode == 0 || f->inode == 0);
}

static sonde_prof__loaded *find_record(const sonde_prof__found *f)
{
    uint32_t i;

    for (i = m.records_len; i-- > 0;)
        if (is_same(m.records[i], f))
            return m.records[i];
    return NULL;
}

static bool has_room(sonde_prof__loaded ***list, uint32_t len, uint32_t *cap)
{
    uint32_t more = *cap ? *cap * 2 : 64;
    sonde_prof__loaded **grown;

    if (len < *cap)
        return true;
    grown = (sonde_prof__loaded **)sonde_realloc((void *)*list, more * sizeof(**list));
    if (!grown)
        return false;
    *list = grown;
    *cap = more;
    return true;
}

/* Takes the path over. */
static sonde_prof__loaded *new_record(sonde_prof__found *f)
{
    sonde_prof__loaded *l;

    if (!has_room(&m.records, m.records_len, &m.records_cap))
        return NULL;
    l = (sonde_prof__loaded *)sonde_calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->id = SONDE_PROF__FIRST_MAP + m.records_len;
    l->flags = f->flags;
    l->start = f->start;
    l->length = f->length;
    l->file_offset = f->file_offset;
    l->bias = f->bias;
    l->device = f->device;
    l->inode = f->inode;
    l->mtime_s = f->mtime_s;
    l->path = sonde_str_from(f->path);
    f->path = NULL;
    memcpy(l->build_id, f->build_id, f->build_id_len);
    l->build_id_len = f->build_id_len;
    m.records[m.records_len++] = l;
    return l;
}

/* The record of a found object, with its table.  SONDE_ERR_FULL: no more records. */
static sonde_status record_of(sonde_prof__found *f, sonde_prof__loaded **out)
{
    sonde_prof__loaded *l = find_record(f);

    if (!l && m.records_len == SONDE_PROF__RECORDS_MAX) {
        m.counts.full++;
        return SONDE_ERR_FULL;
    }
    if (!l)
        l = new_record(f);
    if (!l)
        return SONDE_ERR_NOMEM;
    *out = l;
    return l->table ? SONDE_OK : build_table(f, &l->table);
}

static int by_start(const void *x, const void *y)
{
    const sonde_prof__loaded *a = *(sonde_prof__loaded *const *)x;
    const sonde_prof__loaded *b = *(sonde_prof__loaded *const *)y;

    return (a->start > b->start) - (a->start < b->start);
}

/* Objects by ascending start, each with a record; `*out` is the caller's. */
static sonde_status make_live(sonde_prof__objects *found, sonde_prof__loaded ***out,
                              uint32_t *out_len)
{
    sonde_prof__loaded **live =
        (sonde_prof__loaded **)sonde_calloc(found->len + 1, sizeof(sonde_prof__loaded *));
    sonde_status status = live ? SONDE_OK : SONDE_ERR_NOMEM;
    uint32_t i, len = 0;

    for (i = 0; i < found->len && status == SONDE_OK; i++) {
        status = record_of(&found->items[i], &live[len]);
        if (status == SONDE_OK)
            len++;
        else if (status == SONDE_ERR_FULL)
            status = SONDE_OK;
    }
    if (status != SONDE_OK) {
        sonde_free((void *)live);
        return status;
    }
    if (len > 0)
        qsort((void *)live, len, sizeof(sonde_prof__loaded *), by_start);
    *out = live;
    *out_len = len;
    return SONDE_OK;
}

/* -- publication ------------------------------------------------------------------------------------ */

static size_t snapshot_bytes(uint32_t tables, uint32_t dead)
{
    return sizeof(snapshot) + ((size_t)tables + dead) * sizeof(sonde_prof__table *);
}

static void free_snapshot(snapshot *s)
{
    uint32_t i;

    for (i = 0; i < s->dead_len; i++)
        sonde_prof__table_free(s->dead[i]);
    sonde_free(s);
}

/* A table that wants to be in the snapshot, and which of two that cover the same address gets there. */
typedef struct wish {
    const sonde_prof__table *table;
    uint32_t rank; /* the higher one does */
} wish;

typedef struct wishes {
    wish *items;
    uint32_t len;
} wishes;

static int by_text(const void *x, const void *y)
{
    const wish *a = x, *b = y;

    return (a->table->text_lo > b->table->text_lo) - (a->table->text_lo < b->table->text_lo);
}

/* Of generated code the younger: the memory of the other was used again, and nobody said so. */
static void wish_for(void *user, sonde_prof__table *table)
{
    wishes *w = user;

    w->items[w->len] = (wish){ table, w->len };
    w->len++;
}

/* Ascending, without those that overlap others. */
static uint32_t choose(wishes *w, const sonde_prof__table **out)
{
    uint32_t i, len = 0, rank = 0;

    if (w->len > 0)
        qsort(w->items, w->len, sizeof(w->items[0]), by_text);
    for (i = 0; i < w->len; i++) {
        bool overlaps = len > 0 && w->items[i].table->text_lo < out[len - 1]->text_hi;

        if (overlaps && w->items[i].rank < rank)
            continue;
        out[overlaps ? len - 1 : len++] = w->items[i].table;
        rank = w->items[i].rank;
    }
    return len;
}

/* With room behind the tables for those that the next snapshot leaves out. */
static snapshot *make_snapshot(sonde_prof__loaded *const *live, uint32_t len)
{
    uint32_t most = len + sonde_prof__frames_len(), i, generated;
    snapshot *s = (snapshot *)sonde_calloc(1, snapshot_bytes(most, most));
    wishes w = { (wish *)sonde_calloc(most + 1, sizeof(wish)), 0 };

    if (!s || !w.items) {
        sonde_free(s);
        sonde_free(w.items);
        return NULL;
    }
    sonde_prof__frames_each(wish_for, &w);
    generated = w.len;
    for (i = 0; i < len; i++)
        if (live[i]->table)
            w.items[w.len++] = (wish){ live[i]->table, generated + 1 };
    s->map = (sonde_prof__map){ choose(&w, s->tables), s->tables };
    s->dead = (sonde_prof__table **)(uintptr_t)(s->tables + most);
    s->bytes = snapshot_bytes(most, most);
    sonde_free(w.items);
    return s;
}

static void note_gone(sonde_prof__loaded *l, snapshot *last, uint64_t now_mono_ns)
{
    l->is_loaded = false;
    l->unloaded_mono_ns = now_mono_ns;
    if (l->table && last) {
        last->dead[last->dead_len++] = l->table;
        last->bytes += sonde_prof__table_bytes(l->table);
        l->table = NULL;
    }
    if (m.gone_len == GONE_MAX)
        memmove((void *)m.gone, (void *)(m.gone + 1), --m.gone_len * sizeof(m.gone[0]));
    m.gone[m.gone_len++] = l;
}

static void replace_live(sonde_prof__loaded **live, uint32_t len, snapshot *last, uint64_t now)
{
    uint32_t i;

    for (i = 0; i < m.live_len; i++)
        m.live[i]->is_loaded = false;
    for (i = 0; i < len; i++)
        live[i]->is_loaded = true;
    for (i = 0; i < m.live_len; i++)
        if (!m.live[i]->is_loaded)
            note_gone(m.live[i], last, now);
    sonde_free((void *)m.live);
    m.live = live;
    m.live_len = len;
}

/* To `last`, which handlers may hold; without one nothing was shown to anybody. */
static void bury_frames(snapshot *last)
{
    sonde_prof__table **dead = last ? last->dead + last->dead_len : NULL;
    uint32_t n = sonde_prof__frames_gone(dead), i;

    for (i = 0; i < n; i++)
        last->bytes += sonde_prof__table_bytes(dead[i]);
    if (n > 0)
        last->dead_len += n;
}

static bool is_unchanged(sonde_prof__loaded *const *live, uint32_t len)
{
    return len == m.live_len && (len == 0 || memcmp((const void *)live, (const void *)m.live,
                                                    len * sizeof(live[0])) == 0);
}

static sonde_status publish(sonde_prof__loaded **live, uint32_t len, uint64_t now)
{
    snapshot *last = atomic_load_explicit(&current, memory_order_relaxed);
    snapshot *s = make_snapshot(live, len);

    if (!s)
        return SONDE_ERR_NOMEM;
    atomic_store_explicit(&current, s, memory_order_seq_cst); /* pairs with maps_current() */
    replace_live(live, len, last, now);
    bury_frames(last);
    if (last) {
        last->next = m.garbage;
        m.garbage = last;
        m.garbage_bytes += last->bytes;
    }
    m.counts.refreshes++;
    return SONDE_OK;
}

static void collect_garbage(void)
{
    bool empty = sonde_prof__maps_under_way() == 0;
    snapshot **at = &m.garbage;

    while (*at) {
        snapshot *s = *at;

        if (empty)
            s->empty_seen++;
        if (s->empty_seen < EMPTY_SEEN_TWICE) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        m.garbage_bytes -= s->bytes;
        free_snapshot(s);
    }
}

/* -- looking ---------------------------------------------------------------------------------------- */

static sonde_status look(uint64_t now)
{
    sonde_prof__loaded **live = NULL;
    sonde_prof__objects found;
    sonde_status status, built;
    uint32_t len = 0;

    status = sonde_prof__objects_read(&found);
    if (status != SONDE_OK)
        return status;
    status = make_live(&found, &live, &len);
    sonde_prof__objects_done(&found);
    if (status != SONDE_OK)
        return status;
    built = sonde_prof__frames_refresh();
    if (m.looked && !sonde_prof__frames_changed() && is_unchanged(live, len)) {
        sonde_free((void *)live);
        return SONDE_OK;
    }
    status = publish(live, len, now);
    if (status != SONDE_OK)
        sonde_free((void *)live);
    m.looked = m.looked || status == SONDE_OK;
    return status == SONDE_OK ? built : status;
}

static bool is_due(uint64_t now)
{
    uint32_t met = atomic_load_explicit(&missed, memory_order_relaxed);
    uint64_t generation;

    if (!m.looked || atomic_exchange_explicit(&poked, false, memory_order_acquire))
        return true;
    if (met != m.missed_seen && now >= m.next_missed_ns) {
        m.next_missed_ns = now + MISSED_LOOK_NS;
        m.counts.missed += met - m.missed_seen;
        m.missed_seen = met;
        return true;
    }
    if (now < m.next_look_ns)
        return false;
    m.next_look_ns = now + LOOK_NS;
    generation = sonde_prof__objects_generation();
    return generation != m.generation || sonde_prof__frames_changed();
}

sonde_status sonde_prof__maps_refresh(uint64_t now_mono_ns)
{
    uint64_t generation;
    sonde_status status;

    collect_garbage();
    if (!is_due(now_mono_ns))
        return SONDE_OK;
    if (m.garbage_bytes > SONDE_PROF__GARBAGE_MAX_BYTES) {
        m.counts.garbage_full++;
        return SONDE_OK;
    }
    generation = sonde_prof__objects_generation(); /* before: what comes later is seen next time */
    status = look(now_mono_ns);
    m.next_look_ns = now_mono_ns + LOOK_NS;
    if (status == SONDE_OK)
        m.generation = generation;
    return status;
}

/* -- the drainer's questions ------------------------------------------------------------------------ */

static bool covers(const sonde_prof__loaded *l, uint64_t address)
{
    return address >= l->start && address - l->start < l->length;
}

const sonde_prof__loaded *sonde_prof__maps_find(uint64_t address)
{
    uint32_t lo = 0, hi = m.live_len, i;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (m.live[mid]->start <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo > 0 && covers(m.live[lo - 1], address))
        return m.live[lo - 1];
    for (i = m.gone_len; i-- > 0;)
        if (covers(m.gone[i], address))
            return m.gone[i];
    return NULL;
}

const sonde_prof__loaded *sonde_prof__maps_by_id(uint32_t id)
{
    uint32_t at = id - SONDE_PROF__FIRST_MAP;

    return id >= SONDE_PROF__FIRST_MAP && at < m.records_len ? m.records[at] : NULL;
}

void sonde_prof__maps_forget(void)
{
    m.gone_len = 0;
}

uint32_t sonde_prof__maps_len(void)
{
    return m.records_len;
}

sonde_prof__maps_counts sonde_prof__maps_counted(void)
{
    sonde_prof__maps_counts c = m.counts;
    uint32_t i;

    c.table_bytes = sonde_prof__frames_table_bytes();
    for (i = 0; i < m.live_len; i++)
        if (m.live[i]->table)
            c.table_bytes += sonde_prof__table_bytes(m.live[i]->table);
    return c;
}

void sonde_prof__maps_postfork_child(void)
{
    atomic_store_explicit(&under_way, 0, memory_order_relaxed);
}

void sonde_prof__maps_done(void)
{
    snapshot *s = atomic_exchange_explicit(&current, NULL, memory_order_seq_cst);
    uint32_t i;

    while (m.garbage) {
        snapshot *next = m.garbage->next;

        free_snapshot(m.garbage);
        m.garbage = next;
    }
    if (s)
        free_snapshot(s);
    sonde_prof__frames_done();
    for (i = 0; i < m.records_len; i++) {
        sonde_prof__table_free(m.records[i]->table);
        sonde_free((void *)(uintptr_t)m.records[i]->path.ptr);
        sonde_free(m.records[i]);
    }
    sonde_free((void *)m.records);
    sonde_free((void *)m.live);
    memset(&m, 0, sizeof(m));
}
