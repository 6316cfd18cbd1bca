/* test_process_tags.c - what a process says about itself. */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/process_tags.h"

static void test_process_tags_are_sorted_and_normalised(void **state)
{
    static const struct {
        const char *label;
        const char *executable, *workdir, *service;
        const char *want;
    } cases[] = {
        { "of the specification", "/srv/app/web_srv", "/var/data", "",
          "entrypoint.basedir:app,entrypoint.name:web_srv,entrypoint.type:executable,"
          "entrypoint.workdir:data,svc.user:true" },
        { "bin says nothing", "/usr/bin/web", "/bin", "",
          "entrypoint.name:web,entrypoint.type:executable,svc.user:true" },
        { "the root says nothing", "/web", "/", "",
          "entrypoint.name:web,entrypoint.type:executable,svc.user:true" },
        { "our service", "/opt/x/web", "/", "Web, the 1st",
          "entrypoint.basedir:x,entrypoint.name:web,entrypoint.type:executable,"
          "svc.auto:web_the_1st" },
        { "characters", "/A B\xc3\xbc!/we:b.1-2", "/x__y/", "",
          "entrypoint.basedir:a_b_,entrypoint.name:we:b.1-2,entrypoint.type:executable,"
          "entrypoint.workdir:x_y,svc.user:true" },
        { "unknown", "", "", "", "entrypoint.type:executable,svc.user:true" },
    };
    char out[SONDE_PROCESS_TAGS_MAX_BYTES + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        size_t len = sonde_process_tags(sonde_str_from(cases[i].executable),
                                        sonde_str_from(cases[i].workdir),
                                        sonde_str_from(cases[i].service), out);

        out[len] = '\0';
        if (strcmp(out, cases[i].want) != 0)
            fail_msg("%s: %s", cases[i].label, out);
    }
}

static void test_process_tags_fit_the_room_they_are_promised(void **state)
{
    char path[2 * 300 + 3];
    char out[SONDE_PROCESS_TAGS_MAX_BYTES];
    sonde_str whole = { path, sizeof(path) - 1 };

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = path[301] = '/';
    assert_in_range(sonde_process_tags(whole, whole, whole, out), 800,
                    SONDE_PROCESS_TAGS_MAX_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_tags_are_sorted_and_normalised),
        cmocka_unit_test(test_process_tags_fit_the_room_they_are_promised),
    };

    return cmocka_run_group_tests_name("process_tags", tests, NULL, NULL);
}
