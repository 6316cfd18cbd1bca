/* Names of the kernel's functions, from texts such as /proc/kallsyms. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "profiler/src/kernel.h"

#define assert_name(have, want) assert_true(sonde_str_eq(have, SONDE_STR(want)))

static const char text[] = "ffffffff81000000 T _stext\n"
                           "ffffffff81000100 t do_syscall_64\n"
                           "ffffffff81000200 D jiffies\n" /* data */
                           "0000000000000000 T hidden\n"  /* not ours to see */
                           "ffffffff8100030 T short\n"    /* fifteen digits */
                           "ffffffff8100030g T odd\n"     /* no digit */
                           "ffffffff81000300 TT two\n"    /* no type */
                           "ffffffff81000300 T \n"        /* no name */
                           "\n"                           /* nothing */
                           "ffffffff81000400 W weak_one\n"
                           "ffffffffa0000200 t later\t[module]\n"
                           "ffffffffa0000100 t sooner\t[module]\n"
                           "ffffffffa0000300 t cut"; /* no end of line */

static sonde_str name_at(const sonde_prof__kernel_table *t, uint64_t address)
{
    return sonde_prof__symbol_at(&t->symbols, address);
}

static void assert_names(const sonde_prof__kernel_table *t)
{
    assert_int_equal(t->symbols.len, 5);
    assert_int_equal(name_at(t, 0xffffffff80ffffff).len, 0);
    assert_name(name_at(t, 0xffffffff81000000), "_stext");
    assert_name(name_at(t, 0xffffffff810000ff), "_stext");
    assert_name(name_at(t, 0xffffffff81000234), "do_syscall_64");
    assert_name(name_at(t, 0xffffffff81000400), "weak_one");
    assert_name(name_at(t, 0xffffffffa0000150), "sooner");
    assert_name(name_at(t, 0xffffffffa0000350), "later");
}

static void test_functions_are_found_and_other_lines_passed_over(void **state)
{
    sonde_prof__kernel_table t = { .max_bytes = 1 << 20 };

    (void)state;
    assert_int_equal(sonde_prof__kernel_take(&t, sonde_str_from(text)),
                     sizeof(text) - 1 - strlen("ffffffffa0000300 t cut"));
    sonde_prof__kernel_finish(&t);
    assert_names(&t);
    sonde_prof__kernel_done(&t);
}

static void test_it_does_not_matter_where_the_text_is_cut(void **state)
{
    size_t cut, used;

    (void)state;
    for (cut = 0; cut <= sizeof(text) - 1; cut++) {
        sonde_prof__kernel_table t = { .max_bytes = 1 << 20 };

        used = sonde_prof__kernel_take(&t, (sonde_str){ text, cut });
        assert_true(used <= cut);
        (void)sonde_prof__kernel_take(&t, (sonde_str){ text + used, sizeof(text) - 1 - used });
        sonde_prof__kernel_finish(&t);
        assert_names(&t);
        sonde_prof__kernel_done(&t);
    }
}

static void test_a_table_has_a_ceiling(void **state)
{
    sonde_prof__kernel_table t = { .max_bytes = 1 << 20 };
    char line[64];
    uint32_t i;
    int len;

    (void)state;
    for (i = 0; i < 200000; i++) {
        len = snprintf(line, sizeof(line), "ffffffff%08x t function_%u\n", 0x81000000u + i * 16, i);
        assert_int_equal(sonde_prof__kernel_take(&t, (sonde_str){ line, (size_t)len }), len);
    }
    sonde_prof__kernel_finish(&t);
    assert_true(t.symbols.len > 10000 && t.symbols.len < 65536);
    assert_true(t.items_cap * sizeof(sonde_prof__symbol) + t.names_cap <= t.max_bytes);
    assert_name(name_at(&t, 0xffffffff81000010), "function_1");
    sonde_prof__kernel_done(&t);
}

static void test_the_running_kernel_is_read_as_far_as_it_shows_itself(void **state)
{
    FILE *f = fopen("/proc/kallsyms", "re");
    char first[17] = "";
    uint64_t address = 0;

    (void)state;
    if (f) {
        if (fread(first, 1, 16, f) == 16)
            (void)sonde_hex_parse_u64(sonde_str_from(first), 0, &address);
        (void)fclose(f);
    }
    if (address == 0)
        assert_int_equal(sonde_prof__kernel_name(0xffffffff81000000).len, 0);
    else
        assert_true(sonde_prof__kernel_name(address).len > 0);
    sonde_prof__kernel_forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_are_found_and_other_lines_passed_over),
        cmocka_unit_test(test_it_does_not_matter_where_the_text_is_cut),
        cmocka_unit_test(test_a_table_has_a_ceiling),
        cmocka_unit_test(test_the_running_kernel_is_read_as_far_as_it_shows_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
