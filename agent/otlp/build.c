/* build.c - life of a builder, its memory, and the grouping of spans into chunks and payloads. */
#include "build.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/rng.h"
#include "limits.h"
#include "map.h"
#include "vocab/tags.h"

#define ARENA_BLOCK_MAX_BYTES (64u * 1024 + 64)
#define SPANS_FIRST           16u
#define SAMPLE_FACTOR         UINT64_C(1111111111111111111)

bool otlp_build_fail(otlp_builder *b, sonde_status status, const char *error)
{
    if (b->status == SONDE_OK) {
        b->status = status;
        b->error = error;
    }
    return false;
}

bool otlp_build_init(otlp_builder *b, const otlp_build_options *options, size_t body_bytes)
{
    size_t wanted = PAYLOAD_ARENA_BASE_BYTES + body_bytes * OTLP_ARENA_FACTOR;

    memset(b, 0, sizeof(*b));
    b->options = *options;
    b->arena_left = wanted < options->max_arena_bytes ? wanted : options->max_arena_bytes;
    b->seed = sonde_random_u64() | 1; /* nobody can aim at one slot */
    b->meta_keys.generation = b->metric_keys.generation = 1;
    sonde_buf_init(&b->text, OTLP_TEXT_MAX_BYTES);
    return true;
}

void otlp_build_done(otlp_builder *b)
{
    payload_free(b->p);
    for (uint32_t i = b->taken; i < b->done_len; i++)
        payload_free(b->done[i]);
    sonde_free(b->done);
    sonde_free(b->resource.items);
    sonde_free(b->scope.attrs.items);
    sonde_free(b->span.attrs.items);
    sonde_free(b->span.more.items);
    sonde_free(b->span.events);
    sonde_free(b->span.links);
    sonde_buf_done(&b->text);
    b->p = NULL;
}

payload *otlp_build_take(otlp_builder *b)
{
    return b->taken < b->done_len ? b->done[b->taken++] : NULL;
}

void *otlp_build_alloc(otlp_builder *b, size_t count, size_t bytes)
{
    sonde_arena *arena = &b->p->arena;
    size_t total;
    void *at = NULL;

    if (sonde_mul_size(count, bytes, &total))
        at = sonde_arena_alloc_aligned(arena, total, 8);
    else
        total = SIZE_MAX - ARENA_BLOCK_MAX_BYTES;
    if (at)
        return at;
    if (arena->max_bytes - arena->held_bytes < total + ARENA_BLOCK_MAX_BYTES)
        (void)otlp_build_fail(b, SONDE_ERR_TOO_BIG, "payload needs too much memory");
    else
        (void)otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
    return NULL;
}

bool otlp_build_copy(otlp_builder *b, sonde_str *text)
{
    char *copy;

    if (text->len == 0)
        return true;
    copy = otlp_build_alloc(b, text->len, 1);
    if (!copy)
        return false;
    memcpy(copy, text->ptr, text->len);
    text->ptr = copy;
    return true;
}

static bool repair(otlp_builder *b, sonde_str *text)
{
    char *out = otlp_build_alloc(b, text->len, 3);

    if (!out)
        return false;
    b->tally.strings_repaired++;
    *text = (sonde_str){ out, sonde_utf8_repair(*text, out) };
    return true;
}

bool otlp_build_utf8(otlp_builder *b, sonde_str *text)
{
    uint64_t seen = 0, eight;
    size_t i = 0;

    for (; i + 8 <= text->len; i += 8) { /* nearly all is ASCII */
        memcpy(&eight, text->ptr + i, 8);
        seen |= eight;
    }
    for (; i < text->len; i++)
        seen |= (uint8_t)text->ptr[i];
    return (seen & UINT64_C(0x8080808080808080)) == 0 || sonde_utf8_valid(*text) || repair(b, text);
}

/* Room for one more of `bytes` each in an array of the builder's own. */
static bool grow(otlp_builder *b, void **items, uint32_t len, uint32_t *cap, size_t bytes)
{
    uint32_t wanted = *cap ? *cap * 2 : 16;
    void *grown;

    if (len < *cap)
        return true;
    grown = sonde_realloc(*items, wanted * bytes);
    if (!grown)
        return otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
    *items = grown;
    *cap = wanted;
    return true;
}

static bool is_full(otlp_builder *b, uint32_t len, bool *out_cut)
{
    *out_cut = len >= SPAN_ENTRIES_MAX;
    b->tally.tags_cut += *out_cut;
    return *out_cut;
}

otlp_attr *otlp_build_attr(otlp_builder *b, otlp_attrs *attrs, bool *out_cut)
{
    if (is_full(b, attrs->len, out_cut) ||
        !grow(b, (void **)&attrs->items, attrs->len, &attrs->cap, sizeof(*attrs->items)))
        return NULL;
    attrs->items[attrs->len] = (otlp_attr){ .known = OTLP_KEY_OTHER };
    return &attrs->items[attrs->len++];
}

void otlp_build_attr_key(otlp_attrs *attrs, otlp_attr *a)
{
    a->known = otlp_key_of(a->key);
    if (a->known != OTLP_KEY_OTHER && attrs->known[a->known] == 0)
        attrs->known[a->known] = (uint16_t)(a - attrs->items + 1);
}

otlp_event *otlp_build_event(otlp_builder *b, bool *out_cut)
{
    otlp_span *s = &b->span;

    if (is_full(b, s->events_len, out_cut) ||
        !grow(b, (void **)&s->events, s->events_len, &s->events_cap, sizeof(*s->events)))
        return NULL;
    s->events[s->events_len] = (otlp_event){ .attrs_from = s->more.len };
    return &s->events[s->events_len++];
}

otlp_link *otlp_build_link(otlp_builder *b, bool *out_cut)
{
    otlp_span *s = &b->span;

    if (is_full(b, s->links_len, out_cut) ||
        !grow(b, (void **)&s->links, s->links_len, &s->links_cap, sizeof(*s->links)))
        return NULL;
    s->links[s->links_len] = (otlp_link){ .attrs_from = s->more.len };
    return &s->links[s->links_len++];
}

static void empty_attrs(otlp_attrs *attrs)
{
    if (attrs->len)
        memset(attrs->known, 0, sizeof(attrs->known));
    attrs->len = 0;
}

bool otlp_build_resource(otlp_builder *b, uint32_t spans_expected)
{
    if (!b->p && b->arena_left == 0)
        return otlp_build_fail(b, SONDE_ERR_TOO_BIG, "payload needs too much memory");
    if (!b->p)
        b->p = payload_new(b->arena_left);
    if (!b->p)
        return otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
    empty_attrs(&b->resource);
    b->facts = (otlp_resource_facts){ .tags_len = 0 };
    b->spans = NULL;
    b->spans_len = b->spans_cap = 0;
    if (spans_expected > PAYLOAD_ARRAY_MAX)
        return otlp_build_fail(b, SONDE_ERR_TOO_BIG, "too many spans");
    if (spans_expected) {
        b->spans = otlp_build_alloc(b, spans_expected, sizeof(*b->spans));
        b->spans_cap = spans_expected;
    }
    otlp_build_scope(b);
    return b->status == SONDE_OK;
}

bool otlp_build_resource_ready(otlp_builder *b)
{
    return otlp_map_resource(b);
}

void otlp_build_scope(otlp_builder *b)
{
    empty_attrs(&b->scope.attrs);
    b->scope.name = b->scope.version = (sonde_str){ NULL, 0 };
}

void otlp_build_span(otlp_builder *b)
{
    otlp_span *s = &b->span;

    empty_attrs(&s->attrs);
    empty_attrs(&s->more);
    s->trace_id_high = s->trace_id = s->span_id = s->parent_id = 0;
    s->tracestate = s->name = s->message = (sonde_str){ NULL, 0 };
    s->start = s->end = 0;
    s->kind = OTLP_UNSPECIFIED;
    s->code = OTLP_UNSET;
    s->events_len = s->links_len = 0;
}

/* The next place in the array of spans, which doubles when the reader could not say how many come. */
static payload_span *next_span(otlp_builder *b)
{
    uint32_t wanted = b->spans_cap ? b->spans_cap * 2 : SPANS_FIRST;
    payload_span *grown;

    if (b->spans_len < b->spans_cap)
        return &b->spans[b->spans_len++];
    if (b->spans_len >= PAYLOAD_ARRAY_MAX) {
        (void)otlp_build_fail(b, SONDE_ERR_TOO_BIG, "too many spans");
        return NULL;
    }
    grown = otlp_build_alloc(b, wanted, sizeof(*grown));
    if (!grown)
        return NULL;
    if (b->spans_len)
        memcpy(grown, b->spans, b->spans_len * sizeof(*grown));
    b->spans = grown;
    b->spans_cap = wanted;
    return &b->spans[b->spans_len++];
}

bool otlp_build_span_ready(otlp_builder *b)
{
    payload_span *s = next_span(b);

    if (!s || !otlp_map_span(b, s))
        return false;
    b->tally.spans++;
    return true;
}

/* The chunk of each span, by its trace id: numbers in the order of the first span. */
static uint32_t number_chunks(otlp_builder *b, uint32_t *chunk_of, uint32_t *slots, uint32_t mask)
{
    uint32_t chunks = 0, last = 0;

    for (uint32_t i = 0; i < b->spans_len; i++) {
        uint64_t id = b->spans[i].trace_id;
        uint32_t at = (uint32_t)((id ^ b->seed) * SAMPLE_FACTOR >> 32) & mask;

        if (i && b->spans[i - 1].trace_id == id) {
            chunk_of[i] = last;
            continue;
        }
        while (slots[at] && b->spans[slots[at] - 1].trace_id != id)
            at = (at + 1) & mask;
        if (!slots[at]) {
            slots[at] = i + 1;
            chunk_of[i] = chunks++;
        } else {
            chunk_of[i] = chunk_of[slots[at] - 1];
        }
        last = chunk_of[i];
    }
    return chunks;
}

/* Spans of one chunk stand together; within it they keep their order. */
static bool distribute(otlp_builder *b, const uint32_t *chunk_of, uint32_t chunks)
{
    payload_chunk *out = otlp_build_alloc(b, chunks, sizeof(*out));
    payload_span *sorted = b->spans;
    payload_span *next;

    if (!out)
        return false;
    memset(out, 0, chunks * sizeof(*out));
    for (uint32_t i = 0; i < b->spans_len; i++)
        out[chunk_of[i]].spans_len++;
    if (chunks > 1) {
        sorted = otlp_build_alloc(b, b->spans_len, sizeof(*sorted));
        if (!sorted)
            return false;
    }
    next = sorted;
    for (uint32_t i = 0; i < chunks; i++) {
        out[i].spans = next;
        out[i].priority = PRIORITY_NONE;
        next += out[i].spans_len;
        out[i].spans_len = 0;
    }
    for (uint32_t i = 0; i < b->spans_len; i++) {
        payload_chunk *c = &out[chunk_of[i]];

        if (&c->spans[c->spans_len] != &b->spans[i])
            c->spans[c->spans_len] = b->spans[i];
        c->spans_len++;
    }
    b->p->chunks = out;
    b->p->chunks_len = chunks;
    return true;
}

static bool group(otlp_builder *b)
{
    uint32_t mask = 15, chunks;
    uint32_t *memory; /* slots, then the chunk of each span */
    bool ok;

    while (mask < 2 * b->spans_len)
        mask = 2 * mask + 1;
    memory = sonde_calloc((size_t)mask + 1 + b->spans_len, sizeof(*memory));
    if (!memory)
        return otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
    chunks = number_chunks(b, memory + mask + 1, memory, mask);
    ok = distribute(b, memory + mask + 1, chunks);
    sonde_free(memory);
    return ok;
}

static bool is_kept_by_rate(const otlp_builder *b, uint64_t trace_id)
{
    double rate = b->options.rate;

    return rate >= 1 || (double)(trace_id * SAMPLE_FACTOR) < rate * 18446744073709551616.0;
}

/* What a span's metric says, the last one of several. */
static bool asked_priority(const payload_chunk *c, int32_t *out)
{
    bool found = false;

    for (uint32_t i = 0; i < c->spans_len; i++) {
        const double *v = span_metric_get(&c->spans[i], SONDE_STR(SONDE_TAG_PRIORITY));

        if (v && *v >= -1e6 && *v <= 1e6) {
            *out = (int32_t)*v;
            found = true;
        }
    }
    return found;
}

static bool decide(otlp_builder *b, payload_chunk *c, sonde_str rate_text)
{
    sonde_arena *arena = &b->p->arena;
    sonde_str maker = SONDE_STR("-4");

    if (chunk_tag_set(c, arena, SONDE_STR("_dd.otlp_sr"), rate_text) != SONDE_OK)
        return otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
    if (b->options.leave_undecided)
        return true;
    if (!asked_priority(c, &c->priority)) {
        maker = SONDE_STR("-9");
        c->priority = is_kept_by_rate(b, c->spans[0].trace_id);
    }
    if (c->priority <= 0)
        return true;
    if (span_meta_set(&c->spans[0], arena, SONDE_STR(SONDE_TAG_DM), maker) != SONDE_OK)
        return otlp_build_fail(b, SONDE_ERR_NOMEM, "out of memory");
    return true;
}

static bool decide_all(otlp_builder *b)
{
    char text[16];
    sonde_str rate = { text, (size_t)snprintf(text, sizeof(text), "%.2f", b->options.rate) };

    if (!otlp_build_copy(b, &rate))
        return false;
    for (uint32_t i = 0; i < b->p->chunks_len; i++) {
        if (!decide(b, &b->p->chunks[i], rate))
            return false;
    }
    return true;
}

bool otlp_build_resource_done(otlp_builder *b)
{
    if (b->spans_len == 0) { /* nothing to hand on: the payload serves the next resource */
        sonde_arena_reset(&b->p->arena);
        return true;
    }
    if (b->done_len >= OTLP_RESOURCES_MAX)
        return otlp_build_fail(b, SONDE_ERR_TOO_BIG, "too many resources");
    if (!grow(b, (void **)&b->done, b->done_len, &b->done_cap, sizeof(payload *)) || !group(b) ||
        !decide_all(b))
        return false;
    b->arena_left -=
        b->p->arena.held_bytes < b->arena_left ? b->p->arena.held_bytes : b->arena_left;
    b->done[b->done_len++] = b->p;
    b->p = NULL;
    return true;
}
