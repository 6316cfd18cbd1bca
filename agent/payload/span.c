/* span.c - tags of a span: linear look-ups, growth inside the payload's arena. */
#include "span.h"

#include "agent/payload/tags.h"
#include "vocab/tags.h"

sonde_str *span_meta_get(const payload_span *s, sonde_str key)
{
    return tags_get(s->meta, s->meta_len, key);
}

double *span_metric_get(const payload_span *s, sonde_str key)
{
    for (uint32_t i = 0; i < s->metrics_len; i++) {
        if (sonde_str_eq(s->metrics[i].key, key))
            return &s->metrics[i].value;
    }
    return NULL;
}

sonde_status span_meta_set(payload_span *s, sonde_arena *arena, sonde_str key, sonde_str value)
{
    return tags_set(&s->meta, &s->meta_len, &s->meta_cap, arena, key, value);
}

sonde_status span_metric_set(payload_span *s, sonde_arena *arena, sonde_str key, double value)
{
    double *at = span_metric_get(s, key);
    span_metric *grown;
    uint32_t cap;

    if (at) {
        *at = value;
        return SONDE_OK;
    }
    if (s->metrics_len == s->metrics_cap) {
        if (s->metrics_cap > UINT32_MAX / 2 - 4)
            return SONDE_ERR_TOO_BIG;
        cap = s->metrics_cap * 2 + 4;
        grown = sonde_arena_alloc(arena, cap * sizeof(*grown));
        if (!grown)
            return SONDE_ERR_NOMEM;
        if (s->metrics_len)
            memcpy(grown, s->metrics, s->metrics_len * sizeof(*grown));
        s->metrics = grown;
        s->metrics_cap = cap;
    }
    s->metrics[s->metrics_len++] = (span_metric){ key, value };
    return SONDE_OK;
}

void span_meta_remove(payload_span *s, sonde_str key)
{
    sonde_str *at = span_meta_get(s, key);
    size_t i;

    if (!at)
        return;
    i = (size_t)((span_meta *)((char *)at - offsetof(span_meta, value)) - s->meta);
    s->meta_len--;
    memmove(&s->meta[i], &s->meta[i + 1], (s->meta_len - i) * sizeof(*s->meta));
}

void span_metric_remove(payload_span *s, sonde_str key)
{
    double *at = span_metric_get(s, key);
    size_t i;

    if (!at)
        return;
    i = (size_t)((span_metric *)((char *)at - offsetof(span_metric, value)) - s->metrics);
    s->metrics_len--;
    memmove(&s->metrics[i], &s->metrics[i + 1], (s->metrics_len - i) * sizeof(*s->metrics));
}

static bool metric_is_one(const payload_span *s, sonde_str key)
{
    const double *at = span_metric_get(s, key);

    return at && *at == 1.0;
}

bool span_is_top_level(const payload_span *s)
{
    return metric_is_one(s, SONDE_STR(SONDE_TAG_TOP_LEVEL)) ||
           metric_is_one(s, SONDE_STR(SONDE_TAG_DD_TOP_LEVEL));
}

bool span_is_measured(const payload_span *s)
{
    return metric_is_one(s, SONDE_STR(SONDE_TAG_MEASURED));
}
