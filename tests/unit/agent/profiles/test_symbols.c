/* test_symbols.c - objects and their names: which file is believed, what makes room.  That the names are right is in
 * tests/integration/test_symbols.py. */
#include "agent/profiles/symbols.h"

#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/profiles/spb.h"
#include "agent/profiles/symbolize.h"
#include "agent/profiles/symbols_internal.h"
#include "base/parse.h"
#include "support/alloc_fail.h"
#include "support/temp_dir.h"
#include "support/test.h"

/* A function of this program, to be found in its own file. */
__attribute__((noinline, used)) int a_function_of_the_test(int x);
int a_function_of_the_test(int x)
{
    return x * 3;
}

/* Where the program is, less where its file says it is. */
static int take_bias(struct dl_phdr_info *info, size_t size, void *out)
{
    (void)size;
    *(uint64_t *)out = info->dlpi_addr;
    return 1; /* the program comes first */
}

static uint64_t own_address(void)
{
    uint64_t at, bias = 0;
    int (*function)(int) = a_function_of_the_test;

    (void)dl_iterate_phdr(take_bias, &bias);
    memcpy(&at, &function, sizeof(at));
    return at - bias;
}

static symbol_request own_file(void)
{
    static char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    assert_true(len > 0);
    path[len] = '\0';
    return (symbol_request){ .path = sonde_str_from(path) };
}

static uint64_t number(symbols *s, const char *key)
{
    sonde_json_writer w;
    sonde_buf out;
    const char *at;
    char want[64];
    uint64_t value;

    sonde_buf_init(&out, 65536);
    sonde_json_writer_init(&w, &out);
    symbols_write_json(s, &w);
    (void)snprintf(want, sizeof(want), "\"%s\":", key);
    at = strstr(sonde_buf_cstr(&out), want);
    assert_non_null(at);
    at += strlen(want);
    assert_status(sonde_parse_u64((sonde_str){ at, strspn(at, "0123456789") }, &value), SONDE_OK);
    sonde_buf_done(&out);
    return value;
}

static bool is_called(symbol_object *o, uint64_t address, const char *name)
{
    symbol_line lines[SYMBOLS_LINES_MAX];
    size_t len = symbols_resolve(o, address, lines);

    return len > 0 && sonde_str_eq(lines[len - 1].name, sonde_str_from(name));
}

static void test_a_function_is_found_by_its_address(void **state)
{
    symbol_request r = own_file();
    symbol_object *o;
    symbols *s;

    (void)state;
    assert_status(symbols_open(&(symbols_options){ .lines = false }, &s), SONDE_OK);
    o = symbols_get(s, &r);
    symbols_open_files(s);
    assert_true(is_called(o, own_address(), "a_function_of_the_test"));
    assert_false(is_called(o, 1, "a_function_of_the_test"));
    assert_int_equal(number(s, "objects_indexed"), 1);
    assert_int_equal(number(s, "open_files"), 0);
    symbol_object_put(o);
    symbols_close(s);
}

static struct {
    char first[16], second[16];
} a_variable_of_the_test = { "x", "y" };

static void test_locks_are_called_as_the_variables_they_lie_in(void **state)
{
    const struct {
        const char *label;
        uint64_t address; /* as it runs */
        uint8_t kind;
        const char *want; /* NULL: as it was */
    } cases[] = {
        { "a variable", (uintptr_t)&a_variable_of_the_test, PROFILE_LOCK,
          "a_variable_of_the_test" },
        { "part of one", (uintptr_t)&a_variable_of_the_test.second, PROFILE_RELEASE,
          "a_variable_of_the_test+0x10" },
        { "on the stack", (uintptr_t)&state, PROFILE_LOCK, NULL },
        { "before the object", 8, PROFILE_LOCK, NULL },
        { "no lock", (uintptr_t)&a_variable_of_the_test, PROFILE_EXCEPTION, NULL },
    };
    profile_mapping m = { .length = 1 };
    symbol_request r = own_file();
    profile *p;
    symbols *s;

    assert_status(symbols_open(&(symbols_options){ .lines = false }, &s), SONDE_OK);
    m.object = symbols_get(s, &r);
    symbols_open_files(s);
    (void)dl_iterate_phdr(take_bias, &m.bias);
    assert_status(profile_open(&p), SONDE_OK);
    (void)profile_add_mapping(p, &m);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[32];
        sonde_str have;

        (void)snprintf(text, sizeof(text), "0x%016llx", (unsigned long long)cases[i].address);
        profile_add(p, &(profile_sample){ .kind = cases[i].kind,
                                          .node = (uint32_t)i + 1,
                                          .text = profile_string(p, sonde_str_from(text)),
                                          .value = { 1, 2 } });
        profile_symbolize(p); /* again and again: more may be merged behind */
        have = profile_text(p, p->samples[i].text);
        if (!sonde_str_eq(have, sonde_str_from(cases[i].want ? cases[i].want : text)))
            fail_msg("%s: %.*s", cases[i].label, SONDE_STR_ARG(have));
    }
    symbol_object_put(m.object);
    profile_close(p);
    symbols_close(s);
}

static void test_one_object_serves_all_who_have_it(void **state)
{
    const uint8_t id[20] = { 7 };
    symbol_request a = own_file(),
                   b = { .path = SONDE_STR("/another/path"), .build_id = id, .build_id_len = 20 };
    symbol_object *one, *two, *three;
    symbols *s;

    (void)state;
    a.build_id = id;
    a.build_id_len = 20;
    assert_status(symbols_open(&(symbols_options){ .lines = false }, &s), SONDE_OK);
    one = symbols_get(s, &a);
    two = symbols_get(s, &b);
    b.build_id_len = 0;
    b.inode = 5;
    three = symbols_get(s, &b);
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, three);
    symbol_object_put(one);
    symbol_object_put(two);
    symbol_object_put(three);
    symbols_close(s);
}

static void test_another_file_than_the_one_meant_is_not_believed(void **state)
{
    static const uint8_t id[20] = { 1, 2, 3 };
    const struct {
        const char *label;
        uint64_t inode, mtime_s;
        size_t build_id_len;
    } cases[] = {
        { "another build-id", 0, 0, 20 },
        { "another inode", 1, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        symbol_request r = own_file();
        symbol_object *o;
        symbols *s;

        r.build_id = id;
        r.build_id_len = cases[i].build_id_len;
        r.inode = cases[i].inode;
        assert_status(symbols_open(&(symbols_options){ .lines = false }, &s), SONDE_OK);
        o = symbols_get(s, &r);
        symbols_open_files(s);
        if (number(s, "objects_missing") != 1 ||
            is_called(o, own_address(), "a_function_of_the_test"))
            fail_msg("%s was believed", cases[i].label);
        symbol_object_put(o);
        symbols_close(s);
    }
}

static void test_what_is_no_regular_file_is_not_opened(void **state)
{
    char dir[256], fifo[300];
    const char *paths[] = { "/dev/null", "/tmp", fifo, "relative", "/nowhere" };
    symbols *s;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_status(symbols_open(&(symbols_options){ .lines = false }, &s), SONDE_OK);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        symbol_object *o =
            symbols_get(s, &(symbol_request){ .path = sonde_str_from(paths[i]), .start = i + 1 });

        symbols_open_files(s); /* would wait for ever at the FIFO */
        symbol_object_put(o);
    }
    assert_int_equal(number(s, "objects_opened"), 0);
    assert_int_equal(number(s, "objects_missing"), COUNT_OF(paths));
    symbols_close(s);
    temp_dir_remove(dir);
}

/* A cache that one index of this program fits into, and not two. */
static size_t room_for_one(void)
{
    symbol_request r = own_file();
    symbol_object *o;
    symbols *s;
    size_t bytes;

    assert_status(symbols_open(&(symbols_options){ .lines = false }, &s), SONDE_OK);
    o = symbols_get(s, &r);
    symbols_open_files(s);
    assert_true(is_called(o, own_address(), "a_function_of_the_test"));
    bytes = (size_t)number(s, "bytes");
    symbol_object_put(o);
    symbols_close(s);
    return bytes + bytes / 2;
}

static void make_folder(char *path, size_t cap, const char *more)
{
    (void)snprintf(path + strlen(path), cap - strlen(path), "%s", more);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Below a name that is long: where an agent in a container finds the host's. */
static void test_a_map_of_generated_code_is_found_wherever_proc_is(void **state)
{
    symbol_request r = { .map_pid = 77, .pid = 1 };
    char dir[256], proc[1024], folder[1024];
    symbol_object *o;
    symbols *s;
    FILE *map;

    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(proc, sizeof(proc), "%s", dir);
    make_folder(proc, sizeof(proc), "/a-folder-with-a-name-that-is-longer-than-most-are");
    (void)snprintf(folder, sizeof(folder), "%s", proc);
    make_folder(folder, sizeof(folder), "/1");
    make_folder(folder, sizeof(folder), "/root");
    make_folder(folder, sizeof(folder), "/tmp");
    (void)snprintf(folder + strlen(folder), sizeof(folder) - strlen(folder), "/perf-77.map");
    map = fopen(folder, "w");
    assert_non_null(map);
    (void)fputs("1000 20 generated\n", map);
    (void)fclose(map);

    assert_status(symbols_open(&(symbols_options){ .proc = proc }, &s), SONDE_OK);
    o = symbols_get(s, &r);
    symbols_open_files(s);
    assert_true(is_called(o, 0x1010, "generated"));
    symbol_object_put(o);
    symbols_close(s);
    temp_dir_remove(dir);
}

static void test_indexes_make_room_and_are_made_again(void **state)
{
    symbol_request a = own_file(), b = own_file();
    symbol_object *one, *two;
    symbols *s;

    (void)state;
    a.start = 1; /* without id and inode an object is one mapping's */
    b.start = 2;
    assert_status(symbols_open(&(symbols_options){ .max_bytes = room_for_one() }, &s), SONDE_OK);
    one = symbols_get(s, &a);
    two = symbols_get(s, &b);
    symbols_open_files(s);
    assert_true(is_called(one, own_address(), "a_function_of_the_test"));
    assert_true(is_called(two, own_address(), "a_function_of_the_test"));
    assert_int_equal(number(s, "indexes_dropped"), 1);
    assert_true(is_called(one, own_address(), "a_function_of_the_test"));
    assert_int_equal(number(s, "indexes_dropped"), 2);
    symbol_object_put(one);
    symbol_object_put(two);
    assert_true(number(s, "bytes") <= room_for_one());
    symbols_close(s);
}

static void test_debug_information_that_is_too_big_leaves_names(void **state)
{
    symbol_request r = own_file();
    symbol_object *o;
    symbols *s;

    dwarf_reader *lines = NULL;

    (void)state;
    if (dwarf_reader_open(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), NULL, "/", SIZE_MAX,
                          &lines) != SONDE_OK)
        skip(); /* built without -g */
    dwarf_reader_close(lines);
    assert_status(
        symbols_open(&(symbols_options){ .lines = true, .max_bytes = room_for_one() }, &s),
        SONDE_OK);
    o = symbols_get(s, &r);
    symbols_open_files(s);
    assert_true(is_called(o, own_address(), "a_function_of_the_test"));
    assert_int_equal(number(s, "lines_too_big"), 1);
    symbol_object_put(o);
    symbols_close(s);
}

static void test_no_more_files_are_open_than_there_may_be(void **state)
{
    symbol_object *objects[SYMBOLS_OPEN_MAX + 3];
    symbol_request r = own_file();
    symbols *s;

    (void)state;
    assert_status(symbols_open(&(symbols_options){ .lines = false }, &s), SONDE_OK);
    for (size_t i = 0; i < COUNT_OF(objects); i++) {
        r.start = i + 1;
        objects[i] = symbols_get(s, &r);
        symbols_open_files(s);
    }
    assert_int_equal(number(s, "open_files"), SYMBOLS_OPEN_MAX);
    assert_int_equal(number(s, "open_limit"), 3);
    /* it is opened when its names are asked for */
    assert_true(is_called(objects[SYMBOLS_OPEN_MAX + 1], own_address(), "a_function_of_the_test"));
    for (size_t i = 0; i < COUNT_OF(objects); i++)
        symbol_object_put(objects[i]);
    symbols_close(s);
}

static void test_the_better_name_of_an_address_wins(void **state)
{
    static const struct {
        const char *label, *better, *worse;
        symbol_rank better_rank, worse_rank;
        bool worse_is_func;
        uint64_t worse_size;
    } cases[] = {
        { "a function before a label", "f", "label", SYMBOL_LOCAL, SYMBOL_GLOBAL, false, 0 },
        { "global before weak", "f", "longer", SYMBOL_GLOBAL, SYMBOL_WEAK, true, 8 },
        { "weak before local", "f", "longer", SYMBOL_WEAK, SYMBOL_LOCAL, true, 8 },
        { "without an underscore", "f", "__longer", SYMBOL_GLOBAL, SYMBOL_GLOBAL, true, 8 },
        { "the longest", "longer", "f", SYMBOL_GLOBAL, SYMBOL_GLOBAL, true, 8 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        for (int order = 0; order < 2; order++) {
            symbol_index x;

            symbol_index_init(&x, 65536);
            for (int k = 0; k < 2; k++) {
                bool better = k == order;

                assert_status(
                    symbol_index_add(&x, sonde_str_from(better ? cases[i].better : cases[i].worse),
                                     16, better ? 8 : cases[i].worse_size,
                                     better ? cases[i].better_rank : cases[i].worse_rank,
                                     better || cases[i].worse_is_func),
                    SONDE_OK);
            }
            symbol_index_seal(&x);
            if (strcmp(symbol_index_name(&x, symbol_index_find(&x, 17)), cases[i].better) != 0)
                fail_msg("%s", cases[i].label);
            symbol_index_done(&x);
        }
    }
}

static void test_where_a_symbol_ends(void **state)
{
    symbol_index x;

    (void)state;
    symbol_index_init(&x, 65536);
    assert_status(symbol_index_add(&x, SONDE_STR("sized"), 16, 8, SYMBOL_GLOBAL, true), SONDE_OK);
    assert_status(symbol_index_add(&x, SONDE_STR("outer"), 32, 64, SYMBOL_GLOBAL, true), SONDE_OK);
    assert_status(symbol_index_add(&x, SONDE_STR("inner"), 40, 4, SYMBOL_GLOBAL, true), SONDE_OK);
    assert_status(symbol_index_add(&x, SONDE_STR("label"), 200, 0, SYMBOL_GLOBAL, false), SONDE_OK);
    assert_status(symbol_index_add(&x, SONDE_STR("$x"), 50, 1, SYMBOL_GLOBAL, true),
                  SONDE_OK); /* of arm64: no name */
    symbol_index_seal(&x);
    assert_null(symbol_index_find(&x, 15));
    assert_string_equal(symbol_index_name(&x, symbol_index_find(&x, 23)), "sized");
    assert_null(symbol_index_find(&x, 24));
    assert_string_equal(symbol_index_name(&x, symbol_index_find(&x, 43)), "inner");
    assert_string_equal(symbol_index_name(&x, symbol_index_find(&x, 50)), "outer");
    assert_string_equal(symbol_index_name(&x, symbol_index_find(&x, 9000)), "label");
    symbol_index_done(&x);
}

static void test_symbols_that_do_not_fit_are_left_out(void **state)
{
    symbol_index x;

    (void)state;
    symbol_index_init(&x, 10 * (sizeof(symbol_entry) + sizeof("name")));
    for (uint64_t i = 1; i <= 11; i++) {
        assert_status(symbol_index_add(&x, SONDE_STR("name"), i * 16, 8, SYMBOL_GLOBAL, true),
                      SONDE_OK);
        assert_int_equal(x.cut, i == 11);
    }
    symbol_index_seal(&x);
    assert_non_null(symbol_index_find(&x, 160));
    assert_null(symbol_index_find(&x, 176));
    symbol_index_done(&x);
}

static void test_names_are_made_readable(void **state)
{
    static const struct {
        const char *mangled, *want; /* NULL: stays as it is */
    } cases[] = {
        { "_ZN4shop4Cart3addERKNS_4ItemE", "shop::Cart::add(shop::Item const&)" },
        { "_ZN4shop3tax17h0123456789abcdefE", "shop::tax" }, /* Rust before v0: the hash goes */
        { "_RNvC6_123foo3bar", "123foo::bar" },              /* Rust v0, an example of its RFC */
        { "main", NULL },
        { "_start", NULL },
        { "_Z", NULL },
        { "_ZN", NULL },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_buf out;
        bool got;

        sonde_buf_init(&out, 4096);
        got = symbol_demangle(cases[i].mangled, &out);
        if (got != (cases[i].want != NULL) ||
            (got && strcmp((const char *)out.data, cases[i].want) != 0))
            fail_msg("%s: %s", cases[i].mangled, got ? (const char *)out.data : "stays");
        sonde_buf_done(&out);
    }
}

static sonde_status resolve_once(void *user)
{
    symbol_line lines[SYMBOLS_LINES_MAX];
    symbol_request r = own_file();
    symbols *s = NULL;
    symbol_object *o;
    sonde_status status = symbols_open(&(symbols_options){ .lines = true }, &s);

    (void)user;
    if (status != SONDE_OK)
        return status;
    o = symbols_get(s, &r);
    symbols_open_files(s);
    if (o)
        (void)symbols_resolve(o, own_address(), lines); /* without memory the name is missing */
    symbol_object_put(o);
    symbols_close(s);
    return SONDE_OK;
}

static void test_looking_up_survives_every_failed_allocation(void **state)
{
    (void)state;
    alloc_fail_each(resolve_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_function_is_found_by_its_address),
        cmocka_unit_test(test_locks_are_called_as_the_variables_they_lie_in),
        cmocka_unit_test(test_one_object_serves_all_who_have_it),
        cmocka_unit_test(test_another_file_than_the_one_meant_is_not_believed),
        cmocka_unit_test(test_what_is_no_regular_file_is_not_opened),
        cmocka_unit_test(test_a_map_of_generated_code_is_found_wherever_proc_is),
        cmocka_unit_test(test_indexes_make_room_and_are_made_again),
        cmocka_unit_test(test_debug_information_that_is_too_big_leaves_names),
        cmocka_unit_test(test_no_more_files_are_open_than_there_may_be),
        cmocka_unit_test(test_the_better_name_of_an_address_wins),
        cmocka_unit_test(test_where_a_symbol_ends),
        cmocka_unit_test(test_symbols_that_do_not_fit_are_left_out),
        cmocka_unit_test(test_names_are_made_readable),
        cmocka_unit_test(test_looking_up_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests_name("symbols", tests, NULL, NULL);
}
