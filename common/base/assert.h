/* base/assert.h - programming errors.
 *
 * SONDE_ASSERT(cond) states an invariant: aborts with file and line in debug builds (no NDEBUG) and
 * in every build of the tests; costs nothing in release builds.
 * SONDE_CHECK(cond, fallback) is for libraries in foreign processes: never aborts in release builds,
 * counts `internal_errors`, and takes the fallback statement (for instance `return NULL`).
 * Input from outside is never asserted, always handled. */
#ifndef SONDE_BASE_ASSERT_H
#define SONDE_BASE_ASSERT_H

#include <stdint.h>

void sonde_assert_failed(const char *cond, const char *file, int line)
    __attribute__((noreturn, cold));
void sonde_internal_error(const char *cond, const char *file, int line) __attribute__((cold));
uint64_t sonde_internal_errors(void); /* how often SONDE_CHECK took its fallback in this process */

/* clang-format off */
#ifndef NDEBUG
#    define SONDE_ASSERT(cond) ((cond) ? (void)0 : sonde_assert_failed(#cond, __FILE__, __LINE__))
#else
#    define SONDE_ASSERT(cond) ((void)sizeof(!(cond)))
#endif
/* clang-format on */

#define SONDE_CHECK(cond, fallback)                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0)) {                                                        \
            sonde_internal_error(#cond, __FILE__, __LINE__);                                       \
            fallback;                                                                              \
        }                                                                                          \
    } while (0)

#endif /* SONDE_BASE_ASSERT_H */
