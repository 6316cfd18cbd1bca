/* stage_truncate.c - cuts what is longer than the backend takes, after obfuscation.
 *
 * Bounds   below, in bytes; cut texts but the resource end in "...".  Source: docs/spec/normalization.md.
 */
#include "stages.h"

#include <string.h>

#define KEY_MAX_BYTES   200
#define VALUE_MAX_BYTES 25000

/* _dd.*.json and its like carry documents that must stay whole. */
static bool is_exempt(sonde_str key)
{
    return sonde_str_starts(key, SONDE_STR("_dd.")) &&
           (sonde_str_ends(key, SONDE_STR(".json")) || sonde_str_ends(key, SONDE_STR(".msgpack")) ||
            sonde_str_ends(key, SONDE_STR(".protobuf")));
}

static sonde_status cut_with_dots(run *r, sonde_str *text, size_t max, processor_fix why)
{
    size_t len = sonde_utf8_cut(*text, max);
    char *cut = sonde_arena_alloc_aligned(&r->p->arena, len + 3, 1);

    if (!cut)
        return SONDE_ERR_NOMEM;
    memcpy(cut, text->ptr, len);
    memcpy(cut + len, "...", 3);
    *text = (sonde_str){ cut, len + 3 };
    r->fixed[why]++;
    return SONDE_OK;
}

/* A cut key may have become the same as another one: the later of two goes. */
static void remove_repeated_meta(payload_span *s)
{
    for (uint32_t i = 1; i < s->meta_len; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (s->meta[i].key.len > KEY_MAX_BYTES &&
                sonde_str_eq(s->meta[i].key, s->meta[k].key)) {
                s->meta_len--;
                memmove(&s->meta[i], &s->meta[i + 1], (s->meta_len - i) * sizeof(*s->meta));
                i--;
                break;
            }
        }
    }
}

static void remove_repeated_metrics(payload_span *s)
{
    for (uint32_t i = 1; i < s->metrics_len; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (s->metrics[i].key.len > KEY_MAX_BYTES &&
                sonde_str_eq(s->metrics[i].key, s->metrics[k].key)) {
                s->metrics_len--;
                memmove(&s->metrics[i], &s->metrics[i + 1],
                        (s->metrics_len - i) * sizeof(*s->metrics));
                i--;
                break;
            }
        }
    }
}

static sonde_status cut_meta(run *r, payload_span *s)
{
    bool cut_a_key = false;

    for (uint32_t i = 0; i < s->meta_len; i++) {
        span_meta *m = &s->meta[i];

        if ((m->key.len <= KEY_MAX_BYTES && m->value.len <= VALUE_MAX_BYTES) || is_exempt(m->key))
            continue;
        if (m->value.len > VALUE_MAX_BYTES &&
            cut_with_dots(r, &m->value, VALUE_MAX_BYTES, PROCESSOR_FIX_META_VALUE_TRUNCATE) !=
                SONDE_OK)
            return SONDE_ERR_NOMEM;
        if (m->key.len <= KEY_MAX_BYTES)
            continue;
        if (cut_with_dots(r, &m->key, KEY_MAX_BYTES, PROCESSOR_FIX_META_KEY_TRUNCATE) != SONDE_OK)
            return SONDE_ERR_NOMEM;
        cut_a_key = true;
    }
    if (cut_a_key)
        remove_repeated_meta(s);
    return SONDE_OK;
}

static sonde_status cut_metrics(run *r, payload_span *s)
{
    bool cut_a_key = false;

    for (uint32_t i = 0; i < s->metrics_len; i++) {
        if (s->metrics[i].key.len <= KEY_MAX_BYTES)
            continue;
        if (cut_with_dots(r, &s->metrics[i].key, KEY_MAX_BYTES,
                          PROCESSOR_FIX_METRICS_KEY_TRUNCATE) != SONDE_OK)
            return SONDE_ERR_NOMEM;
        cut_a_key = true;
    }
    if (cut_a_key)
        remove_repeated_metrics(s);
    return SONDE_OK;
}

processor_drop stage_truncate(run *r, payload_chunk *chunk)
{
    size_t resource_max =
        r->features & PROCESSOR_BIG_RESOURCE ? BIG_RESOURCE_MAX_BYTES : RESOURCE_MAX_BYTES;

    for (uint32_t i = 0; i < chunk->spans_len; i++) {
        payload_span *s = &chunk->spans[i];

        if (s->resource.len > resource_max) {
            s->resource.len = sonde_utf8_cut(s->resource, resource_max);
            r->fixed[PROCESSOR_FIX_RESOURCE_TRUNCATE]++;
        }
        if (cut_meta(r, s) != SONDE_OK || cut_metrics(r, s) != SONDE_OK)
            return PROCESSOR_DROP_NO_MEMORY;
    }
    return KEEP;
}
