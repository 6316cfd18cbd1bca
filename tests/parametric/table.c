/* table.c - two arrays, searched from the newest: a scenario has few spans and asks for the last ones. */
#include "table.h"

#include <string.h>

#include "base/rng.h"

#define ACTIVE_MAX 128 /* as many as the tracer nests */

typedef struct context_entry {
    uint64_t id;
    sonde_context *context; /* a reference */
} context_entry;

static span_entry spans[TABLE_SPANS_MAX];
static uint32_t spans_len;
static context_entry contexts[TABLE_CONTEXTS_MAX];
static uint32_t contexts_len;
static uint64_t active[ACTIVE_MAX]; /* ids of open spans, the innermost last */
static uint32_t active_len;

/* -- active --------------------------------------------------------------------------------------- */

static void activate(const span_entry *e)
{
    if (active_len == ACTIVE_MAX)
        return;
    active[active_len++] = e->id;
    sonde_span_activate(e->span);
}

/* False: it was not active. */
static bool deactivate(const span_entry *e)
{
    uint32_t i = active_len;

    while (i > 0 && active[i - 1] != e->id)
        i--;
    if (i == 0)
        return false;
    memmove(&active[i - 1], &active[i], (active_len - i) * sizeof(active[0]));
    active_len--;
    sonde_span_deactivate(e->span);
    return true;
}

static void leave(const span_entry *e)
{
    bool was_current = active_len > 0 && active[active_len - 1] == e->id;
    span_entry *parent;

    (void)deactivate(e);
    parent = was_current ? table_find(e->parent_id) : NULL;
    if (parent && deactivate(parent))
        activate(parent);
}

/* -- spans ---------------------------------------------------------------------------------------- */

static uint64_t make_up_id(void)
{
    return (sonde_random_u64() >> 1) | 1;
}

span_entry *table_add(sonde_span *span, uint64_t parent_id)
{
    span_entry *e;

    if (spans_len == TABLE_SPANS_MAX)
        return NULL;
    e = &spans[spans_len++];
    *e = (span_entry){ .id = sonde_span_id(span),
                       .trace_low = sonde_span_trace_id_low(span),
                       .parent_id = parent_id,
                       .span = span };
    if (e->id == 0) { /* tracing is off */
        span_entry *parent = table_find(parent_id);

        e->id = make_up_id();
        e->trace_low = parent ? parent->trace_low : e->id;
    }
    activate(e);
    return e;
}

span_entry *table_find(uint64_t id)
{
    uint32_t i;

    for (i = spans_len; i > 0; i--)
        if (spans[i - 1].id == id)
            return &spans[i - 1];
    return NULL;
}

sonde_context *table_context(const span_entry *e)
{
    return e->ended ? sonde_context_retain(e->context) : sonde_context_of_span(e->span);
}

void table_finish(span_entry *e, int64_t end_unix_ns)
{
    if (e->ended)
        return;
    e->context = sonde_context_of_span(e->span);
    leave(e);
    if (end_unix_ns > 0)
        sonde_span_finish_at(e->span, end_unix_ns);
    else
        sonde_span_finish(e->span);
    e->span = NULL;
    e->ended = true;
}

void table_forget(void)
{
    uint32_t ended = 0;
    uint32_t to = 0;
    uint32_t i;

    for (i = 0; i < spans_len; i++)
        ended += spans[i].ended;
    for (i = 0; i < spans_len; i++) {
        if (spans[i].ended && ended > TABLE_ENDED_KEPT) {
            sonde_context_release(spans[i].context);
            ended--;
        } else {
            spans[to++] = spans[i];
        }
    }
    spans_len = to;
}

/* -- contexts ------------------------------------------------------------------------------------- */

static context_entry *find_context(uint64_t id)
{
    uint32_t i;

    for (i = 0; i < contexts_len; i++)
        if (contexts[i].id == id)
            return &contexts[i];
    return NULL;
}

bool table_add_context(sonde_context *context, uint64_t *out_id)
{
    uint64_t id = sonde_context_span_id(context);
    context_entry *e = id ? find_context(id) : NULL;

    *out_id = id ? id : make_up_id();
    if (!e && contexts_len == TABLE_CONTEXTS_MAX)
        return false;
    if (e)
        sonde_context_release(e->context);
    else
        e = &contexts[contexts_len++];
    *e = (context_entry){ *out_id, context };
    return true;
}

sonde_context *table_find_context(uint64_t id)
{
    context_entry *e = find_context(id);

    return e ? e->context : NULL;
}
