/* blackbox.h - the black box: the open spans of this process in a file that outlives it, and the memory
 * of the context records.
 *
 *   header | area of a thread: context record, name, 28 places for open spans | area | ...
 *
 * The file is made once, sized once and sealed.  Each thread gets an area, in it its record; the places
 * are used while an agent has the file.  Where no file can be had, the same memory is private and only the
 * records are used.  A thread for which there is no area gets a bare record.
 *
 *   blackbox.c        file, areas, records, fork
 *   blackbox_span.c   places: start, change and finish of spans
 *
 * Threads   a thread takes places of its own area; any thread gives them back.  Functions marked
 *           "locked": the caller holds the mutex of the areas (area.c).
 * Bounds    SONDE_BLACKBOX_AREAS areas, 8.4 MB (pages that are used); SONDE__CTX_RECORDS_MAX records in
 *           all.  Counters blackbox_no_area, blackbox_no_place, ctx_records_full.
 * Source    docs/spec/black-box.md; layout in base/blackbox.h */
#ifndef SONDE_LIBTRACE_BLACKBOX_H
#define SONDE_LIBTRACE_BLACKBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/blackbox.h"
#include "base/str.h"
#include "config.h"

#define SONDE__CTX_RECORDS_MAX 8192

struct sonde__area;
struct sonde__span;

/* Which places of an area are free. */
typedef struct sonde__box {
    uint32_t free;         /* bit per place; of the area's thread */
    _Atomic uint32_t back; /* given back by other threads, not collected yet */
} sonde__box;

/* What a thread is given; all NULL: nothing. */
typedef struct sonde__seat {
    sonde_thread_ctx *record;
    sonde__box *box; /* NULL: a bare record */
    uint32_t number; /* of the record */
} sonde__seat;

/* -- the file ------------------------------------------------------------------------------------- */

/* Locked.  Makes the memory, once in the life of the process; `as_file`: one that can be given away.  False: no
 * memory, there will be no records. */
bool sonde__blackbox_map(bool as_file);

void sonde__blackbox_begin(const sonde__config *c, const char *runtime_id); /* a life begins */
void sonde__blackbox_end(void);                                             /* in order */

int sonde__blackbox_fd(void);                        /* -1: no file */
sonde_blackbox_header *sonde__blackbox_header(void); /* NULL: no file */

/* -- seats ---------------------------------------------------------------------------------------- */

sonde__seat sonde__blackbox_take(void); /* locked; for the calling thread, whose tid is in it */
void sonde__blackbox_give(const sonde__seat *seat); /* locked; the record is free already */

/* Locked.  The i-th record that was ever taken, whether or not it is free; NULL: there are no more. */
sonde_thread_ctx *sonde__blackbox_record(uint32_t i);

extern __attribute__((visibility("hidden")))
uint8_t *sonde__blackbox_base; /* of the mapping, for ever */

static inline sonde_blackbox_area *sonde__blackbox_area(uint32_t number)
{
    return (sonde_blackbox_area *)(void *)(sonde__blackbox_base + SONDE_BLACKBOX_HEADER_BYTES) +
           number;
}

sonde__box *sonde__blackbox_box(uint32_t number);

/* -- fork ----------------------------------------------------------------------------------------- */

/* Locked.  In the child: private memory at the same place, which holds what `mine` held (may be NULL).
 * False: there is none, the record is gone. */
bool sonde__blackbox_postfork_child(const sonde__seat *mine);

/* Locked.  After that: a file in its place; false: it stays private. */
bool sonde__blackbox_renew(const sonde__config *c, const char *runtime_id);

/* -- spans ---------------------------------------------------------------------------------------- */

typedef struct sonde__span_texts {
    sonde_str name;
    sonde_str resource;
    sonde_str type;
} sonde__span_texts;

/* Gives the span a place, which its flag SONDE__SPAN_RECORDED says, or counts. */
void sonde__blackbox_starts(struct sonde__area *a, struct sonde__span *span,
                            const sonde__span_texts *texts);

/* Nothing for spans without a place. */
void sonde__blackbox_changes(struct sonde__span *span, unsigned kind, sonde_str text); /* text.h */
void sonde__blackbox_moves(struct sonde__span *span); /* to another service */
void sonde__blackbox_marks(struct sonde__span *span, uint32_t flag, bool on);
void sonde__blackbox_decides(struct sonde__span *span); /* its priority may be another */
void sonde__blackbox_finishes(struct sonde__area *a, struct sonde__span *span);

#endif /* SONDE_LIBTRACE_BLACKBOX_H */
