/* abandoned.c - the open spans in a hash table of fixed size. */
#include "abandoned.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/mutex.h"

#include "counters.h"
#include "service.h"
#include "tracer.h"
#include "watch.h"

#define NAME_BYTES     72
#define LOGGED_AT_ONCE 16
#define LOOK_MAX_NS    (60 * (uint64_t)SONDE_NS_PER_S)
#define LOOK_MIN_NS    (100 * (uint64_t)SONDE_NS_PER_MS)

typedef struct open_span {
    uint64_t token; /* 0: free */
    uint64_t opened_mono_ns;
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    uint64_t id;
    uint32_t next; /* in its bucket or among the free ones: place + 1, 0 none */
    sonde__service service;
    bool told;
    uint8_t name_len;
    char name[NAME_BYTES];
} open_span;

typedef struct table {
    open_span place[SONDE__OPEN_SPANS_MAX];
    uint32_t bucket[SONDE__OPEN_SPANS_MAX]; /* place + 1 */
    uint32_t free;
    uint64_t left_out; /* since the last look */
} table;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_OPEN_SPANS);
static table *open; /* guarded by mu; kept once made */

static void clear_locked(void)
{
    uint32_t i;

    memset(open, 0, sizeof(*open));
    for (i = SONDE__OPEN_SPANS_MAX; i > 0; i--) {
        open->place[i - 1].next = open->free;
        open->free = i;
    }
}

void sonde__abandoned_open(const sonde__config *c)
{
    bool wanted = c->enabled && c->debug_abandoned;

    sonde__watch_clear(SONDE__WATCH_ABANDONED);
    sonde_mutex_lock(&mu);
    if (wanted && !open)
        open = (table *)sonde_malloc(sizeof(*open));
    if (open)
        clear_locked();
    wanted = wanted && open;
    sonde_mutex_unlock(&mu);
    if (wanted)
        sonde__watch_set(SONDE__WATCH_ABANDONED);
    else if (c->enabled && c->debug_abandoned)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "no memory to watch open spans");
}

/* -- start, finish -------------------------------------------------------------------------------- */

static uint32_t *bucket_of(uint64_t token)
{
    return &open->bucket[(token * UINT64_C(0x9e3779b97f4a7c15)) >> 51];
}

_Static_assert(SONDE__OPEN_SPANS_MAX == UINT64_C(1) << (64 - 51), "a bucket for each hash");

static void put_locked(const sonde__span *span, sonde_str name)
{
    uint64_t token = sonde__cell_token(span);
    uint32_t *bucket = bucket_of(token);
    uint32_t at = open->free;
    open_span *o;

    if (at == 0) {
        open->left_out++;
        return;
    }
    o = &open->place[at - 1];
    open->free = o->next;
    *o = (open_span){ .token = token,
                      .opened_mono_ns = sonde_mono_ns(),
                      .trace_id_high = span->segment->trace_id_high,
                      .trace_id_low = span->segment->trace_id_low,
                      .id = span->id,
                      .next = *bucket,
                      .service = span->service,
                      .name_len = (uint8_t)sonde_utf8_cut(name, NAME_BYTES) };
    memcpy(o->name, name.ptr, o->name_len);
    *bucket = at;
}

static void remove_locked(uint64_t token)
{
    uint32_t *link = bucket_of(token);
    uint32_t at;

    while (*link != 0 && open->place[*link - 1].token != token)
        link = &open->place[*link - 1].next;
    at = *link;
    if (at == 0)
        return;
    *link = open->place[at - 1].next;
    open->place[at - 1] = (open_span){ .next = open->free };
    open->free = at;
}

void sonde__abandoned_starts(const sonde__span *span, sonde_str name)
{
    sonde_mutex_lock(&mu);
    if (open)
        put_locked(span, name);
    sonde_mutex_unlock(&mu);
}

void sonde__abandoned_finishes(const sonde__span *span)
{
    sonde_mutex_lock(&mu);
    if (open)
        remove_locked(sonde__cell_token(span));
    sonde_mutex_unlock(&mu);
}

/* -- looking -------------------------------------------------------------------------------------- */

static uint32_t gather_locked(uint64_t now_mono_ns, uint64_t after_ns,
                              open_span found[LOGGED_AT_ONCE])
{
    uint32_t len = 0;
    uint32_t i;

    for (i = 0; open && i < SONDE__OPEN_SPANS_MAX && len < LOGGED_AT_ONCE; i++) {
        open_span *o = &open->place[i];

        if (o->token == 0 || o->told || now_mono_ns < o->opened_mono_ns ||
            now_mono_ns - o->opened_mono_ns < after_ns)
            continue;
        o->told = true;
        found[len++] = *o;
    }
    return len;
}

static void tell(const open_span *o, uint64_t now_mono_ns)
{
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN,
                     "span is still open: name=%s service=%s trace_id=%016" PRIx64 "%016" PRIx64
                     " span_id=%" PRIu64 " open_s=%" PRIu64,
                     SONDE_LOG_QUOTE(((sonde_str){ o->name, o->name_len })),
                     SONDE_LOG_QUOTE(sonde__service_name(o->service)), o->trace_id_high,
                     o->trace_id_low, o->id, (now_mono_ns - o->opened_mono_ns) / SONDE_NS_PER_S);
}

bool sonde__abandoned_look(uint64_t now_mono_ns, uint64_t after_ns)
{
    open_span found[LOGGED_AT_ONCE];
    uint64_t left_out = 0;
    uint32_t len, i;

    sonde_mutex_lock(&mu);
    len = gather_locked(now_mono_ns, after_ns, found);
    if (open) {
        left_out = open->left_out;
        open->left_out = 0;
    }
    sonde_mutex_unlock(&mu);
    for (i = 0; i < len; i++)
        tell(&found[i], now_mono_ns);
    sonde__count(SONDE__SPANS_ABANDONED, len);
    if (left_out > 0)
        SONDE_LOG(SONDE_LOG_WARN, "more open spans than are watched: spans=%" PRIu64, left_out);
    return len == LOGGED_AT_ONCE;
}

/* -- the beat ------------------------------------------------------------------------------------- */

static bool wanted(const sonde__config *c)
{
    return c->enabled && c->debug_abandoned;
}

static uint64_t work(uint64_t now_mono_ns)
{
    uint64_t after_ns = sonde__settings()->abandoned_after_ns;
    uint64_t pause_ns = after_ns / 4;

    if (sonde__abandoned_look(now_mono_ns, after_ns))
        return now_mono_ns;
    if (pause_ns > LOOK_MAX_NS)
        pause_ns = LOOK_MAX_NS;
    return sonde_deadline(now_mono_ns, pause_ns < LOOK_MIN_NS ? LOOK_MIN_NS : pause_ns);
}

const sonde__beat sonde__abandoned_beat = { "abandoned", wanted, work, NULL, NULL, NULL };

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__abandoned_prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__abandoned_postfork_parent(void)
{
    sonde_mutex_unlock(&mu);
}

SONDE_NO_TSA void sonde__abandoned_postfork_child(void)
{
    if (open)
        clear_locked();
    sonde_mutex_unlock(&mu);
}
