/* Rows of a pprof message as bytes; the expected ones were made by hand and read back by other decoders. */
#include "codec/pprof_write.h"

#include "support/golden.h"
#include "support/test.h"

static void expect(const char *label, sonde_buf *b, const char *hex)
{
    sonde_buf want;

    golden_bytes(hex, &want);
    if (b->status != SONDE_OK || !sonde_str_eq(sonde_buf_str(b), sonde_buf_str(&want)))
        fail_msg("%s: %zu bytes, want %zu (%s)", label, b->len, want.len, hex);
    sonde_buf_done(&want);
    sonde_buf_reset(b);
}

static void test_a_sample_and_its_labels(void **state)
{
    sonde_buf b;
    size_t sample, mark;

    (void)state;
    sonde_buf_init(&b, 4096);
    sample = sonde_pb_begin(&b, SONDE_PPROF_SAMPLE);
    mark = sonde_pb_begin(&b, SONDE_PPROF_SAMPLE_LOCATIONS);
    sonde_pb_packed(&b, 1);
    sonde_pb_end(&b, mark);
    mark = sonde_pb_begin(&b, SONDE_PPROF_SAMPLE_VALUES);
    sonde_pb_packed(&b, 1);
    sonde_pb_packed(&b, 10000000);
    sonde_pb_end(&b, mark);
    sonde_pprof_put_number_label(&b, 9, 4242, 0);
    sonde_pprof_put_number_label(&b, 10, 1767225600000000000u, 0);
    sonde_pprof_put_text_label(&b, 9, 7);
    sonde_pprof_put_number_label(&b, 9, 4242, 3);
    sonde_pb_end(&b, sample);
    expect(
        "sample", &b,
        "12 2e 0a 01 01 12 05 01 80 ad e2 04 1a 05 08 09 18 92 21 "
        "1a 0c 08 0a 18 80 80 e8 ef 9e ca 9c c3 18 1a 04 08 09 10 07 1a 07 08 09 18 92 21 20 03");
    sonde_buf_done(&b);
}

static void test_what_samples_refer_to(void **state)
{
    const sonde_pprof_mapping some = { .id = 1,
                                       .start = 0x401000,
                                       .limit = 0x402000,
                                       .file_offset = 0x1000,
                                       .file = 5,
                                       .build_id = 6 };
    const sonde_pprof_mapping all = {
        .id = 2, .has_functions = true, .has_files = true, .has_lines = true, .has_inlines = true
    };
    const sonde_pprof_function fn = { .id = 1, .name = 7, .file = 8 };
    const sonde_pprof_function mangled = {
        .id = 2, .name = 7, .system_name = 9, .start_line = 300
    };
    sonde_buf b;
    size_t mark;

    (void)state;
    sonde_buf_init(&b, 4096);
    sonde_pprof_put_mapping(&b, &some);
    expect("mapping", &b, "1a 13 08 01 10 80 a0 80 02 18 80 c0 80 02 20 80 20 28 05 30 06");
    sonde_pprof_put_mapping(&b, &all);
    expect("all is known", &b, "1a 0a 08 02 38 01 40 01 48 01 50 01");
    mark = sonde_pprof_begin_location(&b, 1, 1, 0x401136);
    sonde_pprof_put_line(&b, 1, 12);
    sonde_pb_end(&b, mark);
    expect("location", &b, "22 0f 08 01 10 01 18 b6 a2 80 02 22 04 08 01 10 0c");
    sonde_pprof_put_function(&b, &fn);
    expect("function", &b, "2a 06 08 01 10 07 20 08");
    sonde_pprof_put_function(&b, &mangled);
    expect("mangled", &b, "2a 09 08 02 10 07 18 09 28 ac 02");
    sonde_pprof_put_type(&b, SONDE_PPROF_SAMPLE_TYPE, 1, 2);
    sonde_pprof_put_type(&b, SONDE_PPROF_PERIOD_TYPE, 3, 4);
    expect("types", &b, "0a 04 08 01 10 02 5a 04 08 03 10 04");
    sonde_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sample_and_its_labels),
        cmocka_unit_test(test_what_samples_refer_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
