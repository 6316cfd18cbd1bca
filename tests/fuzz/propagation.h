/* propagation.h - what the targets for headers share: a tracer with one style, carriers, a pass through it.
 *
 * Bounds    CARRIER_ROWS headers, CARRIER_ROOM bytes of those that come out. */
#ifndef SONDE_FUZZ_PROPAGATION_H
#define SONDE_FUZZ_PROPAGATION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sonde/sonde.h"

#define CARRIER_ROWS 16
#define CARRIER_ROOM 32768

typedef struct carrier {
    sonde_str name[CARRIER_ROWS];
    sonde_str value[CARRIER_ROWS];
    int len;
    char room[CARRIER_ROOM];
    size_t used;
} carrier;

static inline void must(bool holds)
{
    if (!holds)
        abort();
}

static inline void carrier_put(carrier *c, const char *name, sonde_str value)
{
    must(c->len < CARRIER_ROWS);
    c->name[c->len] = sonde_str_from(name);
    c->value[c->len++] = value;
}

static inline void carrier_each(void *user, sonde_visitor visit, void *visitor_user)
{
    const carrier *c = (const carrier *)user;
    int i;

    for (i = 0; i < c->len; i++)
        visit(visitor_user, c->name[i], c->value[i]);
}

static inline sonde_str carrier_keep(carrier *c, sonde_str s)
{
    char *at = c->room + c->used;

    must(s.len <= CARRIER_ROOM - c->used);
    memcpy(at, s.len ? s.ptr : "", s.len);
    c->used += s.len;
    return (sonde_str){ at, s.len };
}

/* Whatever came in, nothing goes out that could end a header. */
static inline void carrier_set(void *user, sonde_str name, sonde_str value)
{
    carrier *c = (carrier *)user;
    size_t i;

    for (i = 0; i < value.len; i++)
        must(value.ptr[i] >= 0x20 && value.ptr[i] != 0x7f);
    must(c->len < CARRIER_ROWS);
    c->name[c->len] = carrier_keep(c, name);
    c->value[c->len++] = carrier_keep(c, value);
}

/* An empty view when it is not there. */
static inline sonde_str carrier_get(const carrier *c, const char *name)
{
    int i;

    for (i = 0; i < c->len; i++)
        if (sonde_str_eq(c->name[i], sonde_str_from(name)))
            return c->value[i];
    return (sonde_str){ NULL, 0 };
}

/* The first call decides. */
static inline void start_with_style(const char *styles)
{
    static bool started;
    sonde_options o = { .service = "fuzz",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 1 };

    if (started)
        return;
    must(setenv("DD_TRACE_LOG_LEVEL", "error", 1) == 0);
    must(setenv("DD_TRACE_STARTUP_LOGS", "false", 1) == 0);
    must(setenv("DD_INSTRUMENTATION_TELEMETRY_ENABLED", "false", 1) == 0);
    must(setenv("DD_REMOTE_CONFIGURATION_ENABLED", "false", 1) == 0);
    must(setenv("DD_TRACE_PROPAGATION_STYLE", styles, 1) == 0);
    must(sonde_start(&o) == SONDE_OK);
    started = true;
}

static inline sonde_context *carrier_extract(carrier *c)
{
    return sonde_extract(&(sonde_reader){ .each = carrier_each, .user = c });
}

/* Extracts `in` and sends it on without a span of ours.  NULL: there was no context, and nothing comes out. */
static inline sonde_context *pass_through(carrier *in, carrier *out)
{
    sonde_context *context = carrier_extract(in);

    out->len = 0;
    out->used = 0;
    if (context)
        sonde_inject(context, &(sonde_writer){ .set = carrier_set, .user = out });
    return context;
}

/* What came out says the same as what went in, and comes out unchanged of a second pass. */
static inline void must_be_stable(sonde_context *first, carrier *once)
{
    static carrier twice;
    sonde_context *second = pass_through(once, &twice);
    int i;

    must(sonde_context_trace_id_high(first) == sonde_context_trace_id_high(second));
    must(sonde_context_trace_id_low(first) == sonde_context_trace_id_low(second));
    must(sonde_context_span_id(first) == sonde_context_span_id(second));
    must(once->len == twice.len);
    for (i = 0; i < once->len; i++)
        must(sonde_str_eq(once->name[i], twice.name[i]) &&
             sonde_str_eq(once->value[i], twice.value[i]));
    sonde_context_release(second);
}

static inline void put_lines(carrier *c, const char *const *names, size_t names_len, sonde_str rest)
{
    size_t i;

    for (i = 0; i < names_len && rest.len > 0; i++) {
        sonde_str line = sonde_str_cut(&rest, '\n');

        if (line.len > 0)
            carrier_put(c, names[i], line);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif /* SONDE_FUZZ_PROPAGATION_H */
