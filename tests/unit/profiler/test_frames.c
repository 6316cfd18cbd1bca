/* Unwind information of generated code: sections that come and go, real frames stepped over, nonsense, bounds. */
#include "support/test.h"

#include <pthread.h>
#include <string.h>
#include <ucontext.h>

#include <sys/mman.h>

#include "base/clock.h"
#include "profiler/src/counts.h"
#include "profiler/src/frames.h"
#include "profiler/src/maps.h"
#include "support/alloc_fail.h"

#define SECOND ((uint64_t)SONDE_NS_PER_S)
#define PAGE   4096u

/* -- sections by hand ------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#    define SP 7
#    define RA 16
#    define FP 6
#else
#    define SP 31
#    define RA 30
#    define FP 29
#endif

/* "zR" with absolute pointers; the CFA is the stack pointer and 8, the return address 8 below it. */
static const uint8_t cie[] = { 20, 0,   0,  0, 0,    0,  0,  0, 1,         'z', 'R', 0,
                               1,  120, RA, 1, 0x00, 12, SP, 8, 0x80 | RA, 1,   0,   0 };

/* push rbp; sub rsp, 64; mov rbp, 4660; mov rax, rdi; mov rdi, rsi; call rax; add rsp, 64; pop rbp; ret */
#if defined(__x86_64__)
static const uint8_t code[] = { 0x55, 0x48, 0x83, 0xec, 0x40, 0x48, 0xc7, 0xc5, 0x34,
                                0x12, 0,    0,    0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7,
                                0xff, 0xd0, 0x48, 0x83, 0xc4, 0x40, 0x5d, 0xc3 };
#endif
static const uint8_t of_code[] = { 0x41, 14, 16, 0x80 | FP, 2,  0x44, 14, 80,
                                   0x53, 14, 16, 0x41,      14, 8,    0 };

/* A CIE, an FDE of [lo, lo + bytes) and the end; returns the length. */
static size_t make_section(uint8_t *out, uint64_t lo, uint64_t bytes)
{
    uint32_t len = 4 + 16 + 1 + sizeof(of_code), back = sizeof(cie) + 4;
    size_t at = sizeof(cie);

    memcpy(out, cie, sizeof(cie));
    memcpy(out + at, &len, 4);
    memcpy(out + at + 4, &back, 4);
    memcpy(out + at + 8, &lo, 8);
    memcpy(out + at + 16, &bytes, 8);
    out[at + 24] = 0; /* of augmentation */
    memcpy(out + at + 25, of_code, sizeof(of_code));
    memset(out + at + 4 + len, 0, 4);
    return at + 4 + len + 4;
}

static void *map_pages(size_t pages)
{
    void *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(at, MAP_FAILED);
    return at;
}

static const sonde_prof__table *table_at(uint64_t address)
{
    const sonde_prof__map *map = sonde_prof__maps_current();

    return map ? sonde_prof__map_find(map, address) : NULL;
}

static void refresh(void)
{
    static uint64_t now = SECOND;

    now += 2 * SECOND;
    assert_status(sonde_prof__maps_refresh(now), SONDE_OK);
}

static uint64_t count_full(void)
{
    return atomic_load(&sonde_prof__count.frames_full);
}

/* -- tests ------------------------------------------------------------------------------------------ */

static void a_section_has_its_table_until_it_is_taken_back(void **state)
{
    uint8_t *section = map_pages(1);
    const sonde_prof__map *held;
    uint32_t i;

    (void)state;
    (void)make_section(section, 0x100000, 0x1000);
    refresh();
    assert_null(table_at(0x100800));
    assert_status(sonde_prof__frames_add(section, 0, false), SONDE_OK);
    refresh();
    assert_non_null(table_at(0x100800));
    assert_null(table_at(0x101000));
    assert_int_equal(sonde_prof__table_find(table_at(0x100800), 0x100003)->cfa_off, 16);
    assert_true(sonde_prof__frames_table_bytes() > 0);
    assert_true(sonde_prof__maps_counted().table_bytes > sonde_prof__frames_table_bytes());

    sonde_prof__maps_enter();
    held = sonde_prof__maps_current();
    assert_false(sonde_prof__frames_remove(section)); /* nobody behind us was told */
    munmap(section, PAGE);
    for (i = 0; i < 4; i++)
        refresh();
    assert_null(table_at(0x100800));
    assert_non_null(sonde_prof__map_find(held, 0x100800)); /* under a sanitizer: still there */
    assert_int_equal(sonde_prof__map_find(held, 0x100800)->text_lo, 0x100000);
    sonde_prof__maps_leave();
    assert_int_equal(sonde_prof__frames_table_bytes(), 0);
    sonde_prof__maps_done();
}

static void who_was_told_is_told_again(void **state)
{
    static const uint8_t section[4];

    (void)state;
    assert_true(sonde_prof__frames_remove(section)); /* none of ours */
    assert_status(sonde_prof__frames_add(section, 4, true), SONDE_OK);
    assert_true(sonde_prof__frames_remove(section));
    assert_status(sonde_prof__frames_add(section, 4, true), SONDE_OK);
    assert_status(sonde_prof__frames_add(section, 4, false), SONDE_OK); /* in its place */
    assert_false(sonde_prof__frames_remove(section));
    assert_true(sonde_prof__frames_remove(section));
    assert_status(sonde_prof__frames_add(NULL, 0, true), SONDE_ERR_INVALID);
}

#if defined(__x86_64__)

typedef struct seen {
    uint64_t frames[64];
    uint32_t len;
    sonde_prof__end end;
} seen;

static void look_up_the_stack(seen *out)
{
    static const sonde_prof__stack unknown = { 0, 0, NULL };
    sonde_prof__regs regs;
    ucontext_t here;

    (void)getcontext(&here);
    regs = (sonde_prof__regs){ .pc = (uint64_t)here.uc_mcontext.gregs[REG_RIP],
                               .sp = (uint64_t)here.uc_mcontext.gregs[REG_RSP],
                               .fp = (uint64_t)here.uc_mcontext.gregs[REG_RBP] };
    out->len =
        sonde_prof__unwind(sonde_prof__maps_current(), &regs, &unknown, out->frames, 64, &out->end);
}

static void stacks_through_code_without_frame_pointers_are_whole(void **state)
{
    uint8_t *page = map_pages(1), *section = map_pages(1);
    union {
        void *object;
        void (*run)(void (*)(seen *), seen *);
    } made = { page };
    seen s;

    (void)state;
    memcpy(page, code, sizeof(code));
    assert_int_equal(mprotect(page, PAGE, PROT_READ | PROT_EXEC), 0);
    (void)make_section(section, (uint64_t)(uintptr_t)page, sizeof(code));
    refresh();
    made.run(look_up_the_stack, &s);
    assert_int_equal(s.len, 2); /* it has lost the frame pointer */
    assert_int_not_equal(s.end, SONDE_PROF__COMPLETE);

    assert_status(sonde_prof__frames_add(section, 0, true), SONDE_OK);
    refresh();
    made.run(look_up_the_stack, &s);
    assert_int_equal(s.end, SONDE_PROF__COMPLETE);
    assert_true(s.len > 3);
    assert_in_range(s.frames[1], (uint64_t)(uintptr_t)page,
                    (uint64_t)(uintptr_t)page + sizeof(code) - 1);
    assert_true(sonde_prof__maps_find(s.frames[1])->flags & SONDE_PROF__OBJECT_ANON);
    assert_true(sonde_prof__maps_find(s.frames[2])->flags & SONDE_PROF__OBJECT_MAIN);

    /* Both are given back, and nobody says so. */
    munmap(page, PAGE);
    munmap(section, PAGE);
    sonde_prof__maps_poke();
    refresh();
    (void)sonde_prof__frames_remove(section);
    sonde_prof__maps_done();
}

#endif

static void of_two_about_the_same_code_the_younger_is_believed(void **state)
{
    uint8_t *old = map_pages(1), *young = map_pages(1), *both = map_pages(1);

    (void)state;
    (void)make_section(old, 0x100000, 0x1000);
    (void)make_section(young, 0x100800, 0x1000);
    (void)make_section(both, 0x100f00, 0x2000);
    assert_status(sonde_prof__frames_add(both, 0, false), SONDE_OK);
    assert_status(sonde_prof__frames_add(old, 0, false), SONDE_OK);
    assert_status(sonde_prof__frames_add(young, 0, false), SONDE_OK);
    refresh();
    assert_null(table_at(0x100700));
    assert_int_equal(table_at(0x100900)->text_lo, 0x100800);
    assert_null(table_at(0x101900));
    (void)sonde_prof__frames_remove(young);
    refresh();
    assert_int_equal(table_at(0x100700)->text_lo, 0x100000);
    (void)sonde_prof__frames_remove(old);
    refresh();
    assert_int_equal(table_at(0x101900)->text_lo, 0x100f00);
    (void)sonde_prof__frames_remove(both);
    sonde_prof__maps_done();
}

static void an_object_is_not_covered_by_what_the_program_says(void **state)
{
    uint64_t here = (uint64_t)(uintptr_t)an_object_is_not_covered_by_what_the_program_says;
    uint8_t *section = map_pages(1);
    uint64_t text_lo;

    (void)state;
    refresh();
    text_lo = table_at(here)->text_lo;
    (void)make_section(section, here - 0x10000000, 0x20000000);
    assert_status(sonde_prof__frames_add(section, 0, false), SONDE_OK);
    refresh();
    assert_int_equal(table_at(here)->text_lo, text_lo);
    assert_true(sonde_prof__frames_table_bytes() > 0);
    (void)sonde_prof__frames_remove(section);
    sonde_prof__maps_done();
}

static void sections_that_are_none_make_no_table(void **state)
{
    uint8_t *pages = map_pages(2), *last;
    uint8_t good[128];
    size_t len = make_section(good, 0x100000, 0x1000);
    const struct {
        const char *label;
        uint8_t *at;
        bool has_table;
    } rows[] = {
        { "nothing is mapped there", (uint8_t *)(uintptr_t)0x1000, false },
        { "the end of the address space", (uint8_t *)(uintptr_t)(UINT64_MAX - 2), false },
        { "a length beyond everything", pages, false },
        { "cut off by memory that is not there", pages + PAGE - len + 8, false },
        { "without an end, before memory that is not there", pages + PAGE - len + 4, true },
    };
    uint32_t huge = 0xfffffff0;
    size_t i;

    (void)state;
    assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
    memcpy(pages, &huge, sizeof(huge));
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        last = rows[i].at;
        if (i > 2)
            memcpy(last, good, (size_t)(pages + PAGE - last));
        assert_status(sonde_prof__frames_add(last, 0, false), SONDE_OK);
        refresh();
        if ((table_at(0x100800) != NULL) != rows[i].has_table)
            fail_msg("%s", rows[i].label);
        (void)sonde_prof__frames_remove(last);
    }
    /* Of a known length nothing behind it is looked at. */
    memcpy(pages, good, len);
    assert_status(sonde_prof__frames_add(pages, sizeof(cie), false), SONDE_OK);
    refresh();
    assert_null(table_at(0x100800));
    (void)sonde_prof__frames_remove(pages);
    munmap(pages, 2 * (size_t)PAGE);
    sonde_prof__maps_done();
}

static void more_sections_than_fit_are_refused_and_counted(void **state)
{
    uint8_t *room = map_pages(SONDE_PROF__SECTIONS_MAX / PAGE + 2);
    uint64_t before = count_full();
    uint32_t i;

    (void)state;
    for (i = 0; i < SONDE_PROF__SECTIONS_MAX; i++)
        assert_status(sonde_prof__frames_add(room + i, 1, false), SONDE_OK);
    assert_status(sonde_prof__frames_add(room + i, 1, false), SONDE_ERR_FULL);
    assert_int_equal(count_full(), before + 1);
    assert_status(sonde_prof__frames_add(room, 2, false), SONDE_OK); /* in place of one */
    refresh();
    for (i = 0; i < SONDE_PROF__SECTIONS_MAX; i++)
        assert_false(sonde_prof__frames_remove(room + i));
    refresh();
    assert_int_equal(sonde_prof__frames_len(), 0);
    munmap(room, (SONDE_PROF__SECTIONS_MAX / PAGE + 2) * (size_t)PAGE);
    sonde_prof__maps_done();
}

/* A table has four bytes for each 64 KiB from its first instruction to its last. */
static void more_tables_than_fit_are_left_out_and_counted(void **state)
{
    enum { SECTIONS = 200 };
    uint8_t *sections = map_pages(SECTIONS);
    uint64_t before = count_full();
    uint32_t i;

    (void)state;
    for (i = 0; i < SECTIONS; i++) {
        (void)make_section(sections + i * PAGE, 0x100000 + ((uint64_t)i << 32), 0x80000000);
        assert_status(sonde_prof__frames_add(sections + i * PAGE, 0, false), SONDE_OK);
    }
    refresh();
    assert_in_range(sonde_prof__frames_table_bytes(),
                    SONDE_PROF__SECTION_TABLES_MAX - (size_t)1024 * 1024,
                    SONDE_PROF__SECTION_TABLES_MAX);
    assert_true(count_full() > before);
    assert_non_null(table_at(0x100800));
    for (i = 0; i < SECTIONS; i++)
        (void)sonde_prof__frames_remove(sections + i * PAGE);
    refresh();
    assert_int_equal(sonde_prof__frames_table_bytes(), 0);
    munmap(sections, SECTIONS * (size_t)PAGE);
    sonde_prof__maps_done();
}

static void a_section_is_read_up_to_its_ceiling(void **state)
{
    size_t pages = SONDE_PROF__SECTION_BYTES_MAX / PAGE + 8, at = 0, len;
    uint8_t *section = map_pages(pages);
    uint64_t lo = 0x100000, first = lo;

    (void)state;
    while (at + 200 < pages * PAGE) {
        len = make_section(section + at, lo, 0x20);
        at += len - 4;
        lo += 0x20;
    }
    assert_status(sonde_prof__frames_add(section, 0, false), SONDE_OK);
    refresh();
    assert_non_null(table_at(first));
    assert_null(table_at(lo - 1));
    (void)sonde_prof__frames_remove(section);
    munmap(section, pages * PAGE);
    sonde_prof__maps_done();
}

/* -- together --------------------------------------------------------------------------------------- */

static atomic_bool is_over;

static void *comes_and_goes(void *user)
{
    static const size_t rounds = 300;
    uint64_t lo = 0x100000 + ((uint64_t)(uintptr_t)user << 20);
    size_t i;

    for (i = 0; i < rounds; i++) {
        void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (at == MAP_FAILED)
            return NULL;
        (void)make_section(at, lo, 0x1000);
        (void)sonde_prof__frames_add(at, 0, false);
        (void)sonde_prof__frames_remove(at);
        (void)munmap(at, PAGE);
    }
    return NULL;
}

static void *walks(void *user)
{
    uint64_t found = 0;

    while (!atomic_load(&is_over)) {
        sonde_prof__maps_enter();
        found += table_at(0x100800) ? table_at(0x100800)->rows_len : 0;
        sonde_prof__maps_leave();
    }
    return (void *)(uintptr_t)(found + (uintptr_t)user);
}

static void threads_register_while_others_walk(void **state)
{
    pthread_t jits[3], walker;
    uintptr_t i;

    (void)state;
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&walker, NULL, walks, NULL), 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&jits[i], NULL, comes_and_goes, (void *)i), 0);
    for (i = 0; i < 50; i++)
        refresh();
    for (i = 0; i < 3; i++)
        pthread_join(jits[i], NULL);
    atomic_store(&is_over, true);
    pthread_join(walker, NULL);
    refresh();
    assert_int_equal(sonde_prof__frames_table_bytes(), 0);
    sonde_prof__maps_done();
}

static sonde_status refresh_once(void *user)
{
    sonde_status status;

    sonde_prof__maps_done();
    status = sonde_prof__maps_refresh(SECOND);
    (void)user;
    sonde_prof__maps_done();
    return status;
}

static void no_memory_leaves_nothing_behind(void **state)
{
    uint8_t *sections = map_pages(2);

    (void)state;
    (void)make_section(sections, 0x100000, 0x1000);
    (void)make_section(sections + PAGE, 0x200000, 0x1000);
    assert_status(sonde_prof__frames_add(sections, 0, false), SONDE_OK);
    assert_status(sonde_prof__frames_add(sections + PAGE, 0, false), SONDE_OK);
    alloc_fail_each(refresh_once, NULL);
    (void)sonde_prof__frames_remove(sections);
    (void)sonde_prof__frames_remove(sections + PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_has_its_table_until_it_is_taken_back),
        cmocka_unit_test(who_was_told_is_told_again),
#if defined(__x86_64__)
        cmocka_unit_test(stacks_through_code_without_frame_pointers_are_whole),
#endif
        cmocka_unit_test(of_two_about_the_same_code_the_younger_is_believed),
        cmocka_unit_test(an_object_is_not_covered_by_what_the_program_says),
        cmocka_unit_test(sections_that_are_none_make_no_table),
        cmocka_unit_test(more_sections_than_fit_are_refused_and_counted),
        cmocka_unit_test(more_tables_than_fit_are_left_out_and_counted),
        cmocka_unit_test(a_section_is_read_up_to_its_ceiling),
        cmocka_unit_test(threads_register_while_others_walk),
        cmocka_unit_test(no_memory_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
