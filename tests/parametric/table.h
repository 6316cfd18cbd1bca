/* table.h - the spans and contexts the driver knows by their ids.
 *
 * A span stays here after its end, as a context: it can still be a parent, a link's target, and be
 * injected.  Where the tracer gives no id (switched off, or out of memory; a context without a parent) one
 * is made up.
 *
 *   started ──▶ open, on the stack of active spans ──finish──▶ kept as a context ──forget──▶ gone
 *
 * The active place: starting a span makes it active.  Finishing the active span makes its parent active
 * when that is still open, else the span that was active before.
 *
 * Threads   one.
 * Bounds    TABLE_SPANS_MAX spans, TABLE_CONTEXTS_MAX contexts, ACTIVE_MAX of the spans at once on the
 *           stack; adding more fails.  table_forget() leaves the TABLE_ENDED_KEPT latest that have ended. */
#ifndef SONDE_PARAMETRIC_TABLE_H
#define SONDE_PARAMETRIC_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "sonde/sonde.h"

#define TABLE_SPANS_MAX    32768
#define TABLE_CONTEXTS_MAX 4096
#define TABLE_ENDED_KEPT   1024

typedef enum otel_status { OTEL_UNSET, OTEL_ERROR, OTEL_OK } otel_status; /* in order of rank */

typedef struct span_entry {
    uint64_t id;
    uint64_t trace_low;
    uint64_t parent_id;
    sonde_span *span;       /* NULL: ended, or inert */
    sonde_context *context; /* of a span that has ended */
    bool ended;

    bool is_otel;  /* named at its end, by what it turned out to be (otel_name.h) */
    bool has_name; /* operation.name was given */
    int32_t kind;  /* enum sonde_kind */
    otel_status status;
} span_entry;

/* Takes the span over and makes it active.  NULL: the table is full. */
span_entry *table_add(sonde_span *span, uint64_t parent_id);

/* NULL: no such span.  Entries do not move until the next table_add() or table_forget(). */
span_entry *table_find(uint64_t id);

/* A reference to the place of that span now; NULL: it is inert. */
sonde_context *table_context(const span_entry *e);

void table_finish(span_entry *e,
                  int64_t end_unix_ns); /* 0: now.  The second time it does nothing */

/* Takes the reference over; false: the table is full. */
bool table_add_context(sonde_context *context, uint64_t *out_id);
sonde_context *table_find_context(uint64_t id); /* borrowed; NULL: there is none */

void table_forget(void); /* the older ones of the spans that have ended */

#endif /* SONDE_PARAMETRIC_TABLE_H */
