/* flame/export.h - a tree as a file other programs read.
 *
 *   collapsed    a line for each stack: root;child;leaf VALUE        flamegraph.pl, inferno, speedscope
 *   speedscope   one JSON object, a profile for each column          speedscope
 *
 * Threads   pure.
 * Bounds    the ceiling of the buffer, whose status tells of failures.
 * Source    docs/guide/profiling.md
 */
#ifndef SONDE_FLAME_EXPORT_H
#define SONDE_FLAME_EXPORT_H

#include "base/buf.h"

#include "flame.h"

/* What flamegraph.pl and inferno put behind a name, and colour by. */
#define SONDE_FLAME_MARK_INLINED "_[i]"
#define SONDE_FLAME_MARK_KERNEL  "_[k]"

/* The first `columns` of the tree: a line has a value of each.  `;` in names becomes ':', what ends lines ' '. */
void sonde_flame_folded(const sonde_flame *f, size_t columns, sonde_buf *out);

typedef struct sonde_flame_column {
    const sonde_flame *tree; /* columns of one tree stand side by side and share its frames */
    uint32_t column;
    sonde_str type, unit;
} sonde_flame_column;

/* `name` is the title, `active` the column shown first.  A function that is inlined somewhere is called "f (inlined)" there. */
void sonde_flame_speedscope(const sonde_flame_column *columns, size_t len, size_t active,
                            sonde_str name, sonde_buf *out);

#endif /* SONDE_FLAME_EXPORT_H */
