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

size_t store_batch_bytes(const store_batch *b)
{
    size_t i, bytes = sizeof(*b) + b->text.held_bytes;

    for (i = 0; i < b->frames_len; i++)
        bytes += sizeof(frame) + b->frames[i].held_bytes;
    return bytes;
}
