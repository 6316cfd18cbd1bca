/* tags.c - look-up and growth of tag arrays. */
#include "tags.h"

sonde_str *tags_get(span_meta *tags, uint32_t len, sonde_str key)
{
    for (uint32_t i = 0; i < len; i++) {
        if (sonde_str_eq(tags[i].key, key))
            return &tags[i].value;
    }
    return NULL;
}

sonde_status tags_set(span_meta **tags, uint32_t *len, uint32_t *cap, sonde_arena *arena,
                      sonde_str key, sonde_str value)
{
    sonde_str *at = tags_get(*tags, *len, key);
    span_meta *grown;

    if (at) {
        *at = value;
        return SONDE_OK;
    }
    if (*len == *cap) {
        if (*cap > UINT32_MAX / 2 - 4)
            return SONDE_ERR_TOO_BIG;
        grown = sonde_arena_alloc(arena, (*cap * 2 + 4) * sizeof(*grown));
        if (!grown)
            return SONDE_ERR_NOMEM;
        if (*len)
            memcpy(grown, *tags, *len * sizeof(*grown));
        *tags = grown;
        *cap = *cap * 2 + 4;
    }
    (*tags)[(*len)++] = (span_meta){ key, value };
    return SONDE_OK;
}
