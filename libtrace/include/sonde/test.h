/* sonde/test.h - the spans of a program under test, in memory; for any test framework.
 *
 *   sonde_test_start(NULL);                                   instead of sonde_start()
 *   place_order(7);                                           the code under test
 *   const sonde_test_span *span = sonde_test_find("order.place");
 *   assert_null(sonde_test_expect_tag(span, "order.id", "7"));
 *   sonde_test_stop();
 *
 * What is found is what an agent would have been sent, the tracer's own tags included.  Every expectation
 * returns NULL, or a text that says what is wrong:
 *
 *   span order.place has order.id = "8", expected "7"
 *
 * With fixed ids and a fixed time (sonde_test_options) a run is like the one before.
 *
 * Threads   the code under test: any.  The functions here: one thread at a time.  Look-ups and
 *           expectations wait for spans finished before them, on any thread.
 * Failure   spans beyond 64 MiB are dropped (counter dropped.agent_refused).
 * Memory    spans and their texts live until sonde_test_clear() or sonde_test_stop(), the text of an
 *           expectation until the next one.
 * Fork      not in a forked child.
 */
#ifndef SONDE_TEST_H
#define SONDE_TEST_H

#include <stdint.h>

#include "sonde/export.h"
#include "sonde/status.h"
#include "sonde/tracer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Zero-initialise: every field then means "default". */
typedef struct sonde_test_options {
    uint32_t struct_bytes; /* sizeof(sonde_test_options); 0: all fields of this header */
    uint32_t unused;
    const sonde_options *tracer; /* as for sonde_start(); `enabled` and `agent_url` do not count */
    uint64_t id_seed; /* not 0: ids follow from it, for this thread and threads that trace later */
    int64_t fixed_unix_ns; /* not 0: the time stands still, but for sonde_test_advance() */
} sonde_test_options;

/* SONDE_OK, or what sonde_start() returns. */
SONDE_API sonde_status sonde_test_start(const sonde_test_options *options);
SONDE_API void sonde_test_stop(void);
SONDE_API void sonde_test_clear(void);               /* forgets the spans so far */
SONDE_API void sonde_test_advance(uint64_t time_ns); /* with a fixed time */

typedef struct sonde_test_span {
    const char *service;
    const char *name;
    const char *resource;
    const char *type;
    const char *json; /* all of it, on one line */
    uint64_t trace_id_high;
    uint64_t trace_id_low;
    uint64_t span_id;
    uint64_t parent_id;
    int64_t start_unix_ns;
    uint64_t duration_ns;
    int32_t error; /* 0 or 1 */
    uint32_t links;
    uint32_t events;
    uint32_t unused;
} sonde_test_span;

/* -- looking up --------------------------------------------------------------------------------------
 *
 * NULL when there is none. */

SONDE_API uint32_t sonde_test_count(void);
SONDE_API const sonde_test_span *sonde_test_at(uint32_t index);     /* as sent: local roots first */
SONDE_API const sonde_test_span *sonde_test_find(const char *name); /* the first */
SONDE_API const sonde_test_span *
sonde_test_parent_of(const sonde_test_span *span); /* if it is here */

/* A tag as text; a number in decimal. */
SONDE_API const char *sonde_test_tag(const sonde_test_span *span, const char *key);

/* -- expectations -------------------------------------------------------------------------------------
 *
 * NULL when it is so, else what is wrong. */

SONDE_API const char *sonde_test_expect_count(uint32_t count);
SONDE_API const char *sonde_test_expect_span(const char *name);
SONDE_API const char *sonde_test_expect_tag(const sonde_test_span *span, const char *key,
                                            const char *value); /* NULL: no such tag */
SONDE_API const char *sonde_test_expect_error(const sonde_test_span *span,
                                              const char *type); /* NULL: no error */
SONDE_API const char *sonde_test_expect_parent(const sonde_test_span *span,
                                               const sonde_test_span *parent); /* NULL: a root */

#ifdef __cplusplus
}
#endif
#endif /* SONDE_TEST_H */
