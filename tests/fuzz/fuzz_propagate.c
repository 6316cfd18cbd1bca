/* fuzz_propagate.c - headers of any content and every style, one "name:value" a line.
 *
 * Property: never crashes; what was extracted is injected, and extracting that again gives the same trace
 * and the same parent; no injected value holds a control character.  */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sonde/sonde.h"

#define ROWS_MAX 16
#define ROOM     16384

typedef struct carrier {
    sonde_str name[ROWS_MAX];
    sonde_str value[ROWS_MAX];
    int len;
    char room[ROOM];
    size_t used;
} carrier;

static void each(void *user, sonde_visitor visit, void *visitor_user)
{
    const carrier *c = (const carrier *)user;
    int i;

    for (i = 0; i < c->len; i++)
        visit(visitor_user, c->name[i], c->value[i]);
}

static sonde_str keep(carrier *c, sonde_str s)
{
    char *at = c->room + c->used;

    if (s.len > ROOM - c->used)
        abort();
    memcpy(at, s.len ? s.ptr : "", s.len);
    c->used += s.len;
    return (sonde_str){ at, s.len };
}

static void set(void *user, sonde_str name, sonde_str value)
{
    carrier *c = (carrier *)user;
    size_t i;

    for (i = 0; i < value.len; i++)
        if (value.ptr[i] == '\r' || value.ptr[i] == '\n' || value.ptr[i] == '\0')
            abort();
    if (c->len == ROWS_MAX)
        abort();
    c->name[c->len] = keep(c, name);
    c->value[c->len++] = keep(c, value);
}

static void read_lines(carrier *c, sonde_str rest)
{
    while (rest.len > 0 && c->len < ROWS_MAX) {
        sonde_str line = sonde_str_cut(&rest, '\n');

        c->value[c->len] = line;
        c->name[c->len] = sonde_str_cut(&c->value[c->len], ':');
        c->len++;
    }
}

static void start_once(void)
{
    static int started;
    sonde_options o = { .service = "fuzz",
                        .agent_url = "http://127.0.0.1:1",
                        .stop_timeout_ms = 1 };

    if (!started && setenv("DD_TRACE_LOG_LEVEL", "error", 1) == 0 &&
        setenv("DD_TRACE_PROPAGATION_STYLE", "datadog,tracecontext,b3,b3multi,baggage", 1) == 0)
        (void)sonde_start(&o);
    started = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static carrier in, out;
    sonde_context *first, *second;

    start_once();
    memset(&in, 0, sizeof(in));
    memset(&out, 0, sizeof(out));
    read_lines(&in, (sonde_str){ (const char *)data, size });
    first = sonde_extract(&(sonde_reader){ .each = each, .user = &in });
    if (!first)
        return 0;
    sonde_inject(first, &(sonde_writer){ .set = set, .user = &out });
    second = sonde_extract(&(sonde_reader){ .each = each, .user = &out });
    /* A parent of 0 is written as such, and accepted back only where the origin allows it. */
    if (sonde_context_span_id(first) != 0) {
        if (sonde_context_trace_id_low(second) != sonde_context_trace_id_low(first) ||
            sonde_context_span_id(second) != sonde_context_span_id(first))
            abort();
    }
    sonde_context_release(first);
    sonde_context_release(second);
    return 0;
}
