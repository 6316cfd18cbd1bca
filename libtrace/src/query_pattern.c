/* query_pattern.c - a handful of copies of one compiled pattern, each with a mark that it is taken.
 *
 * A copy that was taken at a fork stays taken in the child: one less. */
#include "query_pattern.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/regex.h"

#include "query_secrets.h"

#define ATTEMPTS    64
#define IGNORE_CASE "(?i)"

struct sonde__query_pattern {
    struct {
        sonde_regex *regex;
        _Atomic bool taken;
    } copies[SONDE__QUERY_PATTERNS];
};

static sonde_status compile(sonde__query_pattern *p, sonde_str text, sonde_error *out_error)
{
    char pattern[SONDE_REGEX_PATTERN_MAX];
    size_t prefix = sizeof(IGNORE_CASE) - 1;
    sonde_status status = SONDE_OK;
    size_t i;

    if (text.len > sizeof(pattern) - prefix)
        return SONDE_ERR_TOO_BIG;
    memcpy(pattern, IGNORE_CASE, prefix);
    memcpy(pattern + prefix, text.ptr, text.len);
    for (i = 0; i < SONDE__QUERY_PATTERNS && status == SONDE_OK; i++)
        status = sonde_regex_compile((sonde_str){ pattern, prefix + text.len }, &p->copies[i].regex,
                                     out_error);
    return status;
}

sonde_status sonde__query_pattern_new(sonde_str text, sonde__query_pattern **out,
                                      sonde_error *out_error)
{
    sonde__query_pattern *p = (sonde__query_pattern *)sonde_calloc(1, sizeof(*p));
    sonde_status status = p ? compile(p, text, out_error) : SONDE_ERR_NOMEM;

    if (status == SONDE_OK)
        *out = p;
    else
        sonde__query_pattern_free(p);
    return status;
}

void sonde__query_pattern_free(sonde__query_pattern *p)
{
    size_t i;

    if (!p)
        return;
    for (i = 0; i < SONDE__QUERY_PATTERNS; i++)
        sonde_regex_free(p->copies[i].regex);
    sonde_free(p);
}

/* SONDE__QUERY_PATTERNS: none became free. */
static size_t take(sonde__query_pattern *p)
{
    size_t n;

    for (n = 0; n < ATTEMPTS * SONDE__QUERY_PATTERNS; n++) {
        size_t i = n % SONDE__QUERY_PATTERNS;

        /* pairs with the release of who had it before */
        if (!atomic_load_explicit(&p->copies[i].taken, memory_order_relaxed) &&
            !atomic_exchange_explicit(&p->copies[i].taken, true, memory_order_acquire))
            return i;
    }
    return SONDE__QUERY_PATTERNS;
}

typedef struct output {
    char *to;
    size_t len;
    size_t cap;
} output;

static void put(output *o, sonde_str text)
{
    if (text.len > o->cap - o->len)
        text.len = o->cap - o->len;
    memcpy(o->to + o->len, text.len ? text.ptr : "", text.len);
    o->len += text.len;
}

static void redact(sonde_regex *regex, sonde_str query, output *o)
{
    size_t from = 0; /* what is not written yet */
    size_t next = 0;
    size_t at, len;

    while (next <= query.len && sonde_regex_find(regex, query, next, &at, &len)) {
        next = at + (len ? len : 1); /* nothing found is nothing to hide */
        if (len == 0)
            continue;
        put(o, sonde_str_sub(query, from, at - from));
        put(o, SONDE_STR(SONDE__REDACTED));
        from = next;
    }
    put(o, sonde_str_sub(query, from, query.len));
}

size_t sonde__query_pattern_redact(sonde__query_pattern *p, sonde_str query, char *to, size_t cap)
{
    output o = { to, 0, cap };
    size_t i = take(p);

    if (i == SONDE__QUERY_PATTERNS) {
        put(&o, SONDE_STR(SONDE__REDACTED));
        return o.len;
    }
    redact(p->copies[i].regex, query, &o);
    /* pairs with take() */
    atomic_store_explicit(&p->copies[i].taken, false, memory_order_release);
    return o.len;
}
