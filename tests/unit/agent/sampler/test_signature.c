/* Signatures of spans and traces: the numbers of the specification, and what must not matter. */
#include "support/test.h"

#include <stdlib.h>

#include "agent/sampler/signature.h"

#define ENV SONDE_STR("prod")
#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static span_meta status_200[] = { { TEXT("http.status_code"), TEXT("200") } };
static span_meta io_error[] = { { TEXT("error.type"), TEXT("io.Error") } };

static const payload_span web = { .service = TEXT("web"),
                                  .name = TEXT("http.request"),
                                  .resource = TEXT("GET /"),
                                  .meta = status_200,
                                  .meta_len = 1 };
static const payload_span db = {
    .service = TEXT("db"), .name = TEXT("sql.query"), .error = 1, .meta = io_error, .meta_len = 1
};

static uint32_t sign(payload_span *spans, uint32_t len, uint32_t root, size_t arena_bytes)
{
    payload_chunk c = { .spans = spans, .spans_len = len, .root = root };
    sonde_arena arena;
    uint32_t signature;

    sonde_arena_init(&arena, arena_bytes);
    signature = trace_signature(&c, ENV, &arena);
    sonde_arena_done(&arena);
    return signature;
}

static void test_the_numbers_are_those_of_the_specification(void **state)
{
    payload_span both[] = { web, db };

    (void)state;
    assert_true(span_signature(&web, ENV, true) == 363945290u);
    assert_true(span_signature(&web, ENV, false) == 259719935u);
    assert_true(span_signature(&db, ENV, false) == 662486471u);
    assert_true(sign(both, 2, 0, 1 << 16) == 1035395698u);
}

static void test_order_ids_and_repetition_do_not_matter(void **state)
{
    payload_span turned[] = { db, web }, again[] = { web, db, db, web, db };

    (void)state;
    again[2].span_id = 77;
    again[3].duration = 5;
    assert_true(sign(turned, 2, 1, 1 << 16) == 1035395698u);
    assert_true(sign(again, 5, 0, 1 << 16) == 1035395698u);
}

static void test_large_traces_are_signed_like_small_ones(void **state)
{
    enum { MANY = 20000 };
    payload_span *spans = calloc(MANY, sizeof(*spans));
    uint32_t i;

    (void)state;
    assert_non_null(spans);
    for (i = 0; i < MANY; i++)
        spans[i] = i % 2 ? db : web;
    assert_true(sign(spans, MANY, 0, 1 << 20) == 1035395698u);
    /* no room: the first 256 are enough here */
    assert_true(sign(spans, MANY, 0, 64) == 1035395698u);
    free(spans);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_numbers_are_those_of_the_specification),
        cmocka_unit_test(test_order_ids_and_repetition_do_not_matter),
        cmocka_unit_test(test_large_traces_are_signed_like_small_ones),
    };

    return cmocka_run_group_tests_name("signature", tests, NULL, NULL);
}
