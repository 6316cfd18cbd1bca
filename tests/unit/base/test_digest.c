/* test_digest.c - base/digest.h against published test vectors.
 *
 * Sources   FNV: the reference vectors of the algorithm's authors; CRC: the check value over
 *           "123456789" in the catalogue of CRC parameters, RFC 3720 B.4; SHA-256: FIPS 180-4 examples. */
#include "support/test.h"

#include <string.h>

#include "base/digest.h"
#include "base/hex.h"

static void test_fnv1a_matches_the_reference(void **state)
{
    (void)state;
    assert_int_equal(sonde_fnv1a32(SONDE_FNV1A32_INIT, "", 0), 0x811c9dc5u);
    assert_int_equal(sonde_fnv1a32(SONDE_FNV1A32_INIT, "foobar", 6), 0xbf9cf968u);
    assert_int_equal(sonde_fnv1a64(SONDE_FNV1A64_INIT, "", 0), 0xcbf29ce484222325u);
    assert_int_equal(sonde_fnv1a64(SONDE_FNV1A64_INIT, "foobar", 6), 0x85944171f73967e8u);
}

static void test_crc_matches_the_check_values_and_continues(void **state)
{
    static const uint8_t zeros[32];

    (void)state;
    assert_int_equal(sonde_crc32(0, "123456789", 9), 0xcbf43926u);
    assert_int_equal(sonde_crc32(sonde_crc32(0, "1234", 4), "56789", 5), 0xcbf43926u);
    assert_int_equal(sonde_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(sonde_crc32c(0, zeros, sizeof(zeros)), 0x8a9136aau);
}

static void test_sha256_matches_the_standard(void **state)
{
    static char million[1000000];
    static const struct {
        const char *label, *in;
        size_t len;
        const char *want;
    } cases[] = {
        { "empty", "", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        { "abc", "abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
        { "two blocks", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
        { "a million a", million, sizeof(million),
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
    };
    size_t i;

    (void)state;
    memset(million, 'a', sizeof(million));
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint8_t digest[32];
        char text[65] = "";

        sonde_sha256(cases[i].in, cases[i].len, digest);
        sonde_hex_bytes(digest, sizeof(digest), text);
        if (strcmp(text, cases[i].want) != 0)
            fail_msg("%s: got %s", cases[i].label, text);
    }
}

/* No outside truth: what a table needs is that every byte, its place and the length matter. */
static void test_hash_tells_near_inputs_apart(void **state)
{
    enum { LENGTHS = 40 };
    static const uint8_t zeros[LENGTHS];
    uint64_t seen[LENGTHS * 9];
    size_t len, at, i, j, count = 0;

    (void)state;
    for (len = 0; len < LENGTHS; len++)
        seen[count++] = sonde_hash(1, zeros, len);
    for (at = 0; at < LENGTHS; at++) {
        uint8_t data[LENGTHS] = { 0 };
        int bit;

        for (bit = 0; bit < 8; bit++) {
            data[at] = (uint8_t)(1 << bit);
            seen[count++] = sonde_hash(1, data, LENGTHS);
        }
    }
    for (i = 0; i < count; i++) {
        for (j = 0; j < i; j++)
            assert_int_not_equal(seen[i], seen[j]);
    }
    assert_int_not_equal(sonde_hash(1, "key", 3), sonde_hash(2, "key", 3));
}

static void test_hash_spreads_numbered_keys_over_low_bits(void **state)
{
    enum { KEYS = 65536, BUCKETS = 1024 };
    static unsigned buckets[BUCKETS];
    unsigned i, fullest = 0;

    (void)state;
    for (i = 0; i < KEYS; i++)
        buckets[sonde_hash(0, &i, sizeof(i)) % BUCKETS]++;
    for (i = 0; i < BUCKETS; i++)
        fullest = buckets[i] > fullest ? buckets[i] : fullest;

    assert_in_range(fullest, 64, 110); /* 64 on average; random would stay below about 100 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fnv1a_matches_the_reference),
        cmocka_unit_test(test_crc_matches_the_check_values_and_continues),
        cmocka_unit_test(test_sha256_matches_the_standard),
        cmocka_unit_test(test_hash_tells_near_inputs_apart),
        cmocka_unit_test(test_hash_spreads_numbered_keys_over_low_bits),
    };

    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
