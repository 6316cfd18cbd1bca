/* support/test.h - cmocka with the headers it wants, in the order it wants them. */
#ifndef SONDE_TESTS_SUPPORT_TEST_H
#define SONDE_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sonde/status.h"

/* Checks a status and names both in the failure. */
#define assert_status(got, want)                                                                   \
    do {                                                                                           \
        sonde_status status_got_ = (got), status_want_ = (want);                                   \
        if (status_got_ != status_want_)                                                           \
            fail_msg("%s: got %s, want %s", #got, sonde_status_name(status_got_),                  \
                     sonde_status_name(status_want_));                                             \
    } while (0)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif /* SONDE_TESTS_SUPPORT_TEST_H */
