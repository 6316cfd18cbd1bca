/* test_blackbox_process.c - what the black box says of its process, at its limits. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include <msgpack.h>

#include "libtrace/src/blackbox_process.h"
#include "support/alloc_fail.h"

static const char *nothing(void *user, const char *name)
{
    (void)user, (void)name;
    return NULL;
}

static sonde__config *make(const char *tags, const char *version)
{
    sonde_options o = { .service = "s", .version = version, .tags = tags };
    sonde__config *c = sonde__config_new(&o, nothing, NULL);

    assert_non_null(c);
    return c;
}

/* Of a map with text keys; the number of tags in it, or -1: it is no such map. */
static int tags_in(const uint8_t *bytes, size_t len)
{
    msgpack_unpacked u;
    int tags = -1;
    size_t end = 0;
    uint32_t i;

    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, (const char *)bytes, len, &end) == MSGPACK_UNPACK_SUCCESS &&
        end == len && u.data.type == MSGPACK_OBJECT_MAP) {
        const msgpack_object_kv *kv = u.data.via.map.ptr;

        for (i = 0; i < u.data.via.map.size; i++)
            if (kv[i].key.via.str.size == 4 && memcmp(kv[i].key.via.str.ptr, "tags", 4) == 0)
                tags = (int)kv[i].val.via.map.size;
    }
    msgpack_unpacked_destroy(&u);
    return tags;
}

static void test_as_many_tags_as_have_room(void **state)
{
    static const struct {
        unsigned tags, value_len;
        int want_min, want_max;
    } cases[] = {
        { 0, 0, 0, 0 }, { 1, 10, 1, 1 }, { 64, 4, 64, 64 }, { 64, 100, 20, 40 }, { 2, 4000, 0, 0 }
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        uint8_t block[SONDE_BLACKBOX_PROCESS_MAX];
        char text[16384] = "";
        size_t at = 0;
        sonde__config *c;
        unsigned k;
        int got;

        for (k = 0; k < cases[i].tags; k++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%skey%u:%0*d", k ? "," : "", k,
                                   (int)cases[i].value_len, 7);
        c = make(text, "1");
        got = tags_in(block, sonde__blackbox_process(c, "id", block));
        if (got < cases[i].want_min || got > cases[i].want_max)
            fail_msg("case %zu: %d tags", i, got);
        sonde__config_free(c);
    }
}

static void test_long_values_are_cut(void **state)
{
    uint8_t block[SONDE_BLACKBOX_PROCESS_MAX];
    char version[5000];
    sonde__config *c;

    (void)state;
    memset(version, 'v', sizeof(version));
    version[sizeof(version) - 1] = '\0';
    c = make("a:b", version);
    assert_int_equal(tags_in(block, sonde__blackbox_process(c, "id", block)), 1);
    sonde__config_free(c);
}

static sonde_status encode(void *user)
{
    uint8_t block[SONDE_BLACKBOX_PROCESS_MAX];
    size_t len = sonde__blackbox_process((const sonde__config *)user, "id", block);

    return len > 0 ? SONDE_OK : SONDE_ERR_NOMEM;
}

static void test_without_memory_it_is_empty(void **state)
{
    sonde__config *c = make("a:b", "1");

    (void)state;
    alloc_fail_each(encode, c);
    sonde__config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_tags_as_have_room),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_without_memory_it_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
