/* agent/profiles/export.h - flames as files other programs, and people, read.
 *
 *   collapsed    a line for each stack: root;child;leaf VALUE        flamegraph.pl, inferno, speedscope
 *   speedscope   one JSON object, a profile for each flame           speedscope
 *   HTML         one page that needs nothing else                    a browser
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

/* `;` and line ends in names become ':' and ' '.  compared: a line has the values of both sides. */
void export_folded(const flame *f, bool compared, sonde_buf *out);

/* Side 0 of each; `name` is the title. */
void export_speedscope(const flame *const *flames, size_t len, sonde_str name, sonde_buf *out);

typedef struct export_page {
    sonde_str title;
    sonde_str note; /* below the title: when, how long, of what */
    bool compared;  /* side 0 before, side 1 after */
} export_page;

void export_html(const flame *const *flames, size_t len, const export_page *page, sonde_buf *out);

#endif /* SONDE_AGENT_PROFILES_EXPORT_H */
