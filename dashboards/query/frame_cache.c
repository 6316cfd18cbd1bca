/* frame_cache.c - least recently used of a few decoded frames. */
#include "dashboards/query/frame_cache.h"

#include <string.h>

#include "base/log.h"

void frame_cache_init(frame_cache *c, store_reader *r)
{
    int i;

    memset(c, 0, sizeof(*c));
    c->reader = r;
    for (i = 0; i < FRAME_CACHE_MAX; i++)
        frame_view_init(&c->slots[i].view);
}

void frame_cache_done(frame_cache *c)
{
    int i;

    for (i = 0; i < FRAME_CACHE_MAX; i++)
        frame_view_done(&c->slots[i].view);
}

const frame_view *frame_cache_get(frame_cache *c, int32_t day, int64_t frame_id,
                                  sonde_status *out_status)
{
    int i, oldest = 0;

    *out_status = SONDE_OK;
    c->calls++;
    for (i = 0; i < FRAME_CACHE_MAX; i++) {
        if (c->slots[i].frame == frame_id && c->slots[i].day == day) {
            c->slots[i].used = c->calls;
            return &c->slots[i].view;
        }
        if (c->slots[i].used < c->slots[oldest].used)
            oldest = i;
    }
    c->slots[oldest].frame = 0;
    *out_status = store_read_frame(c->reader, day, frame_id, &c->slots[oldest].view);
    if (*out_status != SONDE_OK) {
        SONDE_LOG(SONDE_LOG_WARN, "query: frame passed over: day=%d frame=%lld status=%s", day,
                  (long long)frame_id, sonde_status_name(*out_status));
        return NULL;
    }
    c->slots[oldest].day = day;
    c->slots[oldest].frame = frame_id;
    c->slots[oldest].used = c->calls;
    return &c->slots[oldest].view;
}
