/* payload.c - which form, and how the memory is divided. */
#include "payload.h"

#include <string.h>

#include "agent_info.h"

#define SOFT_BYTES 4750000u

sonde_status sonde__payload_open(sonde__payload *p, const sonde__config *config,
                                 const char *runtime_id, size_t max_bytes)
{
    size_t v04_bytes = config->api_version == SONDE__API_V05 ? max_bytes / 3 : max_bytes;
    sonde_status status = sonde__encoder_open(&p->v04, config, runtime_id, v04_bytes);

    p->wants_v05 = config->api_version == SONDE__API_V05;
    p->is_v05 = false;
    memset(&p->v05, 0, sizeof(p->v05));
    p->soft_bytes = v04_bytes / 4 * 3 < SOFT_BYTES ? v04_bytes / 4 * 3 : SOFT_BYTES;
    if (status == SONDE_OK && p->wants_v05)
        status = sonde__v05_open(&p->v05, max_bytes - v04_bytes);
    return status;
}

void sonde__payload_close(sonde__payload *p)
{
    sonde__encoder_close(&p->v04);
    if (p->wants_v05)
        sonde__v05_close(&p->v05);
}

void sonde__payload_reset(sonde__payload *p)
{
    sonde__encoder_reset(&p->v04);
    if (p->is_v05)
        sonde__v05_reset(&p->v05);
    p->is_v05 = false;
}

/* Moves the chunk that was just encoded, from `at` on, into the other form. */
static sonde_status move_to_v05(sonde__payload *p, size_t at, uint64_t spans)
{
    sonde_buf *b = &p->v04.payload;
    sonde_status status =
        sonde__v05_add(&p->v05, (sonde_str){ (const char *)b->data + at, b->len - at });

    b->len = at;
    if (status != SONDE_OK) {
        p->v04.chunks--;
        p->v04.spans -= spans;
    }
    return status;
}

sonde_status sonde__payload_add(sonde__payload *p, sonde__span *chunk)
{
    uint32_t spans = chunk->text.chunk_len;
    size_t at = p->v04.payload.len;
    sonde_status status;

    if (p->v04.chunks == 0)
        p->is_v05 = p->wants_v05 && sonde__agent_serves(sonde__agent(), SONDE_STR("/v0.5/traces"));
    p->v04.native_events = !p->is_v05 && sonde__agent()->span_events;
    status = sonde__encode_chunk(&p->v04, chunk);
    if (status == SONDE_OK && p->is_v05)
        status = move_to_v05(p, at, spans);
    return status;
}

bool sonde__payload_is_full(const sonde__payload *p)
{
    return (p->is_v05 ? sonde__v05_len(&p->v05) : p->v04.payload.len) > p->soft_bytes;
}

sonde_str sonde__payload_body(sonde__payload *p)
{
    return p->is_v05 ? sonde__v05_body(&p->v05, p->v04.chunks) : sonde__encoder_body(&p->v04);
}

const char *sonde__payload_path(const sonde__payload *p)
{
    return p->is_v05 ? "/v0.5/traces" : "/v0.4/traces";
}

size_t sonde__payload_bytes(const sonde__payload *p)
{
    return p->v04.payload.cap + p->v05.texts.cap + p->v05.spans.cap +
           p->v05.slots_len * sizeof(*p->v05.slots);
}
