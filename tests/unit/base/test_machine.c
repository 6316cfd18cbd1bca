/* test_machine.c - what os-release files say, and this one. */
#include "support/test.h"

#include <unistd.h>

#include "base/machine.h"

static void test_the_version_is_found_as_distributions_write_it(void **state)
{
    static const struct {
        const char *in;
        const char *want;
    } cases[] = {
        { "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\n", "12" },
        { "ID=fedora\nVERSION_ID=40\n", "40" },
        { "VERSION_ID='22.04'", "22.04" },
        { "VERSION_ID=3.20.1\nID=alpine\n", "3.20.1" },
        { "VERSION_ID=\"\"\n", "" },
        { "VERSION_ID=\n", "" },
        { "VERSION_ID=\"12", "\"12" },
        { "VERSION_ID=\"", "\"" },
        { "ID=arch\nBUILD_ID=rolling\n", "" },
        { "MY_VERSION_ID=1\nVERSION_ID_=2\n", "" },
        { "", "" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sonde_str got = sonde_os_release_version(sonde_str_from(cases[i].in));

        if (!sonde_str_eq(got, sonde_str_from(cases[i].want)))
            fail_msg("%s: got %.*s", cases[i].in, SONDE_STR_ARG(got));
    }
}

static void test_this_machine_is_known(void **state)
{
    char name[256] = "";
    sonde_machine m;

    (void)state;
    sonde_machine_read(&m);
    assert_int_equal(gethostname(name, sizeof(name) - 1), 0);
    assert_string_equal(m.kernel.nodename, name);
    assert_string_equal(m.kernel.sysname, "Linux");
    assert_true(m.kernel.release[0] != '\0');
    assert_true(strlen(m.os_version) < sizeof(m.os_version));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_version_is_found_as_distributions_write_it),
        cmocka_unit_test(test_this_machine_is_known),
    };

    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
