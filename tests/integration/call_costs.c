/* call_costs.c - runs the hot calls of libtrace under callgrind, which counts their instructions.
 *
 * For each call a count of FEW and one of MANY of them in a row, ROUNDS times; the difference is the cost of
 * MANY - FEW calls, and what surrounds them cancels.  Nothing here depends on chance or time: the clock
 * stands still, ids follow from a seed, and the tracer's thread is never made: what it would do with
 * finished spans is done here, outside the count.  test_instructions.py runs it and compares.
 *
 * Its one line of output is the version of libc, whose strlen() and memcpy() are counted as well. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gnu/libc-version.h>
#include <pthread.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

#include <sonde/sonde.h>

#include "libtrace/src/agent_info.h"
#include "libtrace/src/area.h"
#include "libtrace/src/fast_clock.h"
#include "libtrace/src/payload.h"
#include "libtrace/src/tracer.h"

#define FEW    32
#define MANY   64
#define ROUNDS 30 /* a multiple of them takes whole batches of cells */

/* In place of libc's: the thread "runs", and nobody takes the chunks away. */
int pthread_create(pthread_t *out, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    (void)attr, (void)run, (void)arg;
    *out = pthread_self();
    return 0;
}

/* -- what calls work on --------------------------------------------------------------------------- */

static sonde_span *spans[MANY];
static sonde_context *context;
static sonde__payload payload;

typedef struct map {
    sonde_str name[8];
    char value[8][320];
    size_t len[8];
    int rows;
} map;

static map headers;

static void set_header(void *user, sonde_str name, sonde_str value)
{
    map *m = (map *)user;

    m->name[m->rows] = name; /* a literal of the library's */
    memcpy(m->value[m->rows], value.ptr, value.len);
    m->len[m->rows++] = value.len;
}

static void ignore_header(void *user, sonde_str name, sonde_str value)
{
    (void)user, (void)name, (void)value;
}

static sonde_str get_header(void *user, sonde_str name)
{
    const map *m = (const map *)user;
    int i;

    for (i = 0; i < m->rows; i++)
        if (m->name[i].ptr == name.ptr ||
            (m->name[i].len == name.len && memcmp(m->name[i].ptr, name.ptr, name.len) == 0))
            return (sonde_str){ m->value[i], m->len[i] };
    return (sonde_str){ NULL, 0 };
}

static void start_spans(int n)
{
    int i;

    for (i = 0; i < n; i++)
        spans[i] = sonde_span_start("db.query", NULL);
}

static void finish_spans(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_span_finish(spans[i]);
}

static void start_tagged(int n)
{
    int i;

    start_spans(n);
    for (i = 0; i < n; i++) {
        sonde_span_set_str(spans[i], "http.method", "GET");
        sonde_span_set_str(spans[i], "http.route", "/users/{id}/orders");
        sonde_span_set_str(spans[i], "component", "bench");
    }
}

/* One chunk of so many spans in this thread's queue. */
static void queue_chunk(int n)
{
    sonde_span *root = sonde_span_start("http.request", &(sonde_span_options){ .new_trace = 1 });
    int i;

    for (i = 0; i < n; i++) {
        sonde_span *child = sonde_span_start("db.query", &(sonde_span_options){ .parent = root });

        sonde_span_set_str(child, "component", "bench");
        sonde_span_finish(child);
    }
    sonde_span_finish(root);
}

static sonde__span *first_chunk(void)
{
    sonde_handover_link *link =
        atomic_load_explicit(&sonde__self->queue.head, memory_order_acquire);

    return (sonde__span *)(void *)((char *)link - offsetof(sonde__span, text));
}

/* -- the calls ------------------------------------------------------------------------------------ */

static void off(int n)
{
    int i;

    for (i = 0; i < n; i++) {
        SONDE_SPAN(span, "off");
    }
}

static void child(int n)
{
    int i;

    for (i = 0; i < n; i++) {
        SONDE_SPAN(span, "db.query");
    }
}

static void child3(int n)
{
    int i;

    for (i = 0; i < n; i++) {
        SONDE_SPAN(span, "db.query");

        sonde_span_set_str(span, "http.method", "GET");
        sonde_span_set_str(span, "http.route", "/users/{id}/orders");
        sonde_span_set_str(span, "component", "bench");
    }
}

static void trace(int n)
{
    int i;

    for (i = 0; i < n; i++) {
        SONDE_SPAN_WITH(span, "http.request", &(sonde_span_options){ .new_trace = 1 });
    }
}

static void start_finish(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_span_finish(sonde_span_start("db.query", NULL));
}

static void set_str(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_span_set_str(spans[i], "http.method", "GET");
}

static void set_int(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_span_set_int(spans[i], "retries", i);
}

static void set_double(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_span_set_double(spans[i], "ratio", 0.5);
}

static void set_resource(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_span_set_resource(spans[i], "GET /users/{id}/orders");
}

static void error(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_span_error(spans[i], "ENOENT", "no such file");
}

static void trace_id_hex(int n)
{
    char hex[33];
    int i;

    for (i = 0; i < n; i++)
        sonde_span_trace_id_hex(spans[i], hex);
}

static void context_current(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_context_release(sonde_context_current());
}

static void context_attach(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_context_detach(sonde_context_attach(context));
}

static void inject(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_inject(NULL, &(sonde_writer){ .set = ignore_header });
}

static void extract(int n)
{
    int i;

    for (i = 0; i < n; i++)
        sonde_context_release(
            sonde_extract(&(sonde_reader){ .get = get_header, .user = &headers }));
}

static void extract_span(int n)
{
    int i;

    for (i = 0; i < n; i++) {
        sonde_context *from = sonde_extract(&(sonde_reader){ .get = get_header, .user = &headers });
        sonde_span *span =
            sonde_span_start("http.request", &(sonde_span_options){ .context = from });

        sonde_context_release(from);
        sonde_span_finish(span);
    }
}

/* Of the tracer's thread: a chunk of n spans, and the root. */
static void encode(int n)
{
    (void)n;
    if (sonde__payload_add(&payload, first_chunk()) != SONDE_OK)
        abort();
}

/* -- counting ------------------------------------------------------------------------------------- */

typedef struct call {
    const char *name;
    void (*run)(int n);
    void (*before)(int n);
    void (*after)(int n);
} call;

/* What the tracer's thread does with chunks. */
static void free_chunks(void)
{
    sonde_handover_link *link = sonde_handover_take_all(&sonde__self->queue);

    while (link) {
        sonde__span *chunk = (sonde__span *)(void *)((char *)link - offsetof(sonde__span, text));

        link = link->next;
        sonde__chunk_free(chunk, &sonde__self->cells);
    }
    sonde__payload_reset(&payload);
}

static void count(const call *c, int n)
{
    char label[64];
    int i;

    CALLGRIND_ZERO_STATS;
    for (i = 0; i < ROUNDS; i++) {
        if (c->before)
            c->before(n);
        CALLGRIND_TOGGLE_COLLECT;
        c->run(n);
        CALLGRIND_TOGGLE_COLLECT;
        if (c->after)
            c->after(n);
        if (sonde__self)
            free_chunks();
    }
    (void)snprintf(label, sizeof(label), "%s %d", c->name, n * ROUNDS);
    CALLGRIND_DUMP_STATS_AT(label);
}

static void count_all(const call *calls, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++) {
        count(&calls[i], MANY); /* not compared: touches what is touched the first time */
        count(&calls[i], FEW);
        count(&calls[i], MANY);
    }
}

static void agent_says(const char *info)
{
    (void)sonde__agent_take(200, (sonde_str){ info, strlen(info) });
    sonde__payload_reset(&payload);
}

static void count_with_tracing(void)
{
    static const call calls[] = {
        { "span", child, NULL, NULL },
        { "span3", child3, NULL, NULL },
        { "trace", trace, NULL, NULL },
        { "start_finish", start_finish, NULL, NULL },
        { "set_str", set_str, start_spans, finish_spans },
        { "set_int", set_int, start_spans, finish_spans },
        { "set_double", set_double, start_spans, finish_spans },
        { "set_resource", set_resource, start_spans, finish_spans },
        { "error", error, start_spans, finish_spans },
        { "finish_tagged", finish_spans, start_tagged, NULL },
        { "trace_id_hex", trace_id_hex, start_spans, finish_spans },
        { "context_current", context_current, NULL, NULL },
        { "context_attach", context_attach, NULL, NULL },
        { "inject", inject, NULL, NULL },
        { "extract", extract, NULL, NULL },
        { "extract_span", extract_span, NULL, NULL },
        { "encode", encode, queue_chunk, NULL },
    };
    static const call counted = { "encode_count", encode, queue_chunk, NULL };
    static const call unsampled = { "unsampled", child, NULL, NULL };
    SONDE_SPAN(root, "client");

    sonde_inject(NULL, &(sonde_writer){ .set = set_header, .user = &headers });
    context = sonde_context_current();
    count_all(calls, sizeof(calls) / sizeof(calls[0]));
    agent_says("{\"endpoints\":[\"/v0.6/stats\"],\"client_drop_p0s\":true}");
    count_all(&counted, 1);
    sonde_span_drop(root);
    count_all(&unsampled, 1);
}

int main(void)
{
    static const call switched_off = { "off", off, NULL, NULL };
    static const sonde_options o = {
        .service = "bench", .env = "bench", .agent_url = "http://127.0.0.1:1", .enabled = 1
    };

    (void)setenv("DD_TRACE_LOG_LEVEL", "error", 1);
    printf("glibc %s\n", gnu_get_libc_version());
    (void)fflush(stdout);
    count_all(&switched_off, 1); /* as good as a start without tracing */
    sonde__fast_clock_freeze(UINT64_C(1700000000000000000));
    sonde__area_seed(1);
    if (sonde_start(&o) != SONDE_OK ||
        sonde__payload_open(&payload, sonde__settings(), sonde__runtime_id(), 4000000) != SONDE_OK)
        abort();
    count_with_tracing();
    _exit(0); /* the stop would wait for the thread */
}
