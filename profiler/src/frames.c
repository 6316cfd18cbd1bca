/* frames.c - sections by address under a lock of ours; their tables by age, the drainer's. */
#include "frames.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"

#include "counts.h"
#include "lock.h"
#include "unwind_build.h"

#define PAGE 4096u

/* Some JIT makes code before main(), when nothing of ours can allocate: the list is just there. */
typedef struct section {
    uint64_t at;
    uint64_t bytes;  /* 0: up to its end */
    uint64_t number; /* in the order they came */
    bool is_passed;
} section;

static sonde_prof__lock lock; /* guards the next three */
static section sections[SONDE_PROF__SECTIONS_MAX];
static uint32_t sections_len;
static uint64_t last_number;
static _Atomic uint64_t changes;

typedef struct built {
    uint64_t number;
    sonde_prof__table *table; /* NULL: none could be made */
    bool is_there;
    bool is_published;
} built;

/* The drainer's; by number. */
static built *tables;
static uint32_t tables_len, tables_cap;
static size_t tables_bytes;
static uint64_t changes_seen;
static bool is_unshown; /* built or gone, and no snapshot made since */

/* -- the list --------------------------------------------------------------------------------------- */

/* The first that begins above `at`. */
static uint32_t place_above(uint64_t at)
{
    uint32_t lo = 0, hi = sections_len;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (sections[mid].at <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* NULL: none begins there. */
static section *find_locked(uint64_t at)
{
    uint32_t above = place_above(at);

    return above > 0 && sections[above - 1].at == at ? &sections[above - 1] : NULL;
}

static void remove_locked(section *s)
{
    memmove(s, s + 1, (size_t)(&sections[--sections_len] - s) * sizeof(*s));
}

static sonde_status add_locked(section s)
{
    section *before = find_locked(s.at);
    uint32_t place;

    if (before)
        remove_locked(before);
    if (sections_len == SONDE_PROF__SECTIONS_MAX)
        return SONDE_ERR_FULL;
    s.number = ++last_number;
    place = place_above(s.at);
    memmove(&sections[place + 1], &sections[place], (sections_len++ - place) * sizeof(s));
    sections[place] = s;
    return SONDE_OK;
}

sonde_status sonde_prof__frames_add(const void *at, uint64_t bytes, bool is_passed)
{
    sonde_status status;

    if (!at)
        return SONDE_ERR_INVALID;
    sonde_prof__lock_take(&lock);
    status = add_locked((section){ (uint64_t)(uintptr_t)at, bytes, 0, is_passed });
    sonde_prof__lock_give(&lock);
    atomic_fetch_add_explicit(&changes, 1, memory_order_release);
    if (status != SONDE_OK)
        SONDE_PROF__COUNT(frames_full);
    return status;
}

bool sonde_prof__frames_remove(const void *at)
{
    bool is_passed = true;
    section *s;

    sonde_prof__lock_take(&lock);
    s = find_locked((uint64_t)(uintptr_t)at);
    if (s) {
        is_passed = s->is_passed;
        remove_locked(s);
    }
    sonde_prof__lock_give(&lock);
    atomic_fetch_add_explicit(&changes, 1, memory_order_release);
    return is_passed;
}

/* -- copying ---------------------------------------------------------------------------------------- */

/* Up to the end of its page. */
static bool copy_some(uint64_t from, size_t max, sonde_buf *to)
{
    size_t bytes = PAGE - (from & (PAGE - 1));
    struct iovec local, remote = { (void *)(uintptr_t)from, bytes < max ? bytes : max };

    local = (struct iovec){ sonde_buf_reserve(to, remote.iov_len), remote.iov_len };
    if (!local.iov_base ||
        process_vm_readv(getpid(), &local, 1, &remote, 1, 0) != (ssize_t)remote.iov_len)
        return false;
    sonde_buf_commit(to, remote.iov_len);
    return true;
}

/* Moves `*at` over whole entries; true: behind the last one, or nonsense. */
static bool is_at_end(const sonde_buf *copy, size_t *at)
{
    while (copy->len - *at >= 4) {
        sonde_prof__cursor c = { copy->data + *at, copy->data + copy->len, false };
        uint64_t len = sonde_prof__take(&c, 4);

        if (len == 0 || len > SONDE_PROF__SECTION_BYTES_MAX)
            return true; /* such long ones are no JIT's */
        if (len > copy->len - *at - 4)
            return false;
        *at += 4 + (size_t)len;
    }
    return false;
}

static void copy_locked(const section *s, sonde_buf *to)
{
    size_t max = SONDE_PROF__SECTION_BYTES_MAX, at = 0;

    if (s->bytes > 0 && s->bytes < max)
        max = (size_t)s->bytes;
    while (to->len < max && copy_some(s->at + to->len, max - to->len, to))
        if (is_at_end(to, &at))
            return;
}

/* -- tables ----------------------------------------------------------------------------------------- */

static int by_number(const void *x, const void *y)
{
    const section *a = x, *b = y;

    return (a->number > b->number) - (a->number < b->number);
}

/* What is there now, by age, `*out` the caller's. */
static sonde_status list_sections(section **out, uint32_t *out_len)
{
    section *list = (section *)sonde_malloc(sizeof(sections));

    if (!list)
        return SONDE_ERR_NOMEM;
    sonde_prof__lock_take(&lock);
    *out_len = sections_len;
    memcpy(list, sections, sections_len * sizeof(*list));
    sonde_prof__lock_give(&lock);
    if (*out_len > 0)
        qsort(list, *out_len, sizeof(*list), by_number);
    *out = list;
    return SONDE_OK;
}

static void mark_those_there(const section *list, uint32_t len)
{
    uint32_t i, k = 0;

    for (i = 0; i < tables_len; i++) {
        while (k < len && list[k].number < tables[i].number)
            k++;
        tables[i].is_there = k < len && list[k].number == tables[i].number;
    }
}

static sonde_status build_table(const section *s, sonde_prof__table **out)
{
    sonde_prof__object o = { .arch = SONDE_PROF__ARCH_HERE };
    sonde_status status;
    section *now;
    sonde_buf copy;

    *out = NULL;
    sonde_buf_init(&copy, SONDE_PROF__SECTION_BYTES_MAX);
    sonde_prof__lock_take(&lock);
    now = find_locked(s->at);
    if (now && now->number == s->number)
        copy_locked(now, &copy);
    sonde_prof__lock_give(&lock);
    status = copy.status == SONDE_ERR_NOMEM ? SONDE_ERR_NOMEM : SONDE_OK;
    o.eh_frame = (sonde_prof__image){ copy.data, copy.len, s->at };
    if (status == SONDE_OK && copy.len > 0)
        status = sonde_prof__table_build(&o, out);
    sonde_buf_done(&copy);
    return status == SONDE_ERR_NOMEM ? status : SONDE_OK;
}

static bool has_room(void)
{
    uint32_t cap = tables_cap ? tables_cap * 2 : 64;
    built *grown;

    if (tables_len < tables_cap)
        return true;
    grown = (built *)sonde_realloc(tables, cap * sizeof(*grown));
    if (!grown)
        return false;
    tables = grown;
    tables_cap = cap;
    return true;
}

static sonde_status build_one(const section *s)
{
    built b = { .number = s->number, .is_there = true };
    sonde_status status = has_room() ? build_table(s, &b.table) : SONDE_ERR_NOMEM;
    size_t bytes;

    if (status != SONDE_OK)
        return status;
    bytes = b.table ? sonde_prof__table_bytes(b.table) : 0;
    if (bytes > SONDE_PROF__SECTION_TABLES_MAX - tables_bytes) {
        SONDE_PROF__COUNT(frames_full);
        sonde_prof__table_free(b.table);
        b.table = NULL;
        bytes = 0;
    }
    tables_bytes += bytes;
    tables[tables_len++] = b;
    return SONDE_OK;
}

bool sonde_prof__frames_changed(void)
{
    return is_unshown || atomic_load_explicit(&changes, memory_order_acquire) != changes_seen;
}

sonde_status sonde_prof__frames_refresh(void)
{
    uint64_t now = atomic_load_explicit(&changes, memory_order_acquire);
    section *list = NULL;
    sonde_status status;
    uint32_t len = 0, i;

    if (now == changes_seen)
        return SONDE_OK;
    status = list_sections(&list, &len);
    if (status != SONDE_OK)
        return status;
    is_unshown = true;
    mark_those_there(list, len);
    for (i = 0; i < len && status == SONDE_OK; i++)
        if (tables_len == 0 || list[i].number > tables[tables_len - 1].number)
            status = build_one(&list[i]);
    sonde_free(list);
    if (status == SONDE_OK)
        changes_seen = now;
    return status;
}

uint32_t sonde_prof__frames_len(void)
{
    return tables_len;
}

void sonde_prof__frames_each(void (*take)(void *user, sonde_prof__table *table), void *user)
{
    uint32_t i;

    is_unshown = false;
    for (i = 0; i < tables_len; i++)
        if (tables[i].is_there && tables[i].table) {
            tables[i].is_published = true;
            take(user, tables[i].table);
        }
}

uint32_t sonde_prof__frames_gone(sonde_prof__table **dead)
{
    uint32_t i, kept = 0, len = 0;

    for (i = 0; i < tables_len; i++) {
        built *b = &tables[i];

        if (b->is_there) {
            tables[kept++] = *b;
            continue;
        }
        if (b->table)
            tables_bytes -= sonde_prof__table_bytes(b->table);
        if (b->table && b->is_published)
            dead[len++] = b->table;
        else
            sonde_prof__table_free(b->table);
    }
    tables_len = kept;
    return len;
}

size_t sonde_prof__frames_table_bytes(void)
{
    return tables_bytes;
}

/* -- fork and end ----------------------------------------------------------------------------------- */

void sonde_prof__frames_prefork(void)
{
    sonde_prof__lock_take(&lock);
}

void sonde_prof__frames_postfork_parent(void)
{
    sonde_prof__lock_give(&lock);
}

void sonde_prof__frames_postfork_child(void)
{
    sonde_prof__lock_init(&lock);
}

void sonde_prof__frames_done(void)
{
    uint32_t i;

    for (i = 0; i < tables_len; i++)
        sonde_prof__table_free(tables[i].table);
    sonde_free(tables);
    tables = NULL;
    tables_len = tables_cap = 0;
    tables_bytes = 0;
    changes_seen = 0;
}
