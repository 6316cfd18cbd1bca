/* stage_root.c - which span stands for the chunk, what chunk and payload take from it, top-level.
 *
 * Source   docs/spec/normalization.md, "Root, chunk attributes, top-level".
 */
#include "stages.h"

#include "agent/payload/tags.h"
#include "vocab/tags.h"

/* From the last span to the first, one without parent; else the first whose parent is not here; else
 * the last. */
processor_drop stage_root(run *r, payload_chunk *chunk)
{
    for (uint32_t i = chunk->spans_len; i-- > 0;) {
        if (chunk->spans[i].parent_id == 0) {
            chunk->root = i;
            return KEEP;
        }
    }
    for (uint32_t i = 0; i < chunk->spans_len; i++) {
        if (!span_index_find(r, chunk, chunk->spans[i].parent_id)) {
            chunk->root = i;
            return KEEP;
        }
    }
    chunk->root = chunk->spans_len - 1;
    return KEEP;
}

static int32_t to_i32(double v)
{
    if (v >= INT32_MAX)
        return INT32_MAX;
    if (v <= INT32_MIN)
        return INT32_MIN;
    return v == v ? (int32_t)v : 0; /* NaN is no number to keep a trace by */
}

static void find_priority(payload_chunk *chunk)
{
    const sonde_str key = SONDE_STR(SONDE_TAG_PRIORITY);
    const double *priority = span_metric_get(&chunk->spans[chunk->root], key);

    for (uint32_t i = 0; !priority && i < chunk->spans_len; i++)
        priority = span_metric_get(&chunk->spans[i], key);
    if (priority)
        chunk->priority = to_i32(*priority);
}

processor_drop stage_chunk_attributes(run *r, payload_chunk *chunk)
{
    const sonde_str dm_key = SONDE_STR(SONDE_TAG_DM);
    const sonde_str *origin, *dm = NULL;

    if (chunk->priority == PRIORITY_NONE)
        find_priority(chunk);
    origin = span_meta_get(&chunk->spans[chunk->root], SONDE_STR(SONDE_TAG_ORIGIN));
    if (origin && chunk->origin.len == 0 && !r->is_v1)
        chunk->origin = *origin;
    if (tags_get(chunk->tags, chunk->tags_len, dm_key))
        return KEEP;
    for (uint32_t i = 0; !dm && i < chunk->spans_len; i++)
        dm = span_meta_get(&chunk->spans[i], dm_key);
    if (dm && chunk_tag_set(chunk, &r->p->arena, dm_key, *dm) != SONDE_OK)
        return PROCESSOR_DROP_NO_MEMORY;
    return KEEP;
}

processor_drop stage_client_rate(run *r, payload_chunk *chunk)
{
    const sonde_str key = SONDE_STR("_dd1.sr.rcusr");
    payload_span *root = &chunk->spans[chunk->root];
    const double *rate = span_metric_get(root, SONDE_STR("_sample_rate"));

    if (!rate || !(*rate < 1)) {
        span_metric_remove(root, key);
        return KEEP;
    }
    return span_metric_set(root, &r->p->arena, key, *rate) == SONDE_OK ? KEEP
                                                                       : PROCESSOR_DROP_NO_MEMORY;
}

static bool is_top_level(const run *r, const payload_chunk *chunk, const payload_span *s)
{
    const payload_span *parent;

    if (s->parent_id == 0)
        return true;
    parent = span_index_find(r, chunk, s->parent_id);
    return !parent || !sonde_str_eq(parent->service, s->service);
}

static bool client_says_top_level(const payload_span *s)
{
    const double *flag = span_metric_get(s, SONDE_STR(SONDE_TAG_DD_TOP_LEVEL));

    return flag && *flag == 1;
}

processor_drop stage_top_level(run *r, payload_chunk *chunk)
{
    for (uint32_t i = 0; i < chunk->spans_len; i++) {
        payload_span *s = &chunk->spans[i];

        if (!(r->p->client_computed_top_level ? client_says_top_level(s)
                                              : is_top_level(r, chunk, s)))
            continue;
        if (span_metric_set(s, &r->p->arena, SONDE_STR(SONDE_TAG_TOP_LEVEL), 1) != SONDE_OK)
            return PROCESSOR_DROP_NO_MEMORY;
    }
    return KEEP;
}

/* The root's value of a tag, else the first span's that has one. */
static void take_tag(const payload_chunk *chunk, sonde_str key, sonde_str *out)
{
    const sonde_str *value = span_meta_get(&chunk->spans[chunk->root], key);

    for (uint32_t i = 0; (!value || value->len == 0) && i < chunk->spans_len; i++)
        value = span_meta_get(&chunk->spans[i], key);
    if (value)
        *out = *value;
}

processor_drop stage_payload_attributes(run *r, payload_chunk *chunk)
{
    const sonde_str mode_key = SONDE_STR("_dd.apm_mode");
    const payload_span *root = &chunk->spans[chunk->root];
    const sonde_str *hostname = span_meta_get(root, SONDE_STR(SONDE_TAG_HOSTNAME));
    const sonde_str *mode = span_meta_get(root, mode_key);

    if (r->is_v1)
        return KEEP;
    if (hostname && r->p->hostname.len == 0)
        r->p->hostname = *hostname;
    if (r->p->env.len == 0)
        take_tag(chunk, SONDE_STR(SONDE_TAG_ENV), &r->p->env);
    if (r->p->app_version.len == 0)
        take_tag(chunk, SONDE_STR(SONDE_TAG_VERSION), &r->p->app_version);
    if (mode && sonde_str_eq_nocase(*mode, SONDE_STR("edge")) &&
        payload_tag_set(r->p, mode_key, *mode) != SONDE_OK)
        return PROCESSOR_DROP_NO_MEMORY;
    return KEEP;
}
