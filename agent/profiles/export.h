/* agent/profiles/export.h - flames as one page that needs nothing else; as files of others: flame/export.h.
 *
 * Threads   pure.
 * Bounds    the ceiling of the buffer, whose status tells of failures.
 * Source    docs/guide/profiling.md */
#ifndef SONDE_AGENT_PROFILES_EXPORT_H
#define SONDE_AGENT_PROFILES_EXPORT_H

#include "base/buf.h"
#include "base/str.h"

#include "flame.h"

#define EXPORT_MAX_BYTES (256u * 1024 * 1024)

typedef struct export_page {
    sonde_str title;
    sonde_str note; /* below the title: when, how long, of what */
    bool compared;  /* side 0 before, side 1 after */
} export_page;

void export_html(const flame *const *flames, size_t len, const export_page *page, sonde_buf *out);

#endif /* SONDE_AGENT_PROFILES_EXPORT_H */
