/* test_got.c - base/got.h, with objects linked in every way.  Linked itself as a PIE and not.
 *
 * Each object brings a copy of got_target() of its own under another name of file, so that one test's patches are not the
 * next one's. */
#include "support/test.h"

#include <ctype.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/got.h"
#include "base/thread.h"

enum { REAL = 1, HOOKED = 2, OTHER = 3 };

int got_target(void);

static uint64_t in_object(const char *file, const char *name)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL), *at;

    assert_non_null(handle);
    at = dlsym(handle, name);
    assert_non_null(at);
    return (uint64_t)(uintptr_t)at;
}

static uint64_t hook(void)
{
    return in_object(GOT_HOOK, "got_target");
}

static sonde_got_counts patch(bool is_only)
{
    const sonde_got_hook hooks[] = { { "got_absent", hook(), 0, true },
                                     { "got_target", hook(), in_object(GOT_TARGET, "got_target"),
                                       is_only } };
    sonde_got_counts counts;

    sonde_got_patch(hooks, COUNT_OF(hooks), &counts);
    return counts;
}

static void *open_calls(const char *file, int how)
{
    void *handle = dlopen(file, how | RTLD_LOCAL);

    assert_non_null(handle);
    return handle;
}

static int call(void *handle, const char *name)
{
    union {
        void *object;
        int (*function)(void);
    } at = { dlsym(handle, name) };

    assert_non_null(at.object);
    return at.function();
}

static const struct {
    const char *label, *file;
} ways[] = { { "now", GOT_NOW }, { "lazy", GOT_LAZY }, { "without RELRO", GOT_NORELRO } };

static const char *read_hex(const char *text, unsigned long long *out)
{
    for (*out = 0; isxdigit((unsigned char)*text); text++)
        *out =
            *out << 4 | (unsigned)(isdigit((unsigned char)*text) ? *text - '0' : *text - 'a' + 10);
    return text;
}

/* Rights of the mapping an address lies in, as /proc/self/maps has them. */
static void rights_of(uint64_t address, char out[5])
{
    unsigned long long lo, hi;
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];

    assert_non_null(maps);
    out[0] = '\0';
    while (fgets(line, sizeof(line), maps)) {
        const char *rest = read_hex(read_hex(line, &lo) + 1, &hi);

        if (address >= lo && address < hi)
            (void)snprintf(out, 5, "%.4s", rest + 1);
    }
    (void)fclose(maps);
}

static void test_every_kind_of_slot_is_patched_and_the_object_is_done(void **state)
{
    size_t i;

    (void)state;
    (void)hook();
    for (i = 0; i < COUNT_OF(ways); i++) {
        void *handle = open_calls(ways[i].file, RTLD_NOW);
        sonde_got_counts counts;

        sonde_got_forget();
        assert_int_equal(call(handle, "got_call"), REAL);
        counts = patch(true);
        assert_in_range(counts.patched, 2, 8);
        assert_int_equal(counts.waiting, 0);
        assert_int_equal(call(handle, "got_call"), HOOKED);
        assert_int_equal(call(handle, "got_call_by_pointer"), HOOKED);
        assert_int_equal(call(handle, "got_call_by_table"), HOOKED);
        counts = patch(true);
        assert_int_equal(counts.patched, 0);
        assert_int_equal(counts.objects, 0);
    }
}

static void test_a_slot_not_bound_yet_waits_unless_nobody_else_defines_the_function(void **state)
{
    void *handle = open_calls(GOT_LAZY_2, RTLD_LAZY);
    sonde_got_counts counts;

    (void)state;
    counts = patch(false);
    assert_int_equal(counts.waiting, 1);
    assert_int_equal(call(handle, "got_call"), REAL); /* the loader binds it */
    counts = patch(false);
    assert_int_equal(counts.patched, 1);
    assert_int_equal(counts.waiting, 0);
    assert_int_equal(call(handle, "got_call"), HOOKED);

    handle = open_calls(GOT_LAZY_3, RTLD_LAZY);
    counts = patch(true);
    assert_int_equal(counts.waiting, 1); /* looked at once more */
    assert_int_equal(call(handle, "got_call"), HOOKED);
    assert_int_equal(patch(true).waiting, 0);
}

static void test_a_slot_of_another_definition_is_left_alone(void **state)
{
    void *handle;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* forbid it */
    return;
#endif
    handle = open_calls(GOT_OTHERS, RTLD_NOW | RTLD_DEEPBIND);
    assert_int_equal(call(handle, "got_call"), OTHER);
    (void)patch(true);
    assert_int_equal(call(handle, "got_call"), OTHER);
    assert_int_equal(call(handle, "got_call_by_table"), OTHER);
}

static void test_sealed_pages_are_sealed_afterwards(void **state)
{
    void *handle = open_calls(GOT_NOW, RTLD_NOW);
    char rights[5];

    (void)state;
    (void)patch(true);
    assert_int_equal(call(handle, "got_call_by_table"), HOOKED);
    rights_of(in_object(GOT_NOW, "got_table"), rights);
    assert_string_equal(rights, "r--p");
}

static void test_calls_of_the_program_itself(void **state)
{
    (void)state;
    (void)patch(true);
    assert_int_equal(got_target(), HOOKED);
}

/* -- while others call --------------------------------------------------------------------------------- */

enum { CALLERS = 4 };

static _Atomic bool ends;
static _Atomic int wrong;

static void *call_all_the_time(void *arg)
{
    union {
        void *object;
        int (*function)(void);
    } at = { arg };
    bool was_hooked = false;

    while (!atomic_load(&ends)) {
        int got = at.function();

        if ((got != REAL && got != HOOKED) || (was_hooked && got != HOOKED))
            atomic_fetch_add(&wrong, 1);
        was_hooked = got == HOOKED;
    }
    return NULL;
}

static void test_threads_that_call_meanwhile_reach_one_or_the_other(void **state)
{
    void *handle = open_calls(GOT_NOW_2, RTLD_NOW);
    pthread_t threads[CALLERS];
    int i;

    (void)state;
    atomic_store(&ends, false);
    for (i = 0; i < CALLERS; i++)
        assert_status(sonde_thread_start(&threads[i], "test-got", 0, call_all_the_time,
                                         dlsym(handle, "got_call")),
                      SONDE_OK);
    (void)patch(true);
    assert_int_equal(call(handle, "got_call"), HOOKED);
    atomic_store(&ends, true);
    for (i = 0; i < CALLERS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
}

/* -- looking up ----------------------------------------------------------------------------------------- */

static void test_the_first_definition_is_found_and_who_is_behind_it(void **state)
{
    uint64_t target = in_object(GOT_TARGET, "got_target"), hooked = hook();
    bool is_only = true;

    (void)state;
    (void)in_object(GOT_OTHER, "got_target");
    assert_int_equal(sonde_got_find("got_target", hooked, &is_only), target);
    assert_false(is_only);
    assert_int_equal(sonde_got_find("got_target_nobody_has", 0, NULL), 0);
    assert_int_equal(sonde_got_find_in("got_target", hooked), hooked);
    assert_int_equal(sonde_got_find_in("malloc", hooked), 0);
    assert_true(sonde_got_is_behind(hooked, "__libc_start_main"));
    assert_false(sonde_got_is_behind((uint64_t)(uintptr_t)test_calls_of_the_program_itself,
                                     "__libc_start_main"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_slot_is_patched_and_the_object_is_done),
        cmocka_unit_test(test_a_slot_not_bound_yet_waits_unless_nobody_else_defines_the_function),
        cmocka_unit_test(test_a_slot_of_another_definition_is_left_alone),
        cmocka_unit_test(test_sealed_pages_are_sealed_afterwards),
        cmocka_unit_test(test_calls_of_the_program_itself),
        cmocka_unit_test(test_threads_that_call_meanwhile_reach_one_or_the_other),
        cmocka_unit_test(test_the_first_definition_is_found_and_who_is_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
