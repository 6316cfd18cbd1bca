/* What a black box says about its process, and what it may not do to the reader. */
#include "support/test.h"

#include "crash/process_block.h"

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static bool is(sonde_str have, const char *want)
{
    return sonde_str_eq(have, sonde_str_from(want));
}

static void test_fields_are_read_wherever_they_stand(void **state)
{
    static const sonde_str block = TEXT("\x86"
                                        "\xae"
                                        "schema_version"
                                        "\x02"
                                        "\xac"
                                        "service_name"
                                        "\xa3"
                                        "web"
                                        "\xa4"
                                        "tags"
                                        "\x82"
                                        "\xa4"
                                        "team"
                                        "\xa1"
                                        "a"
                                        "\xa4"
                                        "zone"
                                        "\xa2"
                                        "eu"
                                        "\xab"
                                        "service_env"
                                        "\xa4"
                                        "prod"
                                        "\xa5"
                                        "extra"
                                        "\x92\x01\xc0"
                                        "\xaf"
                                        "tracer_language"
                                        "\xa1"
                                        "c");
    sonde_process_block b;

    (void)state;
    sonde_process_block_read(&b, block);
    assert_true(is(b.service, "web"));
    assert_true(is(b.env, "prod"));
    assert_true(is(b.language, "c"));
    assert_true(is(b.runtime_id, ""));
    assert_int_equal(b.tags_len, 2);
    assert_true(is(b.tags[1].key, "zone") && is(b.tags[1].value, "eu"));
}

static void test_what_is_wrong_ends_the_reading(void **state)
{
    static const struct {
        const char *label;
        sonde_str block;
        const char *service;
    } cases[] = {
        { "nothing", TEXT(""), "" },
        { "no map", TEXT("\x93\x01\x02\x03"), "" },
        { "cut off",
          TEXT("\x82\xac"
               "service_name"
               "\xa3"
               "web"
               "\xab"
               "service_en"),
          "web" },
        { "a number for a name",
          TEXT("\x81\xac"
               "service_name"
               "\x07"),
          "" },
        { "more announced than there is",
          TEXT("\xdf\xff\xff\xff\xff\xac"
               "service_name"
               "\xa3"
               "web"),
          "" },
        { "no UTF-8",
          TEXT("\x81\xac"
               "service_name"
               "\xa2"
               "\xc3\x28"),
          "" },
        { "tags are no map",
          TEXT("\x82\xa4"
               "tags"
               "\x07"
               "\xac"
               "service_name"
               "\xa3"
               "web"),
          "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_process_block b;

        sonde_process_block_read(&b, cases[i].block);
        if (!is(b.service, cases[i].service) || b.tags_len != 0)
            fail_msg("%s: service %.*s", cases[i].label, SONDE_STR_ARG(b.service));
    }
}

static void test_tags_end_at_their_ceiling(void **state)
{
    uint8_t text[1 + 5 + 3 + 4 * 200];
    size_t len = 0;
    sonde_process_block b;
    unsigned i;

    (void)state;
    text[len++] = 0x81;
    memcpy(text + len, "\xa4tags", 5);
    len += 5;
    text[len++] = 0xde;
    text[len++] = 0;
    text[len++] = 200;
    for (i = 0; i < 200; i++) {
        text[len++] = 0xa1;
        text[len++] = (uint8_t)('a' + i % 26);
        text[len++] = 0xa1;
        text[len++] = 'v';
    }
    sonde_process_block_read(&b, (sonde_str){ (const char *)text, len });
    assert_int_equal(b.tags_len, SONDE_PROCESS_TAGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_read_wherever_they_stand),
        cmocka_unit_test(test_what_is_wrong_ends_the_reading),
        cmocka_unit_test(test_tags_end_at_their_ceiling),
    };

    return cmocka_run_group_tests_name("process_block", tests, NULL, NULL);
}
