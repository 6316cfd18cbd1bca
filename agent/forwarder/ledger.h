/* agent/forwarder/ledger.h - counters that outlive the process, however it ends.
 *
 * A small file mapped shared: what was stored is the kernel's, so a kill -9 keeps it.  One row for each
 * endpoint and one for the stages before (LEDGER_PIPELINE), summed up over all lives of the agent.  At a
 * start
 *
 *     lost_crash += accepted - delivered - dropped - lost_crash - what is on disk
 *
 * which is what only the memory of the former life held; 0 after a stop in order.  A body that was on
 * its way when the process died counts as lost although the intake may have taken it.
 *
 * Threads   all; the cells are atomic.  A row has one owner who stores into it.
 * Bounds    LEDGER_ROWS; a row nobody has claimed in this life makes room.
 * Failure   a file of another form is begun anew.  The blocks are allocated when it is opened: a full
 *           disk cannot hit a store.
 */
#ifndef SONDE_AGENT_FORWARDER_LEDGER_H
#define SONDE_AGENT_FORWARDER_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/payload/sink.h"
#include "codec/json_write.h"
#include "sonde/status.h"

#define LEDGER_ROWS     32
#define LEDGER_NAME_MAX 80
#define LEDGER_PIPELINE "pipeline" /* accepted by the receiver, delivered to the forwarder */

/* clang-format off */
#define LEDGER_COLUMN_MAP(X)                                               \
    X(ACCEPTED,   "accepted")                                              \
    X(DELIVERED,  "delivered")                                             \
    X(DROPPED,    "dropped")                                               \
    X(LOST_CRASH, "lost_crash") /* in memory when a former life ended */   \
    X(SPOOLED,    "spooled")    /* gauge: on disk */
/* clang-format on */

typedef enum ledger_column {
#define X(name, text) LEDGER_##name,
    LEDGER_COLUMN_MAP(X)
#undef X
        LEDGER_COLUMNS
} ledger_column;

extern const char *const ledger_column_names[LEDGER_COLUMNS];

typedef struct ledger_count {
    uint64_t payloads;
    uint64_t items;
} ledger_count;

typedef struct ledger ledger;
typedef struct ledger_row ledger_row;

SONDE_MUST_USE sonde_status ledger_open(const char *path, ledger **out_ledger,
                                        sonde_error *out_error);
void ledger_close(ledger *l); /* NULL does nothing */

/* The row of that name, made when there is none.  NULL: no ledger, or no room. */
ledger_row *ledger_claim(ledger *l, const char *name);

/* The equation above, for a row of a former life; `on_disk` per kind. */
void ledger_settle(ledger_row *row, const ledger_count on_disk[UPLOAD_KINDS]);

/* All take NULL for a row. */
ledger_count ledger_read(const ledger_row *row, upload_kind kind, ledger_column column);
void ledger_store(ledger_row *row, upload_kind kind, ledger_column column, ledger_count value);
void ledger_add(ledger_row *row, upload_kind kind, ledger_column column, ledger_count value);

/* "traces": {"accepted": {...}, ...}, ... of the row, into the object that is open. */
void ledger_write_json(const ledger_row *row, sonde_json_writer *w);

#endif /* SONDE_AGENT_FORWARDER_LEDGER_H */
