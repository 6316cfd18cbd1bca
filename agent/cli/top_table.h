/* agent/cli/top_table.h - the table of `sonde top`: who did what in the last second.
 *
 * Threads   none: one owner.
 * Bounds    those of the profile it is made from.
 */
#ifndef SONDE_AGENT_CLI_TOP_TABLE_H
#define SONDE_AGENT_CLI_TOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/profiles/profile.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "sonde/status.h"

typedef enum top_kind { TOP_CPU, TOP_WALL, TOP_ALLOC, TOP_LIVE, TOP_LOCK, TOP_KINDS } top_kind;
typedef enum top_view { TOP_FUNCTIONS, TOP_THREADS, TOP_ENDPOINTS } top_view;

/* A function, thread or endpoint: nanoseconds, and bytes of ALLOC and LIVE. */
typedef struct top_row {
    sonde_str name, object;
    int64_t self[TOP_KINDS];
    int64_t total[TOP_KINDS]; /* of functions: with what they call */
} top_row;

typedef struct top_table {
    top_row *rows;
    uint32_t len, cap;
    int64_t all[TOP_KINDS];
    sonde_table by_name;
    sonde_arena text;
} top_table;

void top_table_init(top_table *t);
void top_table_done(top_table *t);

/* Fills an empty table; the ones with most of `sort_by` first. */
SONDE_MUST_USE sonde_status top_table_make(top_table *t, const profile *p, top_view view,
                                           top_kind sort_by);

typedef struct top_layout {
    top_kind kind;    /* what the first two columns are of */
    double seconds;   /* the stretch the values are of */
    uint32_t rows;    /* at most, without the heading */
    uint32_t columns; /* of the terminal; 0: as long as it gets */
    bool colour;
    const char *newline;
} top_layout;

void top_table_write(const top_table *t, const top_layout *layout, sonde_buf *out);

extern const char *const top_kind_names[TOP_KINDS];

#endif /* SONDE_AGENT_CLI_TOP_TABLE_H */
