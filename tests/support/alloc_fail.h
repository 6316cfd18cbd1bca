/* support/alloc_fail.h - makes the n-th allocation of the house fail, n = 1, 2, ... until the scenario
 * runs without meeting a failure.
 *
 *   alloc_fail_each(scenario, user);
 *
 * `scenario` must cope: return anything but SONDE_ERR_NOMEM/OK fails the test, and every block it
 * allocated must be free again when it returns (leaks are counted and fail the test too). */
#ifndef SONDE_TESTS_SUPPORT_ALLOC_FAIL_H
#define SONDE_TESTS_SUPPORT_ALLOC_FAIL_H

#include <stddef.h>

#include "sonde/status.h"

typedef sonde_status (*alloc_fail_scenario)(void *user);

void alloc_fail_each(alloc_fail_scenario scenario, void *user);

/* By hand: the n-th allocation from now (1-based) fails; 0 switches failing off. */
void alloc_fail_at(size_t n);
size_t alloc_fail_live_blocks(void); /* blocks allocated since alloc_fail_begin() and not freed */
void alloc_fail_begin(void);         /* installs the counting allocator */
void alloc_fail_end(void);           /* libc again */

#endif /* SONDE_TESTS_SUPPORT_ALLOC_FAIL_H */
