/* carrier.h - a list of headers for the tests of propagation.  One thread. */
#ifndef SONDE_TEST_LIBTRACE_CARRIER_H
#define SONDE_TEST_LIBTRACE_CARRIER_H

#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "sonde/sonde.h"

#define HEADERS_MAX 12

typedef struct carrier {
    struct {
        char name[40];
        char value[5000];
    } row[HEADERS_MAX];
    int len;
} carrier;

static inline void add(void *user, sonde_str name, sonde_str value)
{
    carrier *c = (carrier *)user;

    assert_true(c->len < HEADERS_MAX);
    (void)snprintf(c->row[c->len].name, sizeof(c->row[0].name), "%.*s", SONDE_STR_ARG(name));
    (void)snprintf(c->row[c->len].value, sizeof(c->row[0].value), "%.*s", SONDE_STR_ARG(value));
    c->len++;
}

static inline void put(carrier *c, const char *name, const char *value)
{
    if (value)
        add(c, sonde_str_from(name), sonde_str_from(value));
}

static inline void each(void *user, sonde_visitor visit, void *visitor_user)
{
    const carrier *c = (const carrier *)user;
    int i;

    for (i = 0; i < c->len; i++)
        visit(visitor_user, sonde_str_from(c->row[i].name), sonde_str_from(c->row[i].value));
}

static inline const char *value_of(const carrier *c, const char *name)
{
    int i;

    for (i = 0; i < c->len; i++)
        if (strcmp(c->row[i].name, name) == 0)
            return c->row[i].value;
    return NULL;
}

static inline sonde_context *extract(carrier *c)
{
    return sonde_extract(&(sonde_reader){ .each = each, .user = c });
}

static inline void inject(const sonde_context *context, carrier *c)
{
    memset(c, 0, sizeof(*c));
    sonde_inject(context, &(sonde_writer){ .set = add, .user = c });
}

static inline void assert_header(const char *label, const carrier *c, const char *name,
                                 const char *want)
{
    const char *got = value_of(c, name);

    if ((got == NULL) != (want == NULL) || (want && strcmp(got, want) != 0))
        fail_msg("%s: %s is %s, want %s", label, name, got ? got : "absent",
                 want ? want : "absent");
}

/* The local part of a header that was forwarded without a span of ours. */
static inline void through(carrier *in, carrier *out)
{
    sonde_context *context = extract(in);

    inject(context, out);
    if (!context)
        out->len = 0;
    sonde_context_release(context);
}

#endif /* SONDE_TEST_LIBTRACE_CARRIER_H */
