/* test_container.c - container ids in the text of /proc/self/cgroup. */
#include "base/cgroup.h"
#include "support/test.h"

#include "base/container.h"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UUID  "01234567-89ab-cdef-0123-456789abcdef"
#define UUID_ "01234567_89ab_cdef_0123_456789abcdef"

static void test_ids_are_found_where_the_table_says(void **state)
{
    static const struct {
        const char *in;
        const char *want;
    } cases[] = {
        { "12:cpu:/docker/" HEX64 "\n", HEX64 },
        { "0::/kubepods.slice/cri-containerd-" HEX64 ".scope\n", HEX64 },
        { "1:name=systemd:/x\n0::/a/" HEX64, HEX64 },
        { "0::/ecs/" UUID, UUID },
        { "0::/garden/" UUID_ "\n", UUID_ },
        { "0::/garden/01234567-89ab-cdef-0123-4567\n", "01234567-89ab-cdef-0123-4567" },
        { "0::/ecs/0123456789abcdef0123456789abcdef-12345",
          "0123456789abcdef0123456789abcdef-12345" },
        { "0::/user.slice/session-2.scope\n", "" },
        { "0::/" HEX64 "/below\n", "" },
        { "0::/\n", "" },
        { "", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str got = sonde_cgroup_container_id(sonde_str_from(cases[i].in));

        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("%s: got %.*s", cases[i].in, SONDE_STR_ARG(got));
    }
}

static void test_the_unified_path_is_preferred(void **state)
{
    sonde_str path = sonde_cgroup_path(SONDE_STR("3:cpu:/old\n0::/new/x\n"));

    (void)state;
    assert_true(sonde_str_eq(path, SONDE_STR("/new/x")));
    path = sonde_cgroup_path(SONDE_STR("3:cpu:/old\n2:mem:/other"));
    assert_true(sonde_str_eq(path, SONDE_STR("/old")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids_are_found_where_the_table_says),
        cmocka_unit_test(test_the_unified_path_is_preferred),
    };

    return cmocka_run_group_tests_name("container", tests, NULL, NULL);
}
