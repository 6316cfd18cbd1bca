/* dashboards/query/frame_cache.h - the frames a query decoded last.
 *
 * Threads   none: a cache belongs to one query.  Bounds: FRAME_CACHE_MAX frames. */
#ifndef SONDE_DASHBOARDS_QUERY_FRAME_CACHE_H
#define SONDE_DASHBOARDS_QUERY_FRAME_CACHE_H

#include "dashboards/store/store.h"

#define FRAME_CACHE_MAX 8

typedef struct frame_cache {
    store_reader *reader; /* borrowed */
    struct {
        int32_t day;
        int64_t frame; /* 0: free */
        uint64_t used; /* when, in calls */
        frame_view view;
    } slots[FRAME_CACHE_MAX];
    uint64_t calls;
} frame_cache;

void frame_cache_init(frame_cache *c, store_reader *r);
void frame_cache_done(frame_cache *c);

/* Valid until FRAME_CACHE_MAX other frames were asked for.  NULL: gone, damaged or no memory; *out_status
 * says which (SONDE_ERR_NOMEM is the one to stop for). */
const frame_view *frame_cache_get(frame_cache *c, int32_t day, int64_t frame_id,
                                  sonde_status *out_status);

#endif /* SONDE_DASHBOARDS_QUERY_FRAME_CACHE_H */
