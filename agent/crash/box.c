/* box.c - checks the file, copies its places, makes spans of them.
 *
 * Places are read area by area; the spans are sorted by trace and start, and chunks are runs of one trace. */
#include "box.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hex.h"
#include "vocab/tags.h"

#include "crash/process_block.h"

#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define AREAS_MAX  ((BOX_FILE_MAX_BYTES - SONDE_BLACKBOX_HEADER_BYTES) / SONDE_BLACKBOX_AREA_BYTES)
#define ARENA_MAX  (48u * 1024 * 1024)
#define ARENA_STOP (ARENA_MAX - 8u * 1024 * 1024) /* room for chunks and their first spans' tags */
#define META_OF_ONE                                                                                \
    11u /* what tag(), tag_first() and tell_crash() set, beside the process's tags */
#define METRICS_OF_ONE 5u
#define AWAY_NS        (INT64_C(10) * SONDE_NS_PER_S)

/* -- the file ------------------------------------------------------------------------------------- */

enum sonde_crash_reason box_check(int fd, uint32_t said_bytes)
{
    struct stat st;
    int seals;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size != (off_t)said_bytes ||
        said_bytes < SONDE_BLACKBOX_HEADER_BYTES || said_bytes > BOX_FILE_MAX_BYTES)
        return SONDE_CRASH_BAD_SIZE;
    seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & SEALS) == SEALS ? SONDE_CRASH_ACCEPTED : SONDE_CRASH_BAD_SEALS;
}

static bool read_at(int fd, void *to, size_t bytes, off_t at)
{
    return pread(fd, to, bytes, at) == (ssize_t)bytes;
}

/* Version 1 has one geometry; only the number of areas may differ. */
static bool read_header(int fd, sonde_blackbox_header *h)
{
    return read_at(fd, h, sizeof(*h), 0) && h->magic == SONDE_BLACKBOX_MAGIC &&
           h->version == SONDE_BLACKBOX_VERSION && h->header_bytes == SONDE_BLACKBOX_HEADER_BYTES &&
           h->area_bytes == SONDE_BLACKBOX_AREA_BYTES && h->areas <= AREAS_MAX &&
           h->place_bytes == SONDE_BLACKBOX_PLACE_BYTES && h->places == SONDE_BLACKBOX_PLACES &&
           h->places_at == SONDE_BLACKBOX_PLACES_AT;
}

uint32_t box_state(int fd, int *out_signo)
{
    sonde_blackbox_header h;

    if (!read_header(fd, &h))
        return 0;
    *out_signo = h.signo;
    return atomic_load_explicit(&h.state, memory_order_relaxed);
}

/* -- the death ------------------------------------------------------------------------------------ */

void box_cause_text(const box_death *death, char out[BOX_CAUSE_ROOM])
{
    const char *name;

    switch (death->cause) {
    case BOX_SIGNAL:
        name = sigabbrev_np(death->number);
        if (name)
            (void)snprintf(out, BOX_CAUSE_ROOM, "signal:SIG%s", name);
        else
            (void)snprintf(out, BOX_CAUSE_ROOM, "signal:%d", death->number);
        break;
    case BOX_OOM_KILL:
        (void)snprintf(out, BOX_CAUSE_ROOM, "oom_kill");
        break;
    case BOX_EXIT:
        (void)snprintf(out, BOX_CAUSE_ROOM, "exit:%d", death->number);
        break;
    case BOX_UNKNOWN:
    case BOX_CAUSES:
        (void)snprintf(out, BOX_CAUSE_ROOM, "unknown");
        break;
    }
}

/* -- spans ---------------------------------------------------------------------------------------- */

typedef struct reading {
    payload *p;
    const box_death *death;
    sonde_process_block block;
    int64_t death_unix_ns;
    sonde_str cause;
    sonde_str message;
    box_counts *counts;
} reading;

/* A span and what sorts it. */
typedef struct found {
    payload_span span;
    uint64_t trace_high;
    int32_t priority;
} found;

static sonde_str copy(reading *r, const char *text, size_t len)
{
    char *to = len ? sonde_arena_alloc(&r->p->arena, len) : NULL;

    if (!to)
        return (sonde_str){ NULL, 0 };
    memcpy(to, text, len);
    return (sonde_str){ to, len };
}

/* Text of a place: empty when its length or its bytes cannot be. */
static sonde_str text_of(reading *r, const char *text, size_t len, size_t room)
{
    if (len > room || !sonde_utf8_valid((sonde_str){ text, len }))
        return (sonde_str){ NULL, 0 };
    return copy(r, text, len);
}

static bool set_meta(reading *r, payload_span *s, const char *key, sonde_str value)
{
    return value.len == 0 || span_meta_set(s, &r->p->arena, sonde_str_from(key), value) == SONDE_OK;
}

static bool set_metric(reading *r, payload_span *s, const char *key, double value)
{
    return span_metric_set(s, &r->p->arena, sonde_str_from(key), value) == SONDE_OK;
}

/* The tags of a span get one block each, of the size they will have. */
static bool make_room(reading *r, payload_span *s)
{
    s->meta_cap = META_OF_ONE + r->block.tags_len;
    s->metrics_cap = METRICS_OF_ONE;
    s->meta = sonde_arena_alloc(&r->p->arena, s->meta_cap * sizeof(*s->meta));
    s->metrics = sonde_arena_alloc(&r->p->arena, s->metrics_cap * sizeof(*s->metrics));
    return s->meta && s->metrics;
}

static bool tag(reading *r, payload_span *s, uint32_t tid, sonde_str thread_name)
{
    bool ok =
        make_room(r, s) && set_meta(r, s, SONDE_TAG_ERROR_TYPE, SONDE_STR("unfinished")) &&
        set_meta(r, s, SONDE_TAG_ERROR_MESSAGE, r->message) &&
        set_meta(r, s, "sonde.end_cause", r->cause) && set_meta(r, s, "thread.name", thread_name) &&
        set_meta(r, s, SONDE_TAG_RUNTIME_ID, r->block.runtime_id) &&
        set_meta(r, s, SONDE_TAG_LANGUAGE, r->block.language) &&
        set_meta(r, s, SONDE_TAG_ENV, r->block.env) &&
        set_meta(r, s, SONDE_TAG_VERSION, r->block.version) &&
        set_metric(r, s, "sonde.unfinished", 1.0) &&
        set_metric(r, s, SONDE_TAG_PROCESS_ID, r->death->pid) && set_metric(r, s, "thread.id", tid);
    uint32_t i;

    for (i = 0; ok && i < r->block.tags_len; i++)
        ok = span_meta_get(s, r->block.tags[i].key) != NULL ||
             span_meta_set(s, &r->p->arena, r->block.tags[i].key, r->block.tags[i].value) ==
                 SONDE_OK;
    return ok;
}

static bool copy_all(reading *r, const sonde_str *from, sonde_str *to, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        to[i] = copy(r, from[i].ptr, from[i].len);
        if (to[i].len != from[i].len)
            return false;
    }
    return true;
}

/* The stack as an event, and where error stacks are looked for. */
static bool tell_crash(reading *r, payload_span *s)
{
    static const char *const keys[] = { "exception.type", "exception.message",
                                        "exception.stacktrace" };
    const box_crash *c = r->death->crash;
    const sonde_str from[] = { c->type, c->message, c->stack };
    sonde_str text[3];
    size_t i;

    s->events = sonde_arena_alloc(&r->p->arena, sizeof(*s->events));
    if (!s->events)
        return false;
    *s->events =
        (span_event){ .time_unix_nano = (uint64_t)c->unix_ns,
                      .name = SONDE_STR("exception"),
                      .attributes = sonde_arena_alloc(&r->p->arena, 3 * sizeof(span_event_attr)),
                      .attributes_len = 3 };
    if (!s->events->attributes || !copy_all(r, from, text, 3))
        return false;
    for (i = 0; i < 3; i++)
        s->events->attributes[i] =
            (span_event_attr){ .key = sonde_str_from(keys[i]),
                               .value = { .type = SPAN_ANY_STRING, .str = text[i] } };
    s->events_len = 1;
    return set_meta(r, s, SONDE_TAG_ERROR_STACK, text[2]);
}

/* A start that cannot be counts as the death. */
static void set_times(const reading *r, payload_span *s, int64_t start)
{
    s->start = start > 0 && start < r->death_unix_ns ? start : r->death_unix_ns - 1;
    s->duration = r->death_unix_ns - s->start;
}

static bool make_span(reading *r, const sonde_blackbox_area *a, const sonde_blackbox_place *at,
                      uint64_t span_id, found *out)
{
    payload_span *s = &out->span;
    bool torn = atomic_load_explicit(&at->seq, memory_order_relaxed) % 2 != 0;
    uint32_t flags = atomic_load_explicit(&at->flags, memory_order_relaxed);
    size_t name_len = strnlen(a->thread_name, SONDE_BLACKBOX_THREAD_MAX);

    *out = (found){ .trace_high = at->trace_id_high,
                    .priority = atomic_load_explicit(&at->priority, memory_order_relaxed) };
    s->span_id = span_id;
    s->parent_id = at->parent_id;
    s->trace_id = at->trace_id_low;
    s->error = 1;
    set_times(r, s, at->start_unix_ns);
    if (torn) {
        r->counts->torn++;
    } else {
        s->name = text_of(r, at->name, at->name_len, SONDE_BLACKBOX_NAME_MAX);
        s->service = text_of(r, at->service, at->service_len, SONDE_BLACKBOX_SERVICE_MAX);
        s->resource = text_of(r, at->resource, at->resource_len, SONDE_BLACKBOX_RESOURCE_MAX);
        s->type = text_of(r, at->type, at->type_len, SONDE_BLACKBOX_TYPE_MAX);
    }
    if (s->service.len == 0)
        s->service = r->block.service;
    return tag(r, s, atomic_load_explicit(&a->record.tid, memory_order_relaxed),
               text_of(r, a->thread_name, name_len, SONDE_BLACKBOX_THREAD_MAX)) &&
           (!(flags & SONDE_BLACKBOX_MEASURED) || set_metric(r, s, SONDE_TAG_MEASURED, 1.0)) &&
           (!r->death->crash || r->death->crash->span_id != span_id || tell_crash(r, s));
}

/* Appends the area's open spans; false: no memory for more. */
static bool read_area(reading *r, int fd, uint32_t index, found **list, uint32_t *len,
                      uint32_t *cap)
{
    sonde_blackbox_area a;
    off_t at = (off_t)SONDE_BLACKBOX_HEADER_BYTES + (off_t)index * SONDE_BLACKBOX_AREA_BYTES;
    uint32_t i;

    if (!read_at(fd, &a, sizeof(a), at))
        return true; /* the file is shorter than it says */
    for (i = 0; i < SONDE_BLACKBOX_PLACES; i++) {
        uint64_t id = atomic_load_explicit(&a.places[i].span_id, memory_order_relaxed);

        if (id == 0)
            continue;
        if (r->p->arena.held_bytes > ARENA_STOP)
            return false;
        if (*len == *cap) {
            uint32_t more = *cap ? *cap * 2 : 64;
            found *grown = sonde_realloc(*list, more * sizeof(*grown));

            if (!grown)
                return false;
            *list = grown;
            *cap = more;
        }
        if (!make_span(r, &a, &a.places[i], id, &(*list)[*len]))
            return false;
        ++*len;
    }
    return true;
}

static int by_trace_and_start(const void *a, const void *b)
{
    const found *x = a, *y = b;

    if (x->trace_high != y->trace_high)
        return x->trace_high < y->trace_high ? -1 : 1;
    if (x->span.trace_id != y->span.trace_id)
        return x->span.trace_id < y->span.trace_id ? -1 : 1;
    if (x->span.start != y->span.start)
        return x->span.start < y->span.start ? -1 : 1;
    return (x->span.span_id > y->span.span_id) - (x->span.span_id < y->span.span_id);
}

static bool same_trace(const found *a, const found *b)
{
    return a->trace_high == b->trace_high && a->span.trace_id == b->span.trace_id;
}

/* What only the first span of a chunk carries. */
static bool tag_first(reading *r, payload_span *s, const found *f)
{
    char hex[16], *tid;

    if (f->trace_high) {
        sonde_hex_u64(f->trace_high, hex);
        tid = sonde_arena_alloc(&r->p->arena, sizeof(hex));
        if (!tid)
            return false;
        memcpy(tid, hex, sizeof(hex));
        if (!set_meta(r, s, SONDE_TAG_TID, (sonde_str){ tid, sizeof(hex) }))
            return false;
    }
    return set_meta(r, s, SONDE_TAG_PROCESS_TAGS, r->block.process_tags) &&
           set_metric(r, s, SONDE_TAG_PRIORITY,
                      f->priority == SONDE_BLACKBOX_UNDECIDED ? 1.0 : f->priority);
}

static bool make_chunks(reading *r, found *list, uint32_t len)
{
    payload *p = r->p;
    payload_span *spans = sonde_arena_alloc(&p->arena, len * sizeof(*spans));
    uint32_t i;

    p->chunks = sonde_arena_alloc(&p->arena, len * sizeof(*p->chunks));
    if (!spans || !p->chunks)
        return false;
    for (i = 0; i < len; i++) {
        spans[i] = list[i].span;
        if (i > 0 && same_trace(&list[i - 1], &list[i])) {
            p->chunks[p->chunks_len - 1].spans_len++;
            continue;
        }
        if (!tag_first(r, &spans[i], &list[i]))
            return false;
        p->chunks[p->chunks_len++] =
            (payload_chunk){ .spans = &spans[i], .spans_len = 1, .priority = PRIORITY_NONE };
    }
    return true;
}

static bool describe(reading *r, const sonde_blackbox_header *h)
{
    int64_t heartbeat = (int64_t)atomic_load_explicit(&h->heartbeat_unix_ns, memory_order_relaxed);
    char cause[BOX_CAUSE_ROOM], message[128];
    size_t len = h->process_bytes <= SONDE_BLACKBOX_PROCESS_MAX ? h->process_bytes : 0;

    sonde_process_block_read(&r->block, copy(r, (const char *)h->process, len));
    /* This agent slept while the process died: its last sign of life is nearer to the truth. */
    r->death_unix_ns = heartbeat > 0 && r->death->unix_ns - heartbeat > AWAY_NS
                           ? heartbeat + (int64_t)SONDE_NS_PER_S
                           : r->death->unix_ns;
    box_cause_text(r->death, cause);
    (void)snprintf(message, sizeof(message), "process %d ended with this span open: %s",
                   r->death->pid, cause);
    r->cause = copy(r, cause, strlen(cause));
    r->message = copy(r, message, strlen(message));
    r->counts->unplaced =
        (uint32_t)atomic_load_explicit(&h->spans_without_place, memory_order_relaxed);
    return r->message.len > 0;
}

static bool read_spans(reading *r, int fd, uint32_t areas)
{
    found *list = NULL;
    uint32_t len = 0, cap = 0, i;
    bool ok = true;

    for (i = 0; ok && i < areas; i++)
        ok = read_area(r, fd, i, &list, &len, &cap);
    r->counts->lost += !ok;
    if (len > 0) {
        qsort(list, len, sizeof(*list), by_trace_and_start);
        ok = make_chunks(r, list, len);
    }
    sonde_free(list);
    r->counts->spans = ok ? len : 0;
    return ok && len > 0;
}

uint64_t box_active_span(int fd, uint32_t tid)
{
    sonde_blackbox_header h;
    sonde_thread_ctx record;
    uint32_t i;

    if (!read_header(fd, &h))
        return 0;
    for (i = 0; i < h.areas; i++) {
        off_t at = (off_t)SONDE_BLACKBOX_HEADER_BYTES + (off_t)i * SONDE_BLACKBOX_AREA_BYTES;

        if (!read_at(fd, &record, sizeof(record), at))
            return 0;
        if (atomic_load_explicit(&record.tid, memory_order_relaxed) == tid)
            return atomic_load_explicit(&record.valid, memory_order_relaxed) == 1
                       ? record.span_id_host
                       : 0;
    }
    return 0;
}

bool box_process(int fd, char room[SONDE_BLACKBOX_PROCESS_MAX], sonde_process_block *out)
{
    sonde_blackbox_header h;

    if (!read_header(fd, &h) || h.process_bytes > SONDE_BLACKBOX_PROCESS_MAX)
        return false;
    memcpy(room, h.process, h.process_bytes);
    sonde_process_block_read(out, (sonde_str){ room, h.process_bytes });
    return true;
}

payload *box_read(int fd, const box_death *death, box_counts *out_counts)
{
    sonde_blackbox_header h;
    reading r = { .death = death, .counts = out_counts };

    *out_counts = (box_counts){ 0, 0, 0, 0 };
    if (!read_header(fd, &h))
        return NULL;
    r.p = payload_new(ARENA_MAX);
    if (!r.p)
        return NULL;
    if (!describe(&r, &h) || !read_spans(&r, fd, h.areas)) {
        payload_free(r.p);
        return NULL;
    }
    r.p->endpoint_version = "crash";
    r.p->language_name = r.block.language;
    r.p->tracer_version = r.block.tracer_version;
    r.p->runtime_id = r.block.runtime_id;
    r.p->container_id = r.block.container_id;
    r.p->env = r.block.env;
    r.p->app_version = r.block.version;
    r.p->charged_bytes = r.p->arena.held_bytes;
    return r.p;
}
