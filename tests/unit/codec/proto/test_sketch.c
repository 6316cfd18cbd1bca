/* The sketch's own encoder and decoder against protobuf-c's DDSketch. */
#include "codec/sketch.h"

#include "codec/proto/ddsketch.pb-c.h"
#include "support/golden.h"
#include "support/test.h"

typedef Ddsketch__DDSketch message;

static void fill(sonde_sketch *s)
{
    double v;

    sonde_sketch_init(s);
    for (v = 100; v < 1e9; v *= 1.37)
        assert_status(sonde_sketch_add(s, v, 2), SONDE_OK);
    assert_status(sonde_sketch_add(s, 0, 3), SONDE_OK);
}

static void test_our_bytes_are_read_by_protobuf_c(void **state)
{
    sonde_sketch s;
    sonde_buf b;
    message *m;
    uint32_t i;

    (void)state;
    fill(&s);
    sonde_buf_init(&b, 1 << 20);
    sonde_sketch_encode(&s, &b);

    m = ddsketch__ddsketch__unpack(NULL, b.len, b.data);
    assert_non_null(m);
    assert_true(m->mapping->gamma == 1.01 / 0.99 && m->mapping->indexoffset == 0);
    assert_int_equal(m->mapping->interpolation, DDSKETCH__INDEX_MAPPING__INTERPOLATION__NONE);
    assert_true(m->zerocount == 3);
    assert_int_equal(m->positivevalues->n_contiguousbincounts, s.len);
    assert_int_equal(m->positivevalues->contiguousbinindexoffset, s.offset);
    for (i = 0; i < s.len; i++)
        assert_true(m->positivevalues->contiguousbincounts[i] == s.bins[i]);
    assert_non_null(m->negativevalues);
    assert_int_equal(m->negativevalues->n_contiguousbincounts, 0);

    ddsketch__ddsketch__free_unpacked(m, NULL);
    sonde_buf_done(&b);
    sonde_sketch_done(&s);
}

static void test_protobuf_cs_bytes_are_read_by_us(void **state)
{
    Ddsketch__Store__BinCountsEntry entry = DDSKETCH__STORE__BIN_COUNTS_ENTRY__INIT;
    Ddsketch__Store__BinCountsEntry *entries[] = { &entry };
    Ddsketch__IndexMapping mapping = DDSKETCH__INDEX_MAPPING__INIT;
    Ddsketch__Store positive = DDSKETCH__STORE__INIT;
    message m = DDSKETCH__DDSKETCH__INIT;
    double counts[] = { 4, 0, 5 };
    uint8_t bytes[256];
    sonde_sketch s;
    size_t len;

    (void)state;
    mapping.gamma = 1.01 / 0.99;
    entry.key = -2;
    entry.value = 1;
    positive.n_bincounts = 1;
    positive.bincounts = entries;
    positive.n_contiguousbincounts = 3;
    positive.contiguousbincounts = counts;
    positive.contiguousbinindexoffset = -1;
    m.mapping = &mapping;
    m.positivevalues = &positive;
    m.zerocount = 7;
    assert_true(ddsketch__ddsketch__get_packed_size(&m) <= sizeof(bytes));
    len = ddsketch__ddsketch__pack(&m, bytes);

    sonde_sketch_init(&s);
    assert_status(sonde_sketch_decode_merge(&s, (sonde_str){ (char *)bytes, len }), SONDE_OK);

    assert_true(s.count == 17 && s.zero_count == 7);
    assert_int_equal(s.offset, -2);
    assert_int_equal(s.len, 4);
    assert_true(s.bins[0] == 1 && s.bins[1] == 4 && s.bins[2] == 0 && s.bins[3] == 5);
    sonde_sketch_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_our_bytes_are_read_by_protobuf_c),
        cmocka_unit_test(test_protobuf_cs_bytes_are_read_by_us),
    };

    return cmocka_run_group_tests_name("proto_sketch", tests, NULL, NULL);
}
