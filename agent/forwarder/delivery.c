/* delivery.c - bodies and who still needs them. */
#include "delivery.h"

#include "base/alloc.h"

shared_upload *shared_upload_new(const upload *u)
{
    shared_upload *s = sonde_malloc(sizeof(*s));

    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->what = *u;
    return s;
}

void shared_upload_put(shared_upload *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    sonde_free(s->what.body);
    sonde_free(s);
}

delivery *delivery_new(shared_upload *s)
{
    delivery *d = sonde_calloc(1, sizeof(*d));

    if (!d)
        return NULL;
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    d->upload = s;
    return d;
}

void delivery_free(delivery *d)
{
    if (!d)
        return;
    shared_upload_put(d->upload);
    sonde_free(d);
}
