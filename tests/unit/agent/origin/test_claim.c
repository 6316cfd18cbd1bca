/* test_claim.c - every form of the two headers that name a container. */
#include "agent/origin/claim.h"

#include "support/test.h"

#define assert_text(label, got, want)                                                              \
    do {                                                                                           \
        sonde_str text_got_ = (got);                                                               \
        if (!sonde_str_eq(text_got_, sonde_str_from(want)))                                        \
            fail_msg("%s: got \"%.*s\", want \"%s\"", (label), SONDE_STR_ARG(text_got_), (want));  \
    } while (0)

static void test_an_entity_is_named_in_these_forms(void **state)
{
    static const struct {
        const char *label, *value, *id;
        uint64_t inode;
    } cases[] = {
        { "nothing", "", "", 0 },
        { "a container", "ci-abc", "abc", 0 },
        { "the old form", "cid-abc", "abc", 0 },
        { "a bare id", "abc", "abc", 0 },
        { "spaces around", "  ci-abc ", "abc", 0 },
        { "an inode", "in-123", "", 123 },
        { "no inode", "in-abc", "", 0 },
        { "an inode too large", "in-99999999999999999999999", "", 0 },
        { "a list", "ci-abc,in-5", "abc", 5 },
        { "a list with spaces", " in-5 , ci-abc ", "abc", 5 },
        { "the old form does not count in a list", "cid-abc,in-5", "", 5 },
        { "a bare id neither", "abc,in-5", "", 5 },
        { "the first container of a list", "ci-a,ci-b", "a", 0 },
        { "an empty list", ",,", "", 0 },
        { "a prefix alone", "ci-", "", 0 },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        origin_claim c = { .cgroup_inode = 0 };

        origin_read_entity(sonde_str_from(cases[i].value), &c);
        assert_text(cases[i].label, c.container_id, cases[i].id);
        if (c.cgroup_inode != cases[i].inode)
            fail_msg("%s: inode %llu", cases[i].label, (unsigned long long)c.cgroup_inode);
    }
}

static void test_the_external_environment_comes_in_any_order(void **state)
{
    static const struct {
        const char *label, *value, *name, *uid;
        bool is_init;
    } cases[] = {
        { "nothing", "", "", "", false },
        { "all", "it-false,cn-web,pu-75a2b6d5", "web", "75a2b6d5", false },
        { "another order", "pu-75a2b6d5,it-true,cn-web", "web", "75a2b6d5", true },
        { "spaces", " cn-web , it-1 ", "web", "", true },
        { "a name with a dash", "cn-cn-x", "cn-x", "", false },
        { "no truth value", "it-maybe,cn-a", "a", "", false },
        { "what is not known", "xx-1,cn-a,pu-b,foo", "a", "b", false },
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        origin_claim c = { .cgroup_inode = 0 };

        origin_read_external(sonde_str_from(cases[i].value), &c);
        assert_text(cases[i].label, c.container_name, cases[i].name);
        assert_text(cases[i].label, c.pod_uid, cases[i].uid);
        assert_int_equal(c.is_init, cases[i].is_init);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_entity_is_named_in_these_forms),
        cmocka_unit_test(test_the_external_environment_comes_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
