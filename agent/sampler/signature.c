/* signature.c - hashes of spans, and of the set of them a trace is made of. */
#include "signature.h"

#include <stdlib.h>

#include "base/digest.h"
#include "vocab/tags.h"

#define HASHES_ON_STACK 256

static uint32_t add(uint32_t h, sonde_str text)
{
    return sonde_fnv1a32(h, text.ptr, text.len);
}

static uint32_t add_meta(uint32_t h, const payload_span *s, sonde_str key)
{
    const sonde_str *value = span_meta_get(s, key);

    return value ? add(h, *value) : h;
}

uint32_t span_signature(const payload_span *s, sonde_str env, bool with_resource)
{
    const unsigned char failed = s->error != 0;
    uint32_t h = add(SONDE_FNV1A32_INIT, env);

    h = add(h, s->service);
    h = add(h, s->name);
    h = sonde_fnv1a32(h, &failed, 1);
    if (with_resource)
        h = add(h, s->resource);
    h = add_meta(h, s, SONDE_STR(SONDE_TAG_HTTP_STATUS_CODE));
    return add_meta(h, s, SONDE_STR(SONDE_TAG_ERROR_TYPE));
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

uint32_t trace_signature(const payload_chunk *c, sonde_str env, sonde_arena *arena)
{
    uint32_t on_stack[HASHES_ON_STACK], *hashes = on_stack, len = c->spans_len, i;
    uint32_t signature = span_signature(&c->spans[c->root], env, true);

    if (len > HASHES_ON_STACK) {
        hashes = sonde_arena_alloc(arena, len * sizeof(*hashes));
        if (!hashes) {
            hashes = on_stack;
            len = HASHES_ON_STACK;
        }
    }
    for (i = 0; i < len; i++)
        hashes[i] = span_signature(&c->spans[i], env, false);
    qsort(hashes, len, sizeof(*hashes), ascending);
    for (i = 0; i < len; i++)
        if (i == 0 || hashes[i] != hashes[i - 1])
            signature ^= hashes[i];
    return signature;
}
