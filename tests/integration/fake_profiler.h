/* fake_profiler.h - a profiler that does as it is told: keeps records and endpoints, adds weights.
 *
 * A library of its own, so that it can meet libtrace in every order.  Its functions are found by name.
 *
 * Threads   all.
 * Bounds    FAKE_PROF_MAX records and endpoints; more stop the program. */
#ifndef SONDE_TESTS_INTEGRATION_FAKE_PROFILER_H
#define SONDE_TESTS_INTEGRATION_FAKE_PROFILER_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_PROF_MAX 8192

typedef struct fake_prof_report {
    uint64_t root_id;
    char resource[64];
    char type[16];
    uint32_t finished;
} fake_prof_report;

/* Finds libtrace and tells it: by RTLD_DEFAULT, or in the library of this path.  False: not found. */
bool fake_prof_attach(const char *library);
bool fake_prof_detach(const char *library);

bool fake_prof_knows(uint32_t tid); /* a record of this thread */
uint32_t fake_prof_calls(void);     /* of set_context_record */

/* Adds to the counters of the calling thread's record, as a handler would; false: it has none. */
bool fake_prof_add(uint64_t cpu_ns, uint64_t alloc_bytes, uint64_t lock_wait_ns);

uint32_t fake_prof_reports(void);
fake_prof_report fake_prof_report_at(uint32_t i);

#endif /* SONDE_TESTS_INTEGRATION_FAKE_PROFILER_H */
