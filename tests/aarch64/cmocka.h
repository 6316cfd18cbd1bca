/* cmocka.h - the few words of cmocka our unwinder's tests use, for machines it is not installed for. */
#ifndef SONDE_TESTS_TINY_CMOCKA_H
#define SONDE_TESTS_TINY_CMOCKA_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

static jmp_buf tiny_end;

#define tiny_fail_()                                                                               \
    do {                                                                                           \
        printf("%s:%d: failure\n", __FILE__, __LINE__);                                            \
        longjmp(tiny_end, 1);                                                                      \
    } while (0)
#define fail_msg(...)      (printf(__VA_ARGS__), printf("\n"), longjmp(tiny_end, 1))
#define print_message(...) ((void)printf(__VA_ARGS__))
#define skip()             longjmp(tiny_end, 2)
#define assert_true(x)                                                                             \
    do {                                                                                           \
        if (!(x))                                                                                  \
            tiny_fail_();                                                                          \
    } while (0)
#define assert_false(x)              assert_true(!(x))
#define assert_null(x)               assert_true(!(x))
#define assert_non_null(x)           assert_true(x)
#define assert_int_equal(a, b)       assert_true((unsigned long long)(a) == (unsigned long long)(b))
#define assert_int_not_equal(a, b)   assert_true((unsigned long long)(a) != (unsigned long long)(b))
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)
#define cmocka_unit_test(f)                                                                        \
    {                                                                                              \
#        f, f                                                                                      \
    }
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                  \
    tiny_run(name, tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

/* 0 good, 1 failed, 2 skipped. */
static inline int tiny_run_one(const struct CMUnitTest *test, void **state)
{
    int how = setjmp(tiny_end);

    if (how == 0)
        test->run(state);
    return how;
}

static inline int tiny_run(const char *name, const struct CMUnitTest *tests, size_t len,
                           int (*setup)(void **), int (*teardown)(void **))
{
    static const char *const words[] = { "ok", "FAILED", "skipped" };
    void *state = NULL;
    int failed = 0, how;
    size_t i;

    (void)setvbuf(stdout, NULL, _IONBF, 0); /* a crash leaves what was said before it */
    if (setup)
        (void)setup(&state);
    for (i = 0; i < len; i++) {
        how = tiny_run_one(&tests[i], &state);
        printf("%s %s.%s\n", words[how], name, tests[i].name);
        failed += how == 1;
    }
    if (teardown)
        (void)teardown(&state);
    printf("%zu passed, %d failed\n", len - (size_t)failed, failed);
    return failed ? 1 : 0;
}

#endif /* SONDE_TESTS_TINY_CMOCKA_H */
