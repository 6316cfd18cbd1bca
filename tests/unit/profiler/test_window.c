/* Rows and dictionaries: what is added up, what gets which number, and what happens when they are full. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "profiler/src/counts.h"
#include "profiler/src/endpoints.h"
#include "profiler/src/kernel.h"
#include "profiler/src/maps.h"
#include "profiler/src/unwind.h"
#include "profiler/src/window.h"
#include "support/alloc_fail.h"

typedef struct scene {
    sonde_prof__dict d;
    sonde_prof__window w;
} scene;

static int setup(void **state)
{
    static scene s;

    assert_status(sonde_prof__dict_init(&s.d), SONDE_OK);
    sonde_prof__window_init(&s.w, 0);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    scene *s = *state;

    sonde_prof__window_done(&s->w);
    sonde_prof__dict_done(&s->d);
    return 0;
}

typedef struct one {
    uint64_t room[sizeof(sonde_prof__sample) / sizeof(uint64_t) + 4];
} one;

/* Two frames, the leaf as told. */
static sonde_prof__sample *make(one *o, uint8_t kind, uint64_t leaf)
{
    sonde_prof__sample *s = (sonde_prof__sample *)(void *)o->room;

    memset(o, 0, sizeof(*o));
    s->kind = kind;
    s->depth = 2;
    s->events = 1;
    s->frames[0] = leaf;
    s->frames[1] = 0x1000;
    return s;
}

/* -- windows ---------------------------------------------------------------------------------------- */

static void equal_samples_are_one_row_and_all_is_summed(void **state)
{
    scene *s = *state;
    one o;
    sonde_prof__sample *p = make(&o, SONDE_PROF__ALLOC, 0x2000);
    int i;

    p->value[0] = 100; /* 256ths */
    p->value[1] = 7;
    for (i = 0; i < 10; i++) {
        p->mono_ns = 50 + (uint64_t)i;
        sonde_prof__window_add(&s->w, &s->d, p, 1);
    }
    sonde_prof__window_add(&s->w, &s->d, p, 2); /* another thread */
    assert_int_equal(s->w.len, 2);
    assert_int_equal(s->w.rows[0].events, 10);
    assert_int_equal(s->w.rows[0].value[0], 1000);
    assert_int_equal(s->w.rows[0].value[1], 70);
    assert_int_equal(s->w.rows[0].mono_ns, 50);
    assert_int_equal(s->w.samples[SONDE_PROF__ALLOC], 11);
    assert_int_equal(s->w.ends[SONDE_PROF__COMPLETE], 11);
    sonde_prof__window_clear(&s->w);
    assert_int_equal(s->w.len, 0);
    sonde_prof__window_add(&s->w, &s->d, p, 1);
    assert_int_equal(s->w.rows[0].events, 1);
}

static void with_a_timeline_each_has_its_row_until_it_is_full(void **state)
{
    scene *s = *state;
    one o;
    sonde_prof__sample *p = make(&o, SONDE_PROF__CPU, 0x2000);
    int i;

    s->w.timed_max = 4;
    for (i = 0; i < 10; i++)
        sonde_prof__window_add(&s->w, &s->d, p, 1);
    assert_int_equal(s->w.len, 5); /* four, and one that is a sum */
    assert_int_equal(s->w.rows[4].events, 6);
    assert_false(s->w.rows[4].timed);
    sonde_prof__window_clear(&s->w);
    p->kind = SONDE_PROF__LOCK; /* these have half of it */
    for (i = 0; i < 10; i++)
        sonde_prof__window_add(&s->w, &s->d, p, 1);
    assert_int_equal(s->w.timed_len, 2);
}

static void a_full_window_loses_by_kind_and_by_value(void **state)
{
    scene *s = *state;
    one o;
    sonde_prof__sample *p = make(&o, SONDE_PROF__CPU, 0x2000);
    uint32_t i;

    p->value[0] = 5;
    for (i = 0; i < SONDE_PROF__ROWS_MAX; i++)
        sonde_prof__window_add(&s->w, &s->d, p, i + 1);
    p->events = 3;
    sonde_prof__window_add(&s->w, &s->d, p, SONDE_PROF__ROWS_MAX + 1);
    assert_int_equal(s->w.len, SONDE_PROF__ROWS_MAX);
    assert_int_equal(s->w.lost[SONDE_PROF__CPU], 3);
    assert_int_equal(s->w.lost_value[SONDE_PROF__CPU], 5);
    sonde_prof__window_add(&s->w, &s->d, p, 1); /* what has a row still gets in */
    assert_int_equal(s->w.rows[0].events, 4);
    assert_int_equal(s->w.samples[SONDE_PROF__CPU], SONDE_PROF__ROWS_MAX + 3);
}

static void halves_are_rounded_to_the_even_number(void **state)
{
    static const struct {
        int64_t value;
        uint64_t want;
    } cases[] = { { 0, 0 },   { 127, 0 }, { 128, 0 }, { 129, 1 }, { 256, 1 },
                  { 384, 2 }, { 383, 1 }, { 640, 2 }, { 641, 3 }, { -5, 0 } };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(sonde_prof__round_256(cases[i].value), cases[i].want);
}

/* -- stacks ----------------------------------------------------------------------------------------- */

static void callers_that_are_not_known_hang_below_a_frame_that_says_so(void **state)
{
    static const struct {
        uint8_t end;
        uint64_t frame; /* 0: none */
    } cases[] = {
        { SONDE_PROF__COMPLETE, 0 },
        { SONDE_PROF__TRUNCATED, SONDE_PROF__FRAME_TRUNCATED },
        { SONDE_PROF__NO_RULE, SONDE_PROF__FRAME_UNWIND_FAILURE },
        { SONDE_PROF__BAD_CFA, SONDE_PROF__FRAME_UNWIND_FAILURE },
        { SONDE_PROF__UNREADABLE, SONDE_PROF__FRAME_INCOMPLETE },
        { SONDE_PROF__NO_RANGE, SONDE_PROF__FRAME_UNKNOWN_MAPPING },
    };
    scene *s = *state;
    size_t i;

    for (i = 0; i < COUNT_OF(cases); i++) {
        one o;
        sonde_prof__sample *p = make(&o, SONDE_PROF__CPU, 0x2000);
        const sonde_prof__node *leaf, *caller, *above;

        p->end = cases[i].end;
        leaf = sonde_prof__trie_node(&s->d.trie, sonde_prof__dict_stack(&s->d, p));
        caller = sonde_prof__trie_node(&s->d.trie, leaf->parent);
        above = sonde_prof__trie_node(&s->d.trie, caller->parent);
        assert_int_equal(leaf->vaddr, 0x2000);
        assert_int_equal(caller->vaddr, 0x1000);
        if (cases[i].frame == 0) {
            assert_null(above);
        } else {
            assert_int_equal(above->map, SONDE_PROF__SYNTHETIC);
            assert_int_equal(above->vaddr, cases[i].frame);
        }
    }
}

/* The lowest address of the upper half is before every function of the kernel. */
static void frames_of_the_kernel_are_named_or_one(void **state)
{
    const uint64_t nowhere = UINT64_C(1) << 63;
    scene *s = *state;
    const sonde_prof__node *leaf;
    one o;
    sonde_prof__sample *p = make(&o, SONDE_PROF__CPU, nowhere + 16);

    p->depth = 3;
    p->frames[1] = nowhere;
    p->frames[2] = 0x2000;
    leaf = sonde_prof__trie_node(&s->d.trie, sonde_prof__dict_stack(&s->d, p));
    assert_int_equal(leaf->map, SONDE_PROF__SYNTHETIC);
    assert_int_equal(leaf->vaddr, SONDE_PROF__FRAME_KERNEL);
    assert_int_equal(sonde_prof__trie_node(&s->d.trie, leaf->parent)->vaddr, 0x2000);
    sonde_prof__kernel_forget();
}

static void a_function_of_the_kernel_is_its_name(void **state)
{
    static uint64_t stext;
    scene *s = *state;
    const sonde_prof__node *leaf, *again;
    char first[17] = "";
    FILE *f = fopen("/proc/kallsyms", "re");
    one o;

    if (f) {
        if (fread(first, 1, 16, f) == 16)
            (void)sonde_hex_parse_u64(sonde_str_from(first), 0, &stext);
        (void)fclose(f);
    }
    if (stext == 0)
        skip(); /* addresses are not shown */
    leaf = sonde_prof__trie_node(&s->d.trie,
                                 sonde_prof__dict_stack(&s->d, make(&o, SONDE_PROF__CPU, stext)));
    assert_int_equal(leaf->map, SONDE_PROF__SYNTHETIC);
    assert_true(leaf->vaddr > SONDE_PROF__FRAME_KERNEL_SYMBOL);
    assert_true(sonde_str_eq(
        sonde_prof__dict_text(&s->d, (uint32_t)leaf->vaddr - SONDE_PROF__FRAME_KERNEL_SYMBOL),
        sonde_prof__kernel_name(stext)));
    assert_status(sonde_prof__dict_restart(&s->d), SONDE_OK); /* strings are numbered anew */
    (void)sonde_prof__dict_string(&s->d, SONDE_STR("another"));
    again = sonde_prof__trie_node(&s->d.trie,
                                  sonde_prof__dict_stack(&s->d, make(&o, SONDE_PROF__CPU, stext)));
    assert_true(sonde_str_eq(
        sonde_prof__dict_text(&s->d, (uint32_t)again->vaddr - SONDE_PROF__FRAME_KERNEL_SYMBOL),
        sonde_prof__kernel_name(stext)));
    sonde_prof__kernel_forget();
}

static void stacks_beyond_the_ceiling_are_other_and_the_session_is_full(void **state)
{
    scene *s = *state;
    one o;
    uint32_t i;

    assert_false(sonde_prof__dict_is_full(&s->d));
    for (i = 0; i < SONDE_PROF__NODES_MAX; i++)
        (void)sonde_prof__dict_stack(&s->d, make(&o, SONDE_PROF__CPU, 0x10000 + i));
    assert_true(sonde_prof__dict_is_full(&s->d));
    assert_int_equal(sonde_prof__dict_stack(&s->d, make(&o, SONDE_PROF__CPU, 7)), s->d.other);
    assert_true(s->d.lost.nodes_full > 0);
    assert_status(sonde_prof__dict_restart(&s->d), SONDE_OK);
    assert_false(sonde_prof__dict_is_full(&s->d));
    assert_int_not_equal(sonde_prof__dict_stack(&s->d, make(&o, SONDE_PROF__CPU, 7)), s->d.other);
}

/* -- strings, threads, contexts --------------------------------------------------------------------- */

static void strings_are_numbered_once_cut_and_bounded(void **state)
{
    static char text[SONDE_PROF__STRING_BYTES + 100];
    scene *s = *state;
    uint32_t i, long_one;

    assert_int_equal(sonde_prof__dict_string(&s->d, SONDE_STR("")), 0);
    assert_int_equal(sonde_prof__dict_string(&s->d, SONDE_STR("a")), 1);
    assert_int_equal(sonde_prof__dict_string(&s->d, SONDE_STR("b")), 2);
    assert_int_equal(sonde_prof__dict_string(&s->d, SONDE_STR("a")), 1);
    memset(text, 'x', sizeof(text));
    long_one = sonde_prof__dict_string(&s->d, (sonde_str){ text, sizeof(text) });
    assert_int_equal(sonde_prof__dict_text(&s->d, long_one).len, SONDE_PROF__STRING_BYTES);
    assert_int_equal(sonde_prof__dict_text(&s->d, 99).len, 0);
    for (i = 0; i < 2 * SONDE_PROF__STRINGS_SUM / SONDE_PROF__STRING_BYTES; i++) {
        (void)snprintf(text, 20, "%u", (unsigned)i);
        (void)sonde_prof__dict_string(&s->d, (sonde_str){ text, SONDE_PROF__STRING_BYTES });
    }
    assert_true(s->d.lost.strings_full > 0);
    assert_true(s->d.strings_bytes <= SONDE_PROF__STRINGS_SUM);
    assert_true(sonde_prof__dict_is_full(&s->d));
}

static void a_thread_id_that_is_used_again_is_another_thread(void **state)
{
    scene *s = *state;
    uint32_t i, first = sonde_prof__dict_thread(&s->d, 7, 100);

    assert_int_equal(sonde_prof__dict_thread(&s->d, 7, 100), first);
    assert_int_not_equal(sonde_prof__dict_thread(&s->d, 7, 200), first);
    assert_int_equal(sonde_prof__dict_has_thread(&s->d, 7, 100), first);
    assert_int_equal(sonde_prof__dict_has_thread(&s->d, 8, 100), 0);
    for (i = 0; i < SONDE_PROF__THREADS_MAX; i++)
        (void)sonde_prof__dict_thread(&s->d, 10 + i, 1);
    assert_int_equal(s->d.threads_len, SONDE_PROF__THREADS_MAX);
    assert_int_equal(sonde_prof__dict_thread(&s->d, 5, 5), 0);
    assert_true(s->d.lost.threads_full > 0);
    assert_int_equal(sonde_prof__dict_thread(&s->d, 7, 100), first);
}

static void a_context_keeps_its_number_for_two_batches(void **state)
{
    const sonde_prof__context span = { 1, 2, 3, 4 }, none = { 0 };
    scene *s = *state;
    uint32_t first = sonde_prof__dict_context(&s->d, &span);

    assert_int_equal(sonde_prof__dict_context(&s->d, &none), 0);
    assert_int_equal(sonde_prof__dict_context(&s->d, &span), first);
    sonde_prof__dict_mark(&s->d);
    sonde_prof__dict_next_contexts(&s->d);
    assert_int_equal(sonde_prof__dict_context(&s->d, &span), first);
    assert_int_equal(s->d.now.len, 0);
    assert_int_equal(sonde_prof__dict_find_context(&s->d, first)->span_id, 3);
    sonde_prof__dict_mark(&s->d);
    sonde_prof__dict_next_contexts(&s->d);
    assert_null(sonde_prof__dict_find_context(&s->d, first));
    assert_int_equal(sonde_prof__dict_context(&s->d, &span), first + 1);
}

static void contexts_of_a_batch_are_bounded(void **state)
{
    scene *s = *state;
    uint64_t i;

    for (i = 1; i <= SONDE_PROF__CONTEXTS_MAX; i++)
        assert_int_equal(sonde_prof__dict_context(&s->d, &(sonde_prof__context){ 0, 1, i, 1 }), i);
    assert_int_equal(sonde_prof__dict_context(&s->d, &(sonde_prof__context){ 0, 1, i, 1 }), 0);
    assert_int_equal(s->d.lost.contexts_full, 1);
}

/* -- endpoints -------------------------------------------------------------------------------------- */

static void count_one(void *user, const sonde_prof__report *r)
{
    uint64_t *n = user;

    assert_int_equal(r->local_root_id, *n);
    assert_memory_equal(r->text, "GET /web", 8);
    assert_int_equal(r->type_at, 5);
    ++*n;
}

static void endpoints_wait_in_order_and_are_bounded(void **state)
{
    uint64_t i, lost = atomic_load(&sonde_prof__count.endpoints_lost), n = 0;

    (void)state;
    for (i = 0; i < SONDE_PROF__ENDPOINTS_MAX + 5; i++)
        sonde_prof__endpoints_report(i, SONDE_STR("GET /"), SONDE_STR("web"), 1);
    sonde_prof__endpoints_take(count_one, &n);
    assert_int_equal(n, SONDE_PROF__ENDPOINTS_MAX);
    assert_int_equal(atomic_load(&sonde_prof__count.endpoints_lost) - lost, 5);
    assert_true(sonde_prof__endpoints_finished());
    sonde_prof__endpoints_take(count_one, &n);
    assert_int_equal(n, SONDE_PROF__ENDPOINTS_MAX);
}

/* -- memory ----------------------------------------------------------------------------------------- */

static sonde_status fill(void *user)
{
    sonde_prof__dict d;
    sonde_prof__window w;
    one o;
    uint32_t i;
    sonde_status status = sonde_prof__dict_init(&d);

    (void)user;
    sonde_prof__window_init(&w, 100);
    for (i = 0; i < 1500 && status == SONDE_OK; i++) {
        sonde_prof__sample *p = make(&o, SONDE_PROF__LOCK, 0x10000 + i);

        p->context.span_id = i + 1;
        p->value[2] = (int64_t)i;
        sonde_prof__window_add(&w, &d, p, sonde_prof__dict_thread(&d, i + 1, 1));
    }
    assert_int_equal(w.samples[SONDE_PROF__LOCK] + w.lost[SONDE_PROF__LOCK], i);
    sonde_prof__window_done(&w);
    sonde_prof__dict_done(&d);
    return status;
}

static void no_memory_loses_and_counts_and_leaks_nothing(void **state)
{
    size_t n;

    (void)state;
    alloc_fail_begin();
    for (n = 1; n < 60; n++) {
        alloc_fail_at(n);
        (void)fill(NULL);
        assert_int_equal(alloc_fail_live_blocks(), 0);
    }
    alloc_fail_at(0);
    alloc_fail_end();
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(equal_samples_are_one_row_and_all_is_summed),
        CASE(with_a_timeline_each_has_its_row_until_it_is_full),
        CASE(a_full_window_loses_by_kind_and_by_value),
        CASE(halves_are_rounded_to_the_even_number),
        CASE(callers_that_are_not_known_hang_below_a_frame_that_says_so),
        CASE(frames_of_the_kernel_are_named_or_one),
        CASE(a_function_of_the_kernel_is_its_name),
        CASE(stacks_beyond_the_ceiling_are_other_and_the_session_is_full),
        CASE(strings_are_numbered_once_cut_and_bounded),
        CASE(a_thread_id_that_is_used_again_is_another_thread),
        CASE(a_context_keeps_its_number_for_two_batches),
        CASE(contexts_of_a_batch_are_bounded),
        cmocka_unit_test(endpoints_wait_in_order_and_are_bounded),
        cmocka_unit_test(no_memory_loses_and_counts_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
