/* org_marker.c - marks are kept for good, so that readers need no lock. */
#include "org_marker.h"

#include <string.h>

#include "base/log.h"

#include "chars.h"

sonde_str sonde__org_markers[SONDE__ORG_MARKERS_MAX];
_Atomic uint32_t sonde__org_known;

static char texts[SONDE__ORG_MARKERS_MAX][SONDE__ORG_MARKER_MAX_BYTES];
static uint32_t texts_len;

/* Its number from 1; 0: no room for another one. */
static uint32_t number_of(sonde_str marker)
{
    uint32_t i;

    for (i = 0; i < texts_len; i++)
        if (sonde_str_eq(sonde__org_markers[i], marker))
            return i + 1;
    if (texts_len == SONDE__ORG_MARKERS_MAX)
        return 0;
    memcpy(texts[texts_len], marker.ptr, marker.len);
    sonde__org_markers[texts_len] = (sonde_str){ texts[texts_len], marker.len };
    return ++texts_len;
}

static bool can_travel(sonde_str marker)
{
    size_t i;

    for (i = 0; i < marker.len; i++)
        if (marker.ptr[i] != '=' && !sonde__char_is(marker.ptr[i], SONDE__CHAR_DD_VALUE))
            return false;
    return marker.len <= SONDE__ORG_MARKER_MAX_BYTES;
}

void sonde__org_learn(const sonde__config *c, sonde_str marker)
{
    uint32_t number = 0;

    if (!c || !c->org_guard)
        marker.len = 0;
    if (marker.len > 0 && can_travel(marker))
        number = number_of(marker);
    if (marker.len > 0 && number == 0)
        SONDE_LOG(SONDE_LOG_WARN, "mark of the organisation not used: org_prop_marker=%s",
                  SONDE_LOG_QUOTE(sonde_str_sub(marker, 0, SONDE__ORG_MARKER_MAX_BYTES)));
    /* pairs with sonde__org_marker() */
    atomic_store_explicit(&sonde__org_known, number, memory_order_release);
}

bool sonde__org_accepts(const sonde__config *c, sonde_str ours, sonde_str inbound)
{
    sonde_str trusted = c->org_trusted;

    if (inbound.len == 0)
        return !c->org_strict;
    if (sonde_str_eq(inbound, ours))
        return true;
    while (trusted.len > 0)
        if (sonde_str_eq(sonde_str_trim(sonde_str_cut(&trusted, ',')), inbound))
            return true;
    return false;
}
