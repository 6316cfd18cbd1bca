/* Our gzip, read by zlib: what comes out is what went in, and it is smaller where it can be. */
#include "support/test.h"

#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "codec/compress/compress.h"
#include "codec/gzip_write.h"
#include "support/alloc_fail.h"

#define MAX_BYTES ((size_t)4 << 20)

/* Bytes of the packed form. */
static size_t there_and_back(const char *what, sonde_str content)
{
    sonde_buf packed, plain;
    size_t len;

    sonde_buf_init(&packed, MAX_BYTES);
    sonde_buf_init(&plain, MAX_BYTES);
    sonde_gzip_write(&packed, content);
    assert_status(packed.status, SONDE_OK);
    if (sonde_decompress(SONDE_ENCODING_GZIP, sonde_buf_str(&packed), &plain) != SONDE_OK)
        fail_msg("%s: zlib does not read it", what);
    if (!sonde_str_eq(sonde_buf_str(&plain), content))
        fail_msg("%s: came back as something else", what);
    len = packed.len;
    sonde_buf_done(&packed);
    sonde_buf_done(&plain);
    return len;
}

static void texts_of_every_length_come_back(void **state)
{
    char text[700];
    size_t i, len;

    (void)state;
    for (i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i % 7);
    for (len = 0; len < sizeof(text); len++)
        (void)there_and_back("a repeated text", (sonde_str){ text, len });
}

static void every_byte_and_every_distance_comes_back(void **state)
{
    enum { LEN = 100000 };
    char *text = (char *)sonde_malloc(LEN);
    sonde_rng r;
    size_t i, at;

    (void)state;
    sonde_rng_seed(&r, 5);
    for (i = 0; i < LEN; i++)
        text[i] = (char)i;
    assert_true(there_and_back("counting bytes", (sonde_str){ text, LEN }) < LEN / 20);
    for (i = 0; i < LEN; i++)
        text[i] = (char)sonde_rng_next(&r);
    for (at = 4; at < 33000; at += at / 3 + 1) /* four bytes again, that far behind */
        memcpy(text + 40000 + at, text + 40000, 4);
    (void)there_and_back("noise with echoes", (sonde_str){ text, LEN });
    sonde_free(text);
}

static void noise_is_stored(void **state)
{
    enum { LEN = 200000 };
    char *text = (char *)sonde_malloc(LEN);
    sonde_rng r;
    size_t i;

    (void)state;
    sonde_rng_seed(&r, 6);
    for (i = 0; i < LEN; i++)
        text[i] = (char)sonde_rng_next(&r);
    assert_int_equal(there_and_back("noise", (sonde_str){ text, LEN }), LEN + 18 + 5 * 4);
    sonde_free(text);
}

static void long_runs_shrink_to_almost_nothing(void **state)
{
    enum { LEN = 1000000 };
    char *text = (char *)sonde_calloc(1, LEN);

    (void)state;
    assert_true(there_and_back("zeros", (sonde_str){ text, LEN }) < LEN / 100);
    sonde_free(text);
}

static sonde_status write_once(void *user)
{
    sonde_status status;
    sonde_buf b;

    (void)user;
    sonde_buf_init(&b, 1000);
    sonde_gzip_write(&b, SONDE_STR("some text, some text"));
    status = b.status;
    sonde_buf_done(&b);
    return status;
}

static void no_memory_is_the_buffers_status(void **state)
{
    (void)state;
    alloc_fail_each(write_once, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_every_length_come_back),
        cmocka_unit_test(every_byte_and_every_distance_comes_back),
        cmocka_unit_test(noise_is_stored),
        cmocka_unit_test(long_runs_shrink_to_almost_nothing),
        cmocka_unit_test(no_memory_is_the_buffers_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
