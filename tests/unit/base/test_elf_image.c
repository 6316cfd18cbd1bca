/* test_elf_image.c - base/elf_image.h, against what the loader says of this process. */
#include "support/test.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/elf_image.h"

typedef struct wanted {
    const char *part; /* of the name of its file */
    struct dl_phdr_info info;
    uint64_t lo, hi; /* run-time addresses */
} wanted;

static int look(struct dl_phdr_info *o, size_t size, void *user)
{
    wanted *w = user;
    int i;

    (void)size;
    if (!strstr(o->dlpi_name, w->part))
        return 0;
    w->info = *o;
    w->lo = UINT64_MAX;
    for (i = 0; i < o->dlpi_phnum; i++) {
        uint64_t lo = o->dlpi_addr + o->dlpi_phdr[i].p_vaddr, hi = lo + o->dlpi_phdr[i].p_memsz;

        if (o->dlpi_phdr[i].p_type == PT_LOAD && lo < w->lo)
            w->lo = lo;
        if (o->dlpi_phdr[i].p_type == PT_LOAD && hi > w->hi)
            w->hi = hi;
    }
    return 1;
}

static wanted find(const char *part)
{
    wanted w = { .part = part };

    assert_int_equal(dl_iterate_phdr(look, &w), 1);
    return w;
}

static uint64_t by_loader(const char *name)
{
    return (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, name);
}

static const char *const functions[] = { "malloc",         "free",   "poll",
                                         "pthread_create", "dlopen", "nanosleep" };

static void test_functions_are_where_the_loader_finds_them(void **state)
{
    wanted libc = find("libc.so");
    sonde_elf_image e;
    size_t i;

    (void)state;
    assert_true(
        sonde_elf_open_loaded(&e, libc.info.dlpi_phdr, libc.info.dlpi_phnum, libc.info.dlpi_addr));
    for (i = 0; i < COUNT_OF(functions); i++) {
        uint64_t at = sonde_elf_function(&e, functions[i]);

        if (at ==
            0) /* with a C library of before 2.34 some are elsewhere, with a sanitizer another one is first */
            continue;
        assert_true(sonde_elf_covers(&e, at));
        if (sonde_elf_covers(&e, by_loader(functions[i])))
            assert_int_equal(at, by_loader(functions[i]));
    }
    assert_int_not_equal(sonde_elf_function(&e, "malloc"), 0);
    assert_int_equal(sonde_elf_function(&e, "no_such_function"), 0);
    assert_int_equal(sonde_elf_function(&e, "environ"), 0); /* data */
    assert_false(sonde_elf_covers(&e, libc.lo - 1));
    assert_false(sonde_elf_covers(&e, (uint64_t)(uintptr_t)&e));
}

/* As of another process: holes between the segments stay as they are. */
static uint8_t *copy(const wanted *w)
{
    size_t len = w->hi - w->lo, at;
    uint8_t *bytes = sonde_calloc(1, len);

    assert_non_null(bytes);
    for (at = 0; at < len; at += 4096) {
        size_t n = len - at < 4096 ? len - at : 4096;
        struct iovec to = { bytes + at, n }, from = { (void *)(uintptr_t)(w->lo + at), n };

        (void)process_vm_readv(getpid(), &to, 1, &from, 1, 0);
    }
    return bytes;
}

static void test_a_copy_says_the_same_and_a_short_one_nothing_wrong(void **state)
{
    wanted libc = find("libc.so");
    uint8_t *bytes = copy(&libc);
    sonde_elf_image here, there;
    size_t i;

    (void)state;
    assert_true(sonde_elf_open_loaded(&here, libc.info.dlpi_phdr, libc.info.dlpi_phnum,
                                      libc.info.dlpi_addr));
    assert_true(sonde_elf_open_copy(&there, bytes, libc.hi - libc.lo, libc.lo));
    for (i = 0; i < COUNT_OF(functions); i++)
        assert_int_equal(sonde_elf_function(&there, functions[i]),
                         sonde_elf_function(&here, functions[i]));
    assert_false(sonde_elf_open_copy(&there, bytes, 63, libc.lo));
    /* where its dynamic section is not */
    assert_false(sonde_elf_open_copy(&there, bytes, 4096, libc.lo));
    sonde_free(bytes);
}

static void count(void *user, const sonde_elf_slot *slot)
{
    size_t *n = user;

    *n += strcmp(slot->name, "malloc") == 0;
    assert_int_equal(slot->at % 8, 0);
}

/* What an object claims to have beyond its segments is not read: pages behind them would fault. */
static void test_tables_that_lie_are_read_as_far_as_they_are_there(void **state)
{
    wanted libc = find("libc.so");
    uint8_t *bytes = copy(&libc);
    sonde_elf_image e;
    size_t honest = 0, n = 0;

    (void)state;
    assert_true(sonde_elf_open_copy(&e, bytes, libc.hi - libc.lo, libc.lo));
    sonde_elf_each_slot(&e, count, &honest);
    assert_int_not_equal(honest, 0);
    e.rela_bytes[0] = e.rela_bytes[1] = e.strtab_bytes = UINT64_MAX;
    sonde_elf_each_slot(&e, count, &n);
    e.strtab_bytes = 0;
    assert_int_equal(sonde_elf_function(&e, "malloc"), 0);
    e.gnu_hash = e.hi - 4;
    e.symtab = UINT64_MAX - 8;
    assert_int_equal(sonde_elf_function(&e, "malloc"), 0);
    sonde_elf_each_slot(&e, count, &n);
    sonde_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions_are_where_the_loader_finds_them),
        cmocka_unit_test(test_a_copy_says_the_same_and_a_short_one_nothing_wrong),
        cmocka_unit_test(test_tables_that_lie_are_read_as_far_as_they_are_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
