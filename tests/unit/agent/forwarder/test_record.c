/* The file of one body: its bytes by hand, what comes back, and every way it can be cut off or changed. */
#include "support/test.h"

#include <string.h>

#include "agent/forwarder/record.h"
#include "base/hex.h"

static uint8_t body[] = { 'b', 'o', 'd', 'y' };

static upload make(void)
{
    return (upload){ .kind = UPLOAD_STATS,
                     .path = "/p",
                     .content_type = "t/x",
                     .content_encoding = "",
                     .headers = "A: 1\n",
                     .body = body,
                     .body_len = sizeof(body),
                     .items = 7,
                     .chunks = 3 };
}

/* By hand from the drawing in record.h; the checksum is CRC-32C of what follows it. */
static const char file_hex[] = "534e4453504c3031" /* SNDSPL01 */
                               "????????"         /* checksum */
                               "01000000"         /* kind */
                               "0400000000000000" /* body */
                               "0700000000000000" /* items */
                               "0300000000000000" /* chunks */
                               "00f2052a01000000" /* 5 s */
                               "02000000"         /* attempts */
                               "0200030000000500" /* lengths of texts */
                               "00000000"
                               "2f70"       /* /p */
                               "742f78"     /* t/x */
                               "413a20310a" /* A: 1\n */
                               "626f6479";  /* body */

static size_t write_file(uint8_t *file)
{
    const upload u = make();
    size_t len = record_write_prefix(&u, 5000000000, 2, file);

    memcpy(file + len, body, sizeof(body));
    return len + sizeof(body);
}

static bool read_file(const uint8_t *file, size_t len, record_facts *facts, record_texts *texts)
{
    return len >= RECORD_HEAD_BYTES && record_read_head(file, len, facts) &&
           record_check(facts, file, file + facts->prefix_len, texts);
}

static void test_a_file_is_byte_for_byte_as_drawn(void **state)
{
    uint8_t file[RECORD_PREFIX_MAX + 4];
    char hex[2 * sizeof(file) + 1] = "";
    size_t len = write_file(file), i;

    (void)state;
    sonde_hex_bytes(file, len, hex);
    assert_int_equal(2 * len, strlen(file_hex));
    for (i = 0; i < 2 * len; i++)
        if (file_hex[i] != '?' && file_hex[i] != hex[i])
            fail_msg("digit %zu: %s", i, hex);
}

static void test_what_was_written_comes_back(void **state)
{
    uint8_t file[RECORD_PREFIX_MAX + 4];
    size_t len = write_file(file);
    record_facts facts;
    record_texts texts;

    (void)state;
    assert_true(read_file(file, len, &facts, &texts));
    assert_int_equal(facts.kind, UPLOAD_STATS);
    assert_int_equal(facts.items, 7);
    assert_int_equal(facts.chunks, 3);
    assert_int_equal(facts.attempts, 2);
    assert_int_equal(facts.accepted_unix_ns, 5000000000);
    assert_int_equal(facts.body_len, 4);
    assert_string_equal(texts.text[0], "/p");
    assert_string_equal(texts.text[1], "t/x");
    assert_string_equal(texts.text[2], "");
    assert_string_equal(texts.text[3], "A: 1\n");
}

static void test_no_byte_can_be_lost_or_changed(void **state)
{
    uint8_t file[RECORD_PREFIX_MAX + 4];
    size_t len = write_file(file), i;
    record_facts facts;
    record_texts texts;
    int bit;

    (void)state;
    for (i = 0; i < len; i++) {
        if (read_file(file, i, &facts, &texts))
            fail_msg("cut at %zu", i);
        for (bit = 0; bit < 8; bit++) {
            file[i] ^= (uint8_t)(1u << bit);
            if (read_file(file, len, &facts, &texts))
                fail_msg("byte %zu bit %d", i, bit);
            file[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void test_texts_that_would_break_a_request_are_refused(void **state)
{
    static const struct {
        const char *path, *type, *headers;
        bool ok;
    } cases[] = {
        { "/p", "t", "", true },       { "/p", "t", "A: 1\nB: 2\n", true },
        { "p", "t", "", false },       { "", "t", "", false },
        { "/p\r\n", "t", "", false },  { "/p", "t\nX: y", "", false },
        { "/p", "t", "A\r\n", false },
    };
    uint8_t file[RECORD_PREFIX_MAX + 4];
    record_facts facts;
    record_texts texts;
    size_t i, len;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        upload u = make();

        u.path = cases[i].path;
        u.content_type = cases[i].type;
        memset(u.headers, 0, sizeof(u.headers));
        memcpy(u.headers, cases[i].headers, strlen(cases[i].headers));
        len = record_write_prefix(&u, 0, 0, file);
        memcpy(file + len, body, sizeof(body));
        if (read_file(file, len + sizeof(body), &facts, &texts) != cases[i].ok)
            fail_msg("case %zu", i);
    }
}

static void test_what_does_not_fit_the_form_is_not_written(void **state)
{
    char path[RECORD_TEXT_MAX + 2];
    uint8_t file[RECORD_PREFIX_MAX];
    upload u = make();

    (void)state;
    memset(path, '/', sizeof(path));
    path[RECORD_TEXT_MAX + 1] = '\0';
    u.path = path;
    assert_int_equal(record_write_prefix(&u, 0, 0, file), 0);
    path[RECORD_TEXT_MAX] = '\0';
    assert_int_not_equal(record_write_prefix(&u, 0, 0, file), 0);
    u.body_len = (size_t)RECORD_BODY_MAX + 1;
    assert_int_equal(record_write_prefix(&u, 0, 0, file), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_file_is_byte_for_byte_as_drawn),
        cmocka_unit_test(test_what_was_written_comes_back),
        cmocka_unit_test(test_no_byte_can_be_lost_or_changed),
        cmocka_unit_test(test_texts_that_would_break_a_request_are_refused),
        cmocka_unit_test(test_what_does_not_fit_the_form_is_not_written),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
