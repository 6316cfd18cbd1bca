/* Records of libtrace: how many are remembered, and what is said of more. */
#include "support/test.h"

#include <stdlib.h>

#include "base/thread_ctx.h"
#include "profiler/src/counts.h"
#include "profiler/src/hooks.h"

#define RECORDS_MAX 8192

static void test_records_that_find_no_room_are_counted(void **state)
{
    sonde_thread_ctx *records =
        aligned_alloc(_Alignof(sonde_thread_ctx), (RECORDS_MAX + 3) * sizeof(*records));
    uint64_t before = atomic_load(&sonde_prof__count.records_full);
    sonde_prof__slot slot = { .tid = 0 };
    uint32_t i;

    (void)state;
    assert_non_null(records);
    for (i = 0; i < RECORDS_MAX + 3; i++) {
        atomic_init(&records[i].tid, i + 1);
        sonde_prof_set_context_record(&records[i]);
        sonde_prof_set_context_record(&records[i]); /* one that is known needs no room */
    }
    assert_int_equal(atomic_load(&sonde_prof__count.records_full), before + 6);
    atomic_store(&slot.tid, RECORDS_MAX);
    sonde_prof__hooks_find_record(&slot);
    assert_ptr_equal(atomic_load(&slot.record), &records[RECORDS_MAX - 1]);
    atomic_store(&slot.record, NULL);
    atomic_store(&slot.tid, RECORDS_MAX + 1);
    sonde_prof__hooks_find_record(&slot);
    assert_null(atomic_load(&slot.record));
    /* the table keeps them: libtrace's are never freed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_that_find_no_room_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
