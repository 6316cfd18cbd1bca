/* rates.c - reference counts of the rates answer. */
#include "rates.h"

#include "base/alloc.h"

rates_snapshot *rates_new(sonde_str body, sonde_str version)
{
    rates_snapshot *s;
    size_t bytes;
    char *text;

    if (version.len > RATES_VERSION_MAX_LEN || !sonde_add_size(sizeof(*s), body.len, &bytes))
        return NULL;
    s = sonde_malloc(bytes);
    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    if (version.len)
        memcpy(s->version, version.ptr, version.len);
    s->version[version.len] = '\0';
    text = (char *)(s + 1);
    if (body.len)
        memcpy(text, body.ptr, body.len);
    s->body = (sonde_str){ text, body.len };
    return s;
}

void rates_put(rates_snapshot *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        sonde_free(s);
}

sonde_status rates_cell_init(rates_cell *c)
{
    rates_snapshot *empty = rates_new(SONDE_STR("{\"rate_by_service\":{}}\n"), SONDE_STR(""));

    if (!empty)
        return SONDE_ERR_NOMEM;
    sonde_mutex_init(&c->mu, SONDE_RANK_ROOM);
    c->current = empty;
    return SONDE_OK;
}

void rates_cell_done(rates_cell *c)
{
    rates_put(c->current);
    c->current = NULL;
    sonde_mutex_done(&c->mu);
}

void rates_cell_publish(rates_cell *c, rates_snapshot *s)
{
    rates_snapshot *old;

    sonde_mutex_lock(&c->mu);
    old = c->current;
    c->current = s;
    sonde_mutex_unlock(&c->mu);
    rates_put(old);
}

rates_snapshot *rates_cell_get(rates_cell *c)
{
    rates_snapshot *s;

    sonde_mutex_lock(&c->mu);
    s = c->current;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    sonde_mutex_unlock(&c->mu);
    return s;
}
