/* alloc_fail.c - an allocator that counts what is alive and fails when told.
 *
 * Threads   the allocator any; the functions of the header the test's main thread. */
#include "support/alloc_fail.h"

#include "support/test.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"

#define ROUNDS_MAX 100000 /* a scenario that allocates more has lost its way */

static _Atomic size_t live_blocks;
static _Atomic size_t countdown; /* 0: nothing fails */

static bool must_fail(void)
{
    size_t left = atomic_load_explicit(&countdown, memory_order_relaxed);

    while (left > 0) {
        if (atomic_compare_exchange_weak_explicit(&countdown, &left, left - 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return left == 1;
    }
    return false;
}

static void *counting_realloc(void *user, void *ptr, size_t bytes)
{
    void *block;

    (void)user;
    if (must_fail())
        return NULL;
    block = realloc(ptr, bytes);
    if (block && !ptr)
        atomic_fetch_add_explicit(&live_blocks, 1, memory_order_relaxed);
    return block;
}

static void counting_free(void *user, void *ptr)
{
    (void)user;
    atomic_fetch_sub_explicit(&live_blocks, 1, memory_order_relaxed);
    free(ptr);
}

void alloc_fail_begin(void)
{
    static const sonde_allocator counting = { counting_realloc, counting_free, NULL };

    atomic_store_explicit(&live_blocks, 0, memory_order_relaxed);
    alloc_fail_at(0);
    sonde_alloc_set(&counting);
}

void alloc_fail_end(void)
{
    alloc_fail_at(0);
    sonde_alloc_set(NULL);
}

void alloc_fail_at(size_t n)
{
    atomic_store_explicit(&countdown, n, memory_order_relaxed);
}

size_t alloc_fail_live_blocks(void)
{
    return atomic_load_explicit(&live_blocks, memory_order_relaxed);
}

void alloc_fail_each(alloc_fail_scenario scenario, void *user)
{
    size_t n;

    for (n = 1; n <= ROUNDS_MAX; n++) {
        sonde_status status;
        size_t left, leaked;

        alloc_fail_begin();
        alloc_fail_at(n);
        status = scenario(user);
        left = atomic_load_explicit(&countdown, memory_order_relaxed);
        leaked = alloc_fail_live_blocks();
        alloc_fail_end();

        if (status != SONDE_OK && status != SONDE_ERR_NOMEM)
            fail_msg("allocation %zu failing: got %s", n, sonde_status_name(status));
        if (leaked != 0)
            fail_msg("allocation %zu failing: %zu blocks leaked", n, leaked);
        if (left > 0) { /* the scenario ended before its n-th allocation */
            assert_status(status, SONDE_OK);
            return;
        }
    }
    fail_msg("the scenario still allocates after %d rounds", ROUNDS_MAX);
}
