/* test_frame.c - one length-prefixed message, however it is cut. */
#include "net/grpc/frame.h"

#include "support/alloc_fail.h"
#include "support/test.h"

#define MAX_BYTES 16

static sonde_status feed(grpc_frame *f, const char *bytes, size_t len, size_t step)
{
    sonde_status status = SONDE_OK;

    for (size_t at = 0; status == SONDE_OK && at < len; at += step)
        status = grpc_frame_feed(f, (sonde_str){ bytes + at, step < len - at ? step : len - at });
    return status;
}

static void a_message_is_the_same_however_it_is_cut(void **state)
{
    static const char bytes[] = "\1\0\0\0\5hello";

    (void)state;
    for (size_t step = 1; step < sizeof(bytes); step++) {
        grpc_frame f;

        grpc_frame_init(&f, MAX_BYTES);
        assert_false(grpc_frame_is_whole(&f));
        assert_status(feed(&f, bytes, sizeof(bytes) - 1, step), SONDE_OK);
        assert_true(grpc_frame_is_whole(&f));
        assert_true(grpc_frame_is_packed(&f));
        assert_true(sonde_str_eq(sonde_buf_str(&f.message), SONDE_STR("hello")));
        grpc_frame_done(&f);
    }
}

static void what_is_no_message_is_refused(void **state)
{
    static const struct {
        const char *label, *bytes;
        size_t len;
        sonde_status want;
        bool is_whole;
    } rows[] = {
        { "nothing", "", 0, SONDE_OK, false },
        { "half a prefix", "\0\0\0", 3, SONDE_OK, false },
        { "the empty message", "\0\0\0\0\0", 5, SONDE_OK, true },
        { "cut off", "\0\0\0\0\2x", 6, SONDE_OK, false },
        { "unknown flag", "\2\0\0\0\0", 5, SONDE_ERR_SYNTAX, false },
        { "at the ceiling", "\0\0\0\0\20", 5, SONDE_OK, false },
        { "above the ceiling", "\0\0\0\0\21", 5, SONDE_ERR_TOO_BIG, false },
        { "four gibibytes", "\0\377\377\377\377", 5, SONDE_ERR_TOO_BIG, false },
        { "a byte too many", "\0\0\0\0\1xy", 7, SONDE_ERR_SYNTAX, false },
        { "a second message", "\0\0\0\0\1x\0\0\0\0\0", 11, SONDE_ERR_SYNTAX, false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        grpc_frame f;
        sonde_status got;

        grpc_frame_init(&f, MAX_BYTES);
        got = grpc_frame_feed(&f, (sonde_str){ rows[i].bytes, rows[i].len });
        if (got != rows[i].want || (got == SONDE_OK && grpc_frame_is_whole(&f) != rows[i].is_whole))
            fail_msg("%s: %s", rows[i].label, sonde_status_name(got));
        grpc_frame_done(&f);
    }
}

static void a_prefix_is_flag_and_length(void **state)
{
    uint8_t prefix[GRPC_PREFIX_LEN];

    (void)state;
    grpc_frame_put_prefix(0x01020304, prefix);
    assert_memory_equal(prefix, "\0\1\2\3\4", 5);
}

static sonde_status without_memory(void *user)
{
    grpc_frame f;
    sonde_status status;

    (void)user;
    grpc_frame_init(&f, MAX_BYTES);
    status = grpc_frame_feed(&f, (sonde_str){ "\0\0\0\0\5hello", 10 });
    grpc_frame_done(&f);
    return status;
}

static void it_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(without_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_the_same_however_it_is_cut),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_prefix_is_flag_and_length),
        cmocka_unit_test(it_copes_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
