/* batch.c - what one request brings to the store, the same for every backend.
 *
 * Threads   none: a batch belongs to whoever holds it. */
#include "base/alloc.h"
#include "dashboards/store/store.h"

store_batch *store_batch_new(void)
{
    store_batch *b = (store_batch *)sonde_calloc(1, sizeof(*b));

    if (b)
        sonde_arena_init(&b->text, STORE_BATCH_TEXT_MAX_BYTES);
    return b;
}

void store_batch_free(store_batch *b)
{
    size_t i;

    if (!b)
        return;
    for (i = 0; i < b->frames_len; i++)
        frame_done(&b->frames[i]);
    sonde_free(b->frames);
    for (i = 0; i < b->profiles_len; i++)
        sonde_free(b->profiles[i].body);
    sonde_free(b->profiles);
    sonde_arena_done(&b->text);
    sonde_free(b);
}

sonde_status store_batch_add_frame(store_batch *b, frame *f)
{
    frame *more = (frame *)sonde_realloc(b->frames, (b->frames_len + 1) * sizeof(*more));

    if (!more)
        return SONDE_ERR_NOMEM;
    b->frames = more;
    more[b->frames_len++] = *f;
    b->spans += f->spans;
    *f = (frame){ 0 };
    return SONDE_OK;
}

/* In the batch's own memory; false: none left. */
static bool keep(store_batch *b, sonde_str *text)
{
    *text = sonde_arena_copy(&b->text, *text);
    return text->ptr != NULL;
}

sonde_status store_batch_add_profile(store_batch *b, const store_profile *p)
{
    store_profile *more =
        (store_profile *)sonde_realloc(b->profiles, (b->profiles_len + 1) * sizeof(*more));
    store_profile *added;

    if (!more)
        return SONDE_ERR_NOMEM;
    b->profiles = more;
    added = &more[b->profiles_len];
    *added = *p;
    if (!keep(b, &added->service) || !keep(b, &added->env) || !keep(b, &added->version) ||
        !keep(b, &added->host) || !keep(b, &added->runtime_id) || !keep(b, &added->family) ||
        !keep(b, &added->name) || !keep(b, &added->types) || !keep(b, &added->tags))
        return SONDE_ERR_NOMEM;
    b->profiles_len++;
    return SONDE_OK;
}

size_t store_batch_bytes(const store_batch *b)
{
    size_t i, bytes = sizeof(*b) + b->text.held_bytes;

    for (i = 0; i < b->frames_len; i++)
        bytes += sizeof(frame) + b->frames[i].held_bytes;
    for (i = 0; i < b->profiles_len; i++)
        bytes += sizeof(store_profile) + b->profiles[i].body_len;
    return bytes;
}
