/* delivery.c - bodies and who still needs them. */
#include "delivery.h"

#include <string.h>

#include "base/alloc.h"

shared_upload *shared_upload_new(const upload *u)
{
    shared_upload *s = sonde_malloc(sizeof(*s));

    if (!s)
        return NULL;
    atomic_init(&s->refs, 1);
    s->what = *u;
    s->texts = NULL;
    return s;
}

void shared_upload_put(shared_upload *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    sonde_free(s->what.body);
    sonde_free(s->texts);
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

static void set_texts(upload *u, const record_texts *texts)
{
    u->path = texts->text[0];
    u->content_type = texts->text[1];
    u->content_encoding = texts->text[2];
    memcpy(u->headers, texts->text[3], sizeof(u->headers));
}

sonde_status delivery_from_record(const record_facts *facts, const record_texts *texts,
                                  uint8_t *body, delivery **out_delivery)
{
    upload u = { .kind = (int32_t)facts->kind,
                 .body = body,
                 .body_len = facts->body_len,
                 .items = facts->items,
                 .chunks = facts->chunks };
    shared_upload *s = shared_upload_new(&u);
    delivery *d = s ? delivery_new(s) : NULL;

    if (d)
        s->texts = sonde_malloc(sizeof(*s->texts));
    if (!d || !s->texts) {
        if (s)
            s->what.body = NULL; /* stays the caller's */
        delivery_free(d);
        shared_upload_put(s);
        return SONDE_ERR_NOMEM;
    }
    *s->texts = *texts;
    set_texts(&s->what, s->texts);
    d->attempts = facts->attempts;
    shared_upload_put(s);
    *out_delivery = d;
    return SONDE_OK;
}
