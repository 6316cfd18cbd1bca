/* test_reporter.c - <sonde/test.h>: look-ups and expectations over what was collected. */
#include "sonde/test.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "vocab/tags.h"

#include "area.h"
#include "collector.h"
#include "fast_clock.h"

#define FLUSH_MS 10000

static char failure[2048]; /* of the last expectation */

static SONDE_PRINTF(1, 2) const char *fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(failure, sizeof(failure), format, args);
    va_end(args);
    return failure;
}

/* -- life ----------------------------------------------------------------------------------------- */

static void put_back(void)
{
    sonde__area_seed(0);
    sonde__fast_clock_freeze(0);
    sonde__collector_close();
}

sonde_status sonde_test_start(const sonde_test_options *options)
{
    sonde_test_options o = { .struct_bytes = 0 };
    sonde_options tracer = { .struct_bytes = 0 };
    sonde_status status;
    size_t bytes;

    if (sonde__collector_is_open() || sonde_enabled())
        return SONDE_ERR_STATE;
    if (options) {
        bytes = options->struct_bytes;
        memcpy(&o, options, bytes > 0 && bytes < sizeof(o) ? bytes : sizeof(o));
    }
    if (o.tracer) {
        bytes = o.tracer->struct_bytes;
        memcpy(&tracer, o.tracer, bytes > 0 && bytes < sizeof(tracer) ? bytes : sizeof(tracer));
    }
    tracer.struct_bytes = sizeof(tracer);
    tracer.enabled = 1;
    tracer.agent_url = "http://localhost"; /* nobody calls it */
    sonde__collector_open();
    sonde__fast_clock_freeze(o.fixed_unix_ns > 0 ? (uint64_t)o.fixed_unix_ns : 0);
    sonde__area_seed(o.id_seed);
    status = sonde_start(&tracer);
    if (status != SONDE_OK)
        put_back();
    return status;
}

void sonde_test_stop(void)
{
    if (!sonde__collector_is_open())
        return;
    sonde_stop();
    put_back();
}

void sonde_test_clear(void)
{
    (void)sonde_flush(FLUSH_MS);
    sonde__collector_clear();
}

void sonde_test_advance(uint64_t time_ns)
{
    sonde__fast_clock_advance(time_ns);
}

/* -- looking up ----------------------------------------------------------------------------------- */

uint32_t sonde_test_count(void)
{
    (void)sonde_flush(FLUSH_MS);
    return sonde__collector_count();
}

const sonde_test_span *sonde_test_at(uint32_t index)
{
    (void)sonde_flush(FLUSH_MS);
    return sonde__collector_at(index);
}

const sonde_test_span *sonde_test_find(const char *name)
{
    uint32_t n = sonde_test_count();
    uint32_t i;

    for (i = 0; i < n && name; i++) {
        const sonde_test_span *span = sonde__collector_at(i);

        if (span && strcmp(span->name, name) == 0)
            return span;
    }
    return NULL;
}

const sonde_test_span *sonde_test_parent_of(const sonde_test_span *span)
{
    uint32_t n = sonde_test_count();
    uint32_t i;

    for (i = 0; i < n && span && span->parent_id != 0; i++) {
        const sonde_test_span *other = sonde__collector_at(i);

        if (other && other->span_id == span->parent_id && other->trace_id_low == span->trace_id_low)
            return other;
    }
    return NULL;
}

const char *sonde_test_tag(const sonde_test_span *span, const char *key)
{
    return span && key ? sonde__collector_tag(span, sonde_str_from(key)) : NULL;
}

/* -- expectations --------------------------------------------------------------------------------- */

/* "a, b, c" of all that was collected, as far as there is room. */
static const char *all_names(void)
{
    static char names[1024];
    uint32_t n = sonde__collector_count();
    size_t len = 0;
    uint32_t i;

    names[0] = '\0';
    for (i = 0; i < n && len < sizeof(names); i++)
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", i ? ", " : "",
                                sonde__collector_at(i)->name);
    return n ? names : "none";
}

const char *sonde_test_expect_count(uint32_t count)
{
    uint32_t n = sonde_test_count();

    return n == count ? NULL
                      : fail("%" PRIu32 " spans, expected %" PRIu32 ": %s", n, count, all_names());
}

const char *sonde_test_expect_span(const char *name)
{
    return sonde_test_find(name)
               ? NULL
               : fail("no span %s; there are: %s", name ? name : "(NULL)", all_names());
}

static const char *no_span(void)
{
    return fail("no span to look at; there are: %s", all_names());
}

const char *sonde_test_expect_tag(const sonde_test_span *span, const char *key, const char *value)
{
    const char *got;

    if (!span)
        return no_span();
    if (!key)
        return fail("no key to look for");
    got = sonde_test_tag(span, key);
    if (got && value && strcmp(got, value) == 0)
        return NULL;
    if (got && value)
        return fail("span %s has %s = \"%s\", expected \"%s\"", span->name, key, got, value);
    if (got)
        return fail("span %s has %s = \"%s\", expected none", span->name, key, got);
    return value ? fail("span %s has no %s, expected \"%s\"", span->name, key, value) : NULL;
}

const char *sonde_test_expect_error(const sonde_test_span *span, const char *type)
{
    if (!span)
        return no_span();
    if (!type)
        return span->error ? fail("span %s failed: %s", span->name, span->json) : NULL;
    if (!span->error)
        return fail("span %s did not fail, expected %s", span->name, type);
    return sonde_test_expect_tag(span, SONDE_TAG_ERROR_TYPE, type);
}

const char *sonde_test_expect_parent(const sonde_test_span *span, const sonde_test_span *parent)
{
    const sonde_test_span *got = sonde_test_parent_of(span);

    if (!span)
        return no_span();
    if (!parent && span->parent_id == 0)
        return NULL;
    if (parent && span->parent_id == parent->span_id && span->trace_id_low == parent->trace_id_low)
        return NULL;
    return fail("span %s is a child of %s, expected %s", span->name,
                got                    ? got->name
                : span->parent_id != 0 ? "a span that is not here"
                                       : "none",
                parent ? parent->name : "none");
}
