/* What a tracer says about the process: its message, and the mapping it lies in. */
#include "support/test.h"

#include <string.h>

#include <sys/mman.h>
#include <unistd.h>

#include "profiler/src/process_ctx.h"

/* clang-format off */
static const uint8_t message[] = {
    0x0a, 0x1b,                                                     /* resource */
    0x0a, 0x19,                                                     /*   pair */
    0x0a, 0x13, 's','e','r','v','i','c','e','.','i','n','s','t','a','n','c','e','.','i','d',
    0x12, 0x02, 0x0a, 0x00,                                         /*   "": replaced below */
    0x12, 0x4a,                                                     /* attribute */
    0x0a, 0x1d, 't','h','r','e','a','d','l','o','c','a','l','.','a','t','t','r','i','b','u','t','e','_','k','e','y','_','m','a','p',
    0x12, 0x29, 0x2a, 0x27,                                         /*   array */
    0x0a, 0x07, 0x0a, 0x05, 'o','t','h','e','r',
    0x0a, 0x1c, 0x0a, 0x1a, 'd','a','t','a','d','o','g','.','l','o','c','a','l','_','r','o','o','t','_','s','p','a','n','_','i','d',
};
/* clang-format on */

static void the_key_map_says_which_attribute_is_the_local_root(void **state)
{
    sonde_prof__process_ctx ctx;

    (void)state;
    assert_true(sonde_prof__process_ctx_parse(message, sizeof(message), &ctx));
    assert_string_equal(ctx.runtime_id, "");
    assert_int_equal(ctx.local_root_key, 1);
}

static void a_message_cut_anywhere_says_less_and_hurts_nobody(void **state)
{
    sonde_prof__process_ctx ctx;
    size_t len;

    (void)state;
    for (len = 0; len < sizeof(message); len++) {
        uint8_t *exact = (uint8_t *)test_malloc(len + 1);

        memcpy(exact, message, len);
        if (sonde_prof__process_ctx_parse(exact, len, &ctx))
            assert_int_equal(ctx.local_root_key, -1);
        test_free(exact);
    }
}

static void put64(uint8_t *at, uint64_t v)
{
    memcpy(at, &v, sizeof(v));
}

static void the_mapping_is_found_by_its_name_and_not_while_it_is_written(void **state)
{
    static const uint8_t id[] = { 0x0a, 0x21, 0x0a, 0x1f, 0x0a, 0x13, 's', 'e', 'r', 'v', 'i', 'c',
                                  'e',  '.',  'i',  'n',  's',  't',  'a', 'n', 'c', 'e', '.', 'i',
                                  'd',  0x12, 0x08, 0x0a, 0x06, 'm',  'y', '-', 'o', 'w', 'n' };
    const uint32_t version = 2, len = sizeof(id);
    sonde_prof__process_ctx ctx;
    uint8_t *at;
    int fd;

    (void)state;
    assert_false(sonde_prof__process_ctx_read(&ctx));
    fd = memfd_create("OTEL_CTX", MFD_CLOEXEC);
    if (fd < 0)
        skip();
    assert_int_equal(ftruncate(fd, 4096), 0);
    at = (uint8_t *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    (void)close(fd);
    memcpy(at, "OTEL_CTX", 8);
    memcpy(at + 8, &version, 4);
    memcpy(at + 12, &len, 4);
    put64(at + 24, (uint64_t)(uintptr_t)at + 32);
    memcpy(at + 32, id, sizeof(id));
    assert_false(sonde_prof__process_ctx_read(&ctx)); /* no time: being written */
    put64(at + 16, 1);
    assert_true(sonde_prof__process_ctx_read(&ctx));
    assert_string_equal(ctx.runtime_id, "my-own");
    assert_int_equal(ctx.local_root_key, -1);
    put64(at + 24, 64); /* nowhere */
    assert_false(sonde_prof__process_ctx_read(&ctx));
    (void)munmap(at, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_map_says_which_attribute_is_the_local_root),
        cmocka_unit_test(a_message_cut_anywhere_says_less_and_hurts_nobody),
        cmocka_unit_test(the_mapping_is_found_by_its_name_and_not_while_it_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
