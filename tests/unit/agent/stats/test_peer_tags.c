/* Peer tags: which, in which order, their hash, addresses blanked out. */
#include "support/test.h"

#include <string.h>

#include "agent/stats/peer_tags.h"
#include "agent/stats/process_tags.h"
#include "base/peer_ip.h"
#include "base/str.h"
#include "support/alloc_fail.h"

static peer_tags collect(const char *kind, const span_meta *meta, uint32_t len, sonde_arena *arena)
{
    static peer_tag_set set;
    static span_meta all[16];
    payload_span s = { .meta = all };
    span_facts f;
    peer_tags out;

    memcpy(all, meta, len * sizeof(*meta));
    s.meta_len = len;
    if (kind)
        all[s.meta_len++] = (span_meta){ SONDE_STR("span.kind"), sonde_str_from(kind) };
    peer_tag_set_init(&set, NULL, 0);
    span_facts_collect(&f, &s);
    peer_tags_collect(&set, &s, &f, facts_kind(&f), arena, &out);
    return out;
}

static void test_hash_matches_the_check_values(void **state)
{
    const span_meta one[] = { { SONDE_STR("peer.service"), SONDE_STR("b") } };
    const span_meta two[] = { { SONDE_STR("peer.service"), SONDE_STR("b") },
                              { SONDE_STR("other"), SONDE_STR("x") },
                              { SONDE_STR("db.name"), SONDE_STR("a") } };
    sonde_arena arena;

    (void)state;
    sonde_arena_init(&arena, 1 << 16);
    assert_true(collect("client", one, 1, &arena).hash == 2657626276163943304u);
    assert_true(collect("client", two, 3, &arena).hash == 7547791947320229846u);
    assert_true(collect("client", two + 1, 1, &arena).hash == 0);
    sonde_arena_done(&arena);
}

static void test_the_kind_decides_which_tags_count(void **state)
{
    const span_meta meta[] = { { SONDE_STR("peer.service"), SONDE_STR("b") },
                               { SONDE_STR("_dd.base_service"), SONDE_STR("a") },
                               { SONDE_STR("db.name"), SONDE_STR("") } };
    static const struct {
        const char *kind;
        size_t len;
    } cases[] = { { "client", 2 },   { "PRODUCER", 2 }, { "consumer", 2 }, { "server", 0 },
                  { "internal", 1 }, { NULL, 1 },       { "odd", 0 } };
    sonde_arena arena;
    size_t i;

    (void)state;
    sonde_arena_init(&arena, 1 << 16);
    for (i = 0; i < COUNT_OF(cases); i++) {
        peer_tags got = collect(cases[i].kind, meta, 3, &arena);

        if (got.len != cases[i].len)
            fail_msg("%s: got %zu", cases[i].kind ? cases[i].kind : "none", got.len);
    }
    sonde_arena_done(&arena);
}

static void test_configured_tags_join_the_list_once_and_in_order(void **state)
{
    const sonde_str more[] = { SONDE_STR("zone"), SONDE_STR("db.name"), SONDE_STR("aaa"),
                               SONDE_STR("") };
    peer_tag_set set;
    size_t i;

    (void)state;
    peer_tag_set_init(&set, more, COUNT_OF(more));

    assert_int_equal(set.len, 45);
    for (i = 1; i < set.len; i++)
        assert_true(sonde_str_cmp(set.names[i - 1], set.names[i]) < 0);
}

static void test_more_names_than_the_ceiling_are_left_out(void **state)
{
    static char text[500][8];
    static sonde_str more[500];
    peer_tag_set set;
    size_t i;

    (void)state;
    for (i = 0; i < 500; i++) {
        memcpy(text[i], "tag-000", 8);
        text[i][4] = (char)('0' + i / 100);
        text[i][5] = (char)('0' + i / 10 % 10);
        text[i][6] = (char)('0' + i % 10);
        more[i] = (sonde_str){ text[i], 7 };
    }
    peer_tag_set_init(&set, more, 500);
    assert_int_equal(set.len, STATS_PEER_TAGS_MAX);
}

static void test_addresses_are_blanked_out(void **state)
{
    static const struct {
        const char *in;
        const char *want;
    } cases[] = {
        { "10.1.2.3:5432", "blocked-ip-address:5432" },
        { "10.1.2.3,10.1.2.4", "blocked-ip-address" },
        { "ip-10-123-4-56.ec2.internal", "ip-blocked-ip-address.ec2.internal" },
        { "10-1-2-3-host.internal:80", "blocked-ip-address:80-host.internal" },
        { "db.example.com", "db.example.com" },
        { "127.0.0.1", "127.0.0.1" },
        { "127.0.0.1:80", "127.0.0.1:80" },
        { "::1", "::1" },
        { "169.254.169.254", "169.254.169.254" },
        { "2001:db8::1", "blocked-ip-address" },
        { "[2001:db8::1]:443", "blocked-ip-address:443" },
        { "[2001:db8::1]", "[2001:db8::1]" }, /* as Datadog's agent: brackets are for a port */
        { "[2001:db8::1]:443:1", "[2001:db8::1]:443:1" },
        { "http://10.1.2.3", "http://blocked-ip-address" },
        { "https://10.1.2.3:8080", "https://blocked-ip-address:8080" },
        { "dnspoll:///10.21.120.145:6400", "dnspoll:///blocked-ip-address:6400" },
        { "x http://10.1.2.3", "http://blocked-ip-address" },
        { "10_1_2_3", "blocked-ip-address" },
        { "10.1-2.3", "10.1-2.3" },
        { "256.1.2.3", "256.1.2.3" },
        { "01.2.3.4", "01.2.3.4" },
        { "1.2.3", "1.2.3" },
        { "1.2.3.4.example.org", "blocked-ip-address.example.org" },
        { "10.1.2.3,db,10.1.2.4,db", "blocked-ip-address,db" },
        { "a,a", "a" },
        { "a,", "a," },
        { "", "" },
        { ",", "" },
        { "[", "[" },
        { "[]:", "[]:" },
        { ":", ":" },
    };
    sonde_arena arena;
    size_t i;

    (void)state;
    sonde_arena_init(&arena, 1 << 16);
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str got = { NULL, 0 };

        assert_status(sonde_peer_ip_blank(&arena, sonde_str_from(cases[i].in), &got), SONDE_OK);
        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("%s: got %.*s, want %s", cases[i].in, SONDE_STR_ARG(got), cases[i].want);
    }
    sonde_arena_done(&arena);
}

static void test_a_full_arena_leaves_the_output_alone(void **state)
{
    sonde_arena arena;
    sonde_str out = SONDE_STR("canary");

    (void)state;
    sonde_arena_init(&arena, 1 << 16);
    alloc_fail_begin();
    alloc_fail_at(1);
    assert_status(sonde_peer_ip_blank(&arena, SONDE_STR("10.1.2.3"), &out), SONDE_ERR_NOMEM);
    alloc_fail_end();
    assert_string_equal(out.ptr, "canary");
    sonde_arena_done(&arena);
}

static void test_process_tags_hash_ignores_their_order(void **state)
{
    (void)state;
    assert_true(process_tags_hash(SONDE_STR("")) == 0);
    assert_true(process_tags_hash(SONDE_STR("peer.service:b")) == 2657626276163943304u);
    assert_true(process_tags_hash(SONDE_STR("peer.service:b,db.name:a")) == 7547791947320229846u);
    assert_true(process_tags_hash(SONDE_STR("db.name:a,peer.service:b")) == 7547791947320229846u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_matches_the_check_values),
        cmocka_unit_test(test_the_kind_decides_which_tags_count),
        cmocka_unit_test(test_configured_tags_join_the_list_once_and_in_order),
        cmocka_unit_test(test_more_names_than_the_ceiling_are_left_out),
        cmocka_unit_test(test_addresses_are_blanked_out),
        cmocka_unit_test(test_a_full_arena_leaves_the_output_alone),
        cmocka_unit_test(test_process_tags_hash_ignores_their_order),
    };

    return cmocka_run_group_tests_name("peer_tags", tests, NULL, NULL);
}
