/* test_keys.c - every known key is found, and nothing else. */
#include "agent/otlp/keys.h"
#include "support/test.h"

static void every_known_key_is_found(void **state)
{
    (void)state;
    for (int k = 1; k < OTLP_KEYS; k++) {
        sonde_str key = otlp_key_text((otlp_key)k);

        if (otlp_key_of(key) != (otlp_key)k)
            fail_msg("%.*s is not found", (int)key.len, key.ptr);
        if (k > 1)
            assert_true(key.len >= otlp_key_text((otlp_key)(k - 1)).len);
    }
}

static void other_keys_are_other(void **state)
{
    static const char *const keys[] = { "",        "a",         "db.namf",
                                        "url.ful", "url.fulll", "http.request.header.referrer2" };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_int_equal(otlp_key_of(sonde_str_from(keys[i])), OTLP_KEY_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_key_is_found),
        cmocka_unit_test(other_keys_are_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
