/* profiler_storm.h - what the parts of profiler_storm share.
 *
 *   profiler_storm.c   processes, code that comes and goes, stacks, signals, memory
 *   profiler_storm_limits.c   what is scarce or forbidden: descriptors, address space, system calls; many threads and libraries */
#ifndef SONDE_TESTS_INTEGRATION_PROFILER_STORM_H
#define SONDE_TESTS_INTEGRATION_PROFILER_STORM_H

#include <stdbool.h>
#include <stdint.h>

extern const char *storm_module; /* path of a library */
extern const char *self_path;    /* of the program */
extern uint64_t storm_scale;

void expect(bool ok, const char *what); /* else the program ends, and says so */

uint64_t mix(uint64_t seed, uint64_t rounds); /* work of the CPU */
uint64_t climb(uint64_t seed, unsigned depth);
uint64_t churn_memory(uint64_t seed,
                      int rounds); /* blocks of many sizes, each filled with what it shall hold */
void in_threads(void *(*run)(void *)); /* four of them */
bool wait_for_samples(void);           /* of this process; false: nobody takes any */

/* -- profiler_storm_limits.c -- */

void part_throw(void); /* the library is profiler_storm_throw.cpp, made by whoever has a compiler */
void part_churn(void);
void part_libraries(void);
void part_files(void);
void part_descriptors(void);
void part_chroot(void);
void part_addresses(void);
void part_seccomp(void);
void part_killed(void);

#endif /* SONDE_TESTS_INTEGRATION_PROFILER_STORM_H */
