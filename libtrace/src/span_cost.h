/* span_cost.h - what each span used: CPU time, memory, waiting for locks; as the profiler saw it.
 *
 * The profiler adds the weight of its samples to three counters in the thread's context record.  When an
 * activation begins or ends, what was added since the last time goes to the span that was innermost
 * until then; it waits beside the activation and becomes tags of the span when that ends.
 *
 * Only with a profiler, and for spans that started and finished in one life of it.
 *
 * Threads   the thread of the area.
 * Source    docs/spec/thread-context.md, "Cost of a span" */
#ifndef SONDE_LIBTRACE_SPAN_COST_H
#define SONDE_LIBTRACE_SPAN_COST_H

#include "area.h"

void sonde__cost_begins(sonde__area *a); /* the thread has its record */

/* sonde__place.costed */
#define SONDE__COSTS_SEEN    1u /* it began while the profiler was there */
#define SONDE__COSTS_COUNTED 2u /* and its span did; `cost` counts */

/* Before the innermost activation changes. */
void sonde__cost_settle(sonde__area *a);

void sonde__cost_enters(sonde__place *p);                       /* has begun */
void sonde__cost_leaves(sonde__area *a, const sonde__place *p); /* ends; its span is open */
void sonde__cost_finishes(sonde__area *a, sonde__span *span);

#endif /* SONDE_LIBTRACE_SPAN_COST_H */
