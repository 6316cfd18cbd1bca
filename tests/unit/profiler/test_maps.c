/* What is loaded: build-ids, /proc/self/maps, snapshots that come and go with dlopen(). */
#include "support/test.h"

#include <dlfcn.h>
#include <string.h>

#include "base/clock.h"
#include "profiler/src/maps.h"
#include "profiler/src/objects.h"
#include "support/alloc_fail.h"

#define SECOND ((uint64_t)SONDE_NS_PER_S)

static void a_build_id_is_found_behind_other_notes(void **state)
{
    static const uint8_t notes[] = {
        4, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 'G', 'N', 'U', 0,   9,   9, 9, 9, 9, 0,
        0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0,   0,   'G', 'N', 'U', 0, 7, 8, 9, 0,
    };
    uint8_t id[SONDE_PROF__BUILD_ID_MAX];
    size_t len;

    (void)state;
    assert_int_equal(sonde_prof__build_id(notes, sizeof(notes), id), 3);
    assert_memory_equal(id, "\7\10\11", 3);
    for (len = 0; len < sizeof(notes); len++) {
        /* so that a sanitizer sees a byte too far */
        uint8_t *exact = (uint8_t *)test_malloc(len + 1);

        memcpy(exact, notes, len);
        assert_int_equal(sonde_prof__build_id(exact, len, id), 0);
        test_free(exact);
    }
}

static void executable_memory_without_a_file_is_an_object_too(void **state)
{
    static const char text[] =
        "7f0000000000-7f0000001000 r-xp 00000000 00:00 0 \n"
        "7f0000002000-7f0000004000 rwxp 00000000 00:00 0          [anon:jit]\n"
        "7f0000005000-7f0000006000 rw-p 00000000 00:00 0 \n"
        "7f0000007000-7f0000008000 r-xp 00002000 fe:01 77         /opt/no dlopen.so\n"
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n"
        "not a line\n"
        "7f0000009000-zzz r-xp";
    sonde_prof__objects o = { 0 };

    (void)state;
    assert_status(sonde_prof__objects_take_maps(&o, sonde_str_from(text)), SONDE_OK);
    assert_int_equal(o.len, 3);
    assert_int_equal(o.items[0].start, 0x7f0000000000);
    assert_int_equal(o.items[0].flags, SONDE_PROF__OBJECT_ANON);
    assert_int_equal(o.items[1].length, 0x2000);
    assert_null(o.items[1].path);
    assert_string_equal(o.items[2].path, "/opt/no dlopen.so");
    assert_int_equal(o.items[2].inode, 77);
    sonde_prof__objects_done(&o);
}

static void a_file_that_was_deleted_is_said_to_be(void **state)
{
    static const char text[] = "1000-3000 r-xp 00001000 fe:01 42  /usr/lib/x.so (deleted)\n";
    sonde_prof__objects o;

    (void)state;
    assert_status(sonde_prof__objects_read(&o), SONDE_OK);
    assert_true(o.len > 0);
    o.items[0].start = 0x1000;
    o.items[0].length = 0x2000;
    o.items[0].inode = 0;
    assert_status(sonde_prof__objects_take_maps(&o, sonde_str_from(text)), SONDE_OK);
    assert_true(o.items[0].flags & SONDE_PROF__OBJECT_DELETED);
    assert_int_equal(o.items[0].inode, 42);
    sonde_prof__objects_done(&o);
}

static void more_objects_than_fit_are_cut_off(void **state)
{
    sonde_prof__objects o = { 0 };
    sonde_buf text;
    uint32_t i;

    (void)state;
    sonde_buf_init(&text, 1 << 20);
    for (i = 0; i < SONDE_PROF__OBJECTS_MAX + 10; i++)
        sonde_buf_printf(&text, "%x000-%x000 r-xp 00000000 00:00 0 \n", 16 + 2 * i, 17 + 2 * i);
    assert_status(sonde_prof__objects_take_maps(&o, sonde_buf_str(&text)), SONDE_OK);
    assert_int_equal(o.len, SONDE_PROF__OBJECTS_MAX);
    assert_true(o.cut);
    sonde_prof__objects_done(&o);
    sonde_buf_done(&text);
}

static __attribute__((noinline)) void somewhere(void)
{
    __asm__ volatile("");
}

static void this_program_is_found_with_its_build_id_and_its_table(void **state)
{
    const sonde_prof__loaded *l;

    (void)state;
    assert_status(sonde_prof__maps_refresh(SECOND), SONDE_OK);
    l = sonde_prof__maps_find((uint64_t)(uintptr_t)somewhere);
    assert_non_null(l);
    assert_true(l->flags & SONDE_PROF__OBJECT_MAIN);
    assert_true(l->flags & SONDE_PROF__OBJECT_EH_FRAME);
    assert_true(l->is_loaded);
    assert_true(l->build_id_len > 0);
    assert_true(sonde_str_ends(l->path, SONDE_STR("test_profiler_maps")));
    assert_true(l->inode != 0 && l->mtime_s != 0);
    assert_non_null(sonde_prof__table_find(l->table, (uint64_t)(uintptr_t)somewhere));
    assert_ptr_equal(sonde_prof__maps_by_id(l->id), l);
    assert_null(sonde_prof__maps_find(16));
    assert_null(sonde_prof__maps_by_id(1));
    assert_null(sonde_prof__maps_by_id(SONDE_PROF__FIRST_MAP + sonde_prof__maps_len()));
    sonde_prof__maps_done();
}

/* Any library that is on every system, and not loaded here. */
#define LIBRARY "libBrokenLocale.so.1"

static void a_library_comes_and_goes_and_keeps_its_number(void **state)
{
    uint32_t before, number;
    uint64_t inside;
    void *library;

    (void)state;
    assert_status(sonde_prof__maps_refresh(SECOND), SONDE_OK);
    before = sonde_prof__maps_len();
    library = dlopen(LIBRARY, RTLD_NOW);
    if (!library) {
        sonde_prof__maps_done();
        skip();
    }
    assert_status(sonde_prof__maps_refresh(SECOND + 1), SONDE_OK); /* too soon to look */
    assert_int_equal(sonde_prof__maps_len(), before);
    sonde_prof__maps_poke();
    assert_status(sonde_prof__maps_refresh(SECOND + 2), SONDE_OK);
    assert_int_equal(sonde_prof__maps_len(), before + 1);
    number = SONDE_PROF__FIRST_MAP + before;
    inside = sonde_prof__maps_by_id(number)->start;
    assert_int_equal(sonde_prof__maps_find(inside)->id, number);

    (void)dlclose(library);
    assert_status(sonde_prof__maps_refresh(5 * SECOND), SONDE_OK);
    assert_false(sonde_prof__maps_by_id(number)->is_loaded);
    assert_int_equal(sonde_prof__maps_by_id(number)->unloaded_mono_ns, 5 * SECOND);
    assert_int_equal(sonde_prof__maps_find(inside)->id,
                     number); /* samples of it may be on their way */
    sonde_prof__maps_forget();
    assert_null(sonde_prof__maps_find(inside));

    library = dlopen(LIBRARY, RTLD_NOW);
    assert_status(sonde_prof__maps_refresh(7 * SECOND), SONDE_OK);
    if (sonde_prof__maps_find(inside))
        assert_int_equal(sonde_prof__maps_find(inside)->id, number);
    (void)dlclose(library);
    sonde_prof__maps_done();
}

static void a_snapshot_stays_while_a_handler_may_hold_it(void **state)
{
    const sonde_prof__map *held;
    void *library;
    uint32_t i;

    (void)state;
    assert_status(sonde_prof__maps_refresh(SECOND), SONDE_OK);
    library = dlopen(LIBRARY, RTLD_NOW);
    if (!library) {
        sonde_prof__maps_done();
        skip();
    }
    sonde_prof__maps_enter();
    held = sonde_prof__maps_current();
    assert_int_equal(sonde_prof__maps_under_way(), 1);
    sonde_prof__maps_poke();
    assert_status(sonde_prof__maps_refresh(2 * SECOND), SONDE_OK);
    assert_ptr_not_equal(sonde_prof__maps_current(), held);
    for (i = 0; i < 5; i++)
        assert_status(sonde_prof__maps_refresh(3 * SECOND), SONDE_OK);
    for (i = 0; i < held->len; i++) /* under a sanitizer: still there */
        assert_true(held->tables[i]->text_hi > held->tables[i]->text_lo);
    sonde_prof__maps_leave();
    assert_status(sonde_prof__maps_refresh(4 * SECOND), SONDE_OK);
    assert_status(sonde_prof__maps_refresh(5 * SECOND), SONDE_OK);
    (void)dlclose(library);
    sonde_prof__maps_done();
}

static sonde_status refresh_once(void *user)
{
    sonde_status status = sonde_prof__maps_refresh(SECOND);

    (void)user;
    sonde_prof__maps_done();
    return status;
}

static void no_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    alloc_fail_each(refresh_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_id_is_found_behind_other_notes),
        cmocka_unit_test(executable_memory_without_a_file_is_an_object_too),
        cmocka_unit_test(a_file_that_was_deleted_is_said_to_be),
        cmocka_unit_test(more_objects_than_fit_are_cut_off),
        cmocka_unit_test(this_program_is_found_with_its_build_id_and_its_table),
        cmocka_unit_test(a_library_comes_and_goes_and_keeps_its_number),
        cmocka_unit_test(a_snapshot_stays_while_a_handler_may_hold_it),
        cmocka_unit_test(no_memory_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
