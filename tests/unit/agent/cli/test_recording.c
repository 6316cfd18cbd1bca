/* test_recording.c - entries come back as they went in; damage is noticed; cut files are good up to there. */
#include "agent/cli/recording.h"

#include <string.h>

#include "base/digest.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static const recording_entry entries[] = {
    { 5, { "PUT", 3 }, { "/v0.4/traces", 12 }, { "A: b\nC: d\n", 10 }, { "\0body", 5 } },
    { UINT64_C(1) << 40, { "POST", 4 }, { "/x", 2 }, { NULL, 0 }, { NULL, 0 } },
};

static void write_all(sonde_buf *out)
{
    recording_write_head(out, 1234567890123456789);
    for (size_t i = 0; i < COUNT_OF(entries); i++)
        recording_write_entry(out, &entries[i]);
}

static void test_what_was_written_is_read(void **state)
{
    recording_reader r;
    recording_entry e;
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 4096);
    write_all(&b);
    assert_status(recording_open(&r, sonde_buf_str(&b), NULL), SONDE_OK);
    assert_true(r.began_unix_ns == 1234567890123456789);
    for (size_t i = 0; i < COUNT_OF(entries); i++) {
        assert_status(recording_next(&r, &e), SONDE_OK);
        assert_true(e.at_ns == entries[i].at_ns);
        assert_true(sonde_str_eq(e.method, entries[i].method));
        assert_true(sonde_str_eq(e.path, entries[i].path));
        assert_true(sonde_str_eq(e.headers, entries[i].headers));
        assert_true(sonde_str_eq(e.body, entries[i].body));
    }
    assert_status(recording_next(&r, &e), SONDE_ERR_EOF);
    sonde_buf_done(&b);
}

/* By hand: magic, version, time, and the entry's lengths; the checksums are CRC-32C of what they cover. */
static void test_the_bytes_are_those_of_the_format(void **state)
{
    static const uint8_t head[] = { 'S', 'O', 'N', 'D', 'E', 'R', 'E', 'C', 1, 0,
                                    0,   0,   2,   1,   0,   0,   0,   0,   0, 0 };
    static const uint8_t body[] = { 7, 0, 0, 0, 0, 0, 0, 0, 1,   0,   2,   0,
                                    0, 0, 0, 0, 1, 0, 0, 0, 'M', '/', 'p', 'b' };
    const recording_entry e = { 7, { "M", 1 }, { "/p", 2 }, { NULL, 0 }, { "b", 1 } };
    uint32_t crc;
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 4096);
    recording_write_head(&b, 0x102);
    recording_write_entry(&b, &e);
    assert_int_equal(b.len, 24 + 8 + sizeof(body));
    assert_memory_equal(b.data, head, sizeof(head));
    crc = sonde_crc32c(0, head, sizeof(head));
    assert_memory_equal(b.data + 20, &crc, 4);
    assert_int_equal(b.data[24], sizeof(body));
    crc = sonde_crc32c(0, body, sizeof(body));
    assert_memory_equal(b.data + 28, &crc, 4);
    assert_memory_equal(b.data + 32, body, sizeof(body));
    sonde_buf_done(&b);
}

static void test_every_damaged_byte_is_noticed(void **state)
{
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 4096);
    write_all(&b);
    for (size_t i = 0; i < b.len; i++) {
        recording_reader r;
        recording_entry e;
        size_t good = 0;

        b.data[i] ^= 1;
        if (recording_open(&r, sonde_buf_str(&b), NULL) == SONDE_OK)
            while (recording_next(&r, &e) == SONDE_OK)
                good++;
        b.data[i] ^= 1;
        if (good == COUNT_OF(entries))
            fail_msg("byte %zu", i);
    }
    sonde_buf_done(&b);
}

static void test_a_cut_file_is_good_up_to_there(void **state)
{
    size_t last = 0;
    sonde_buf b;

    (void)state;
    sonde_buf_init(&b, 4096);
    write_all(&b);
    for (size_t len = RECORDING_HEAD_LEN; len <= b.len; len++) {
        recording_reader r;
        recording_entry e;
        sonde_status status;
        size_t good = 0;

        assert_status(recording_open(&r, sonde_str_sub(sonde_buf_str(&b), 0, len), NULL), SONDE_OK);
        while ((status = recording_next(&r, &e)) == SONDE_OK)
            good++;
        assert_status(status, SONDE_ERR_EOF);
        assert_true(good >= last);
        last = good;
    }
    assert_int_equal(last, COUNT_OF(entries));
    sonde_buf_done(&b);
}

static void test_other_files_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *label;
        sonde_str file;
        const char *says;
    } cases[] = {
        { "nothing", { "", 0 }, "not a recording" },
        { "text", { "a file of another kind, long enough", 35 }, "not a recording" },
        { "a head only in part", { "SONDEREC\1\0\0\0", 12 }, "not a recording" },
        { "a damaged head", { "SONDEREC\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24 }, "damaged" },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        sonde_error error = { 0 };
        recording_reader r;

        if (recording_open(&r, cases[i].file, &error) != SONDE_ERR_SYNTAX ||
            !strstr(error.message, cases[i].says))
            fail_msg("%s: %s", cases[i].label, error.message);
    }
}

static void test_headers_are_taken_line_by_line(void **state)
{
    sonde_str headers = SONDE_STR("A: b\nC:d:e\nnone\n"), name, value;

    (void)state;
    assert_true(recording_header(&headers, &name, &value));
    assert_true(sonde_str_eq(name, SONDE_STR("A")) && sonde_str_eq(value, SONDE_STR("b")));
    assert_true(recording_header(&headers, &name, &value));
    assert_true(sonde_str_eq(name, SONDE_STR("C")) && sonde_str_eq(value, SONDE_STR("d:e")));
    assert_true(recording_header(&headers, &name, &value));
    assert_true(sonde_str_eq(name, SONDE_STR("none")) && value.len == 0);
    assert_false(recording_header(&headers, &name, &value));
}

static sonde_status write_without_memory(void *user)
{
    sonde_status status;
    sonde_buf b;

    (void)user;
    sonde_buf_init(&b, 4096);
    write_all(&b);
    status = b.status;
    sonde_buf_done(&b);
    return status;
}

static void test_writing_copes_without_memory(void **state)
{
    (void)state;
    alloc_fail_each(write_without_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_written_is_read),
        cmocka_unit_test(test_the_bytes_are_those_of_the_format),
        cmocka_unit_test(test_every_damaged_byte_is_noticed),
        cmocka_unit_test(test_a_cut_file_is_good_up_to_there),
        cmocka_unit_test(test_other_files_are_refused_with_a_reason),
        cmocka_unit_test(test_headers_are_taken_line_by_line),
        cmocka_unit_test(test_writing_copes_without_memory),
    };

    return cmocka_run_group_tests_name("agent/cli/recording", tests, NULL, NULL);
}
