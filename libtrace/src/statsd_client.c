/* statsd_client.c - <sonde/statsd.h>: what a call says -> contexts -> lines in datagrams -> the socket.
 *
 *   statsd_line.c      a line             statsd_contexts.c   what is collected
 *   statsd_out.c       datagrams          statsd_socket.c     to the agent
 *
 * A metric takes one shard's lock, or that of the datagrams; none is held over a system call but those of
 * the memory.  Clients come and go in statsd_life.c. */
#include "statsd_client.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"

#define VALUES_MAX 65536u

static void count_one(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* -- lines ---------------------------------------------------------------------------------------- */

typedef struct putting {
    const sonde_statsd *client;
    const sonde__statsd_line *line;
    size_t at; /* values that are put */
} putting;

static char *put_metric(void *user, char *to, const char *end, bool *io_more)
{
    putting *p = (putting *)user;
    sonde__statsd_line line = *p->line;
    char *behind;

    if (!p->client->pack && line.values_len > p->at + 1)
        line.values_len = p->at + 1;
    behind = sonde__statsd_put_metric(&p->client->shared, &line, &p->at, to, end);
    *io_more = p->at < p->line->values_len;
    return behind;
}

static bool emit(sonde_statsd *s, const sonde__statsd_line *line)
{
    return sonde__statsd_out_add(&s->out, put_metric, &(putting){ .client = s, .line = line });
}

void sonde__statsd_emit_collected(void *user, const sonde__statsd_line *line)
{
    sonde_statsd *s = (sonde_statsd *)user;

    if (emit(s, line))
        atomic_store_explicit(&s->is_full, true, memory_order_relaxed);
}

/* -- sending -------------------------------------------------------------------------------------- */

static void send_full(sonde_statsd *s)
{
    if (sonde__statsd_out_begin(&s->out, 0))
        sonde__statsd_out_end(&s->out, false, 0, false);
}

bool sonde__statsd_send_all(sonde_statsd *s, uint64_t deadline_mono_ns, bool may_resolve)
{
    uint32_t cursor = 0;

    if (!sonde__statsd_out_begin(&s->out, deadline_mono_ns))
        return false;
    while (sonde__statsd_contexts_next(&s->contexts, &cursor))
        sonde__statsd_out_send_full(&s->out, deadline_mono_ns, may_resolve);
    sonde__statsd_out_end(&s->out, true, deadline_mono_ns, may_resolve);
    return true;
}

/* Behind every metric: what the calling thread has to send. */
static void tend(sonde_statsd *s, bool full)
{
    uint64_t due, now;

    if (__builtin_expect(full || atomic_load_explicit(&s->is_full, memory_order_relaxed), 0)) {
        atomic_store_explicit(&s->is_full, false, memory_order_relaxed);
        send_full(s);
    }
    if (s->by_hand || atomic_load_explicit(&sonde__statsd_tended, memory_order_relaxed))
        return;
    now = sonde__statsd_coarse_mono_ns();
    due = atomic_load_explicit(&s->due_mono_ns, memory_order_relaxed);
    if (now >= due &&
        atomic_compare_exchange_strong_explicit(&s->due_mono_ns, &due, now + s->interval_ns,
                                                memory_order_relaxed, memory_order_relaxed))
        (void)sonde__statsd_send_all(s, 0, false);
}

sonde_status sonde_statsd_flush(sonde_statsd *s, uint32_t timeout_ms)
{
    sonde_statsd_counters before = { 0 };
    sonde_statsd_counters after = { 0 };
    uint64_t deadline;

    if (!s)
        return SONDE_ERR_INVALID;
    deadline = timeout_ms ? sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(timeout_ms)) : 0;
    sonde_statsd_counters_read(s, &before);
    if (!sonde__statsd_send_all(s, deadline, true))
        return SONDE_ERR_TIMEOUT;
    sonde_statsd_counters_read(s, &after);
    if (after.lines_dropped[SONDE_STATSD_DROP_UNREACHABLE] >
        before.lines_dropped[SONDE_STATSD_DROP_UNREACHABLE])
        return SONDE_ERR_CONNECT;
    return after.datagrams_dropped > before.datagrams_dropped ? SONDE_ERR_TIMEOUT : SONDE_OK;
}

/* -- metrics -------------------------------------------------------------------------------------- */

static bool is_usable(const sonde__statsd_line *line)
{
    size_t i;

    if (line->type < 0 || line->type >= SONDE_STATSD_TYPES || line->name.len == 0 ||
        line->values_len == 0 || line->values_len > VALUES_MAX)
        return false;
    if (line->values_len > 1 &&
        (line->type == SONDE_STATSD_COUNT || line->type == SONDE_STATSD_GAUGE ||
         line->type == SONDE_STATSD_SET))
        return false;
    if (line->type == SONDE_STATSD_SET)
        return line->member.len > 0;
    for (i = 0; i < line->values_len; i++)
        if (!isfinite(line->values[i]))
            return false;
    return true;
}

/* What is collected is whole; what is sent one by one may be sampled, where the agent makes up for it. */
static bool is_chosen(sonde__statsd_line *line, bool collect)
{
    bool is_count = line->type == SONDE_STATSD_COUNT;

    if (line->type == SONDE_STATSD_GAUGE || line->type == SONDE_STATSD_SET ||
        (is_count && (collect || line->unix_s > 0)))
        line->rate = 1;
    if (!(line->rate < 1)) /* all; NaN too */
        line->rate = 1;
    return line->rate >= 1 || (double)(sonde_random_u64() >> 11) * 0x1p-53 < line->rate;
}

static void take(sonde_statsd *s, sonde__statsd_line *line)
{
    bool collect, full = false;

    if (!is_usable(line)) {
        count_one(&s->refused);
        return;
    }
    if (line->type != SONDE_STATSD_COUNT && line->type != SONDE_STATSD_GAUGE)
        line->unix_s = 0;
    collect = s->aggregate && line->unix_s <= 0 &&
              (s->pack || line->type == SONDE_STATSD_COUNT || line->type == SONDE_STATSD_GAUGE ||
               line->type == SONDE_STATSD_SET);
    if (!is_chosen(line, collect)) {
        count_one(&s->sampled_out);
        return;
    }
    if (!collect || !sonde__statsd_contexts_add(&s->contexts, line)) {
        if (collect)
            count_one(&s->contexts_refused);
        count_one(&s->direct);
        full = emit(s, line);
    }
    tend(s, full);
}

static void take_one(sonde_statsd *s, int32_t type, const char *name, double value,
                     const char *member, const char *tags)
{
    if (s)
        take(s, &(sonde__statsd_line){ .type = type,
                                       .name = sonde_str_from(name),
                                       .tags = sonde_str_from(tags),
                                       .member = sonde_str_from(member),
                                       .values = &value,
                                       .values_len = 1,
                                       .rate = 1 });
}

void sonde_statsd_count(sonde_statsd *s, const char *name, int64_t n, const char *tags)
{
    take_one(s, SONDE_STATSD_COUNT, name, (double)n, NULL, tags);
}

void sonde_statsd_gauge(sonde_statsd *s, const char *name, double value, const char *tags)
{
    take_one(s, SONDE_STATSD_GAUGE, name, value, NULL, tags);
}

void sonde_statsd_histogram(sonde_statsd *s, const char *name, double value, const char *tags)
{
    take_one(s, SONDE_STATSD_HISTOGRAM, name, value, NULL, tags);
}

void sonde_statsd_distribution(sonde_statsd *s, const char *name, double value, const char *tags)
{
    take_one(s, SONDE_STATSD_DISTRIBUTION, name, value, NULL, tags);
}

void sonde_statsd_timing(sonde_statsd *s, const char *name, double ms, const char *tags)
{
    take_one(s, SONDE_STATSD_TIMING, name, ms, NULL, tags);
}

void sonde_statsd_set(sonde_statsd *s, const char *name, const char *member, const char *tags)
{
    take_one(s, SONDE_STATSD_SET, name, 0, member, tags);
}

void sonde_statsd_send(sonde_statsd *s, const sonde_statsd_metric *metric)
{
    sonde_statsd_metric m;

    if (!s || !metric)
        return;
    sonde__statsd_read_struct(&m, sizeof(m), metric, metric->struct_bytes);
    take(s, &(sonde__statsd_line){ .type = m.type,
                                   .cardinality = sonde__cardinality_parse(m.cardinality),
                                   .name = sonde_str_from(m.name),
                                   .tags = sonde_str_from(m.tags),
                                   .member =
                                       sonde_str_from(m.type == SONDE_STATSD_SET ? m.member : NULL),
                                   .values = m.values ? m.values : &m.value,
                                   .values_len = m.values ? m.values_len : 1,
                                   .rate = m.rate > 0 ? m.rate : 1,
                                   .unix_s = m.unix_s });
}

/* -- events, service checks ----------------------------------------------------------------------- */

typedef struct telling {
    const sonde__statsd_shared *shared;
    const sonde_statsd_event *event;
    const sonde_statsd_check *check;
} telling;

static char *put_event_or_check(void *user, char *to, const char *end, bool *io_more)
{
    const telling *t = (const telling *)user;

    *io_more = false;
    return t->event ? sonde__statsd_put_event(t->shared, t->event, to, end)
                    : sonde__statsd_put_check(t->shared, t->check, to, end);
}

static void tell(sonde_statsd *s, telling t, bool usable)
{
    if (!usable) {
        count_one(&s->refused);
        return;
    }
    t.shared = &s->shared;
    count_one(&s->direct);
    tend(s, sonde__statsd_out_add(&s->out, put_event_or_check, &t));
}

void sonde_statsd_send_event(sonde_statsd *s, const sonde_statsd_event *event)
{
    sonde_statsd_event e;

    if (!s || !event)
        return;
    sonde__statsd_read_struct(&e, sizeof(e), event, event->struct_bytes);
    tell(s, (telling){ .event = &e }, e.title && e.title[0]);
}

void sonde_statsd_send_check(sonde_statsd *s, const sonde_statsd_check *check)
{
    sonde_statsd_check c;

    if (!s || !check)
        return;
    sonde__statsd_read_struct(&c, sizeof(c), check, check->struct_bytes);
    tell(s, (telling){ .check = &c },
         c.name && c.name[0] && c.state >= SONDE_STATSD_OK && c.state <= SONDE_STATSD_UNKNOWN);
}

/* -- counters ------------------------------------------------------------------------------------- */

void sonde_statsd_counters_read(sonde_statsd *s, sonde_statsd_counters *out)
{
    sonde_statsd_counters c = { 0 };
    uint32_t bytes;

    if (!out)
        return;
    bytes = out->struct_bytes && out->struct_bytes < sizeof(c) ? out->struct_bytes
                                                               : (uint32_t)sizeof(c);
    c.struct_bytes = out->struct_bytes;
    c.drops = SONDE_STATSD_DROPS;
    if (s) {
        c.metrics = atomic_load_explicit(&s->direct, memory_order_relaxed) +
                    sonde__statsd_contexts_added(&s->contexts);
        c.refused = atomic_load_explicit(&s->refused, memory_order_relaxed);
        c.sampled_out = atomic_load_explicit(&s->sampled_out, memory_order_relaxed);
        c.contexts_refused = atomic_load_explicit(&s->contexts_refused, memory_order_relaxed);
        c.contexts = atomic_load_explicit(&s->contexts.len, memory_order_relaxed);
        sonde__statsd_out_count(&s->out, &c);
    }
    memcpy(out, &c, bytes);
}

const char *sonde_statsd_drop_name(uint32_t drop)
{
    static const char *const names[] = {
#define X(name, text) text,
        SONDE_STATSD_DROP_MAP(X)
#undef X
    };

    return drop < SONDE_STATSD_DROPS ? names[drop] : "unknown";
}
