/* What of /proc/self/smaps can be let go of: clean pages of files, nothing that was ever written. */
#include "support/test.h"

#include <string.h>

#include "agent/main/settle.h"

/* Reads the lines and says how many mappings could go; `last` is the last of them. */
static unsigned read_all(const char *text, settle_mapping *last)
{
    settle_mapping m = { 0, 0, false };
    sonde_str rest = sonde_str_from(text);
    unsigned n = 0;

    while (rest.len > 0)
        if (settle_line(&m, sonde_str_cut(&rest, '\n'))) {
            *last = m;
            n++;
        }
    return n;
}

static void test_only_clean_private_pages_of_files_go(void **state)
{
    static const struct {
        const char *label, *text;
        unsigned go;
    } cases[] = {
        { "code",
          "7f0000001000-7f0000003000 r-xp 0000 08:01 7    /usr/lib/libc.so.6\nRss: 8 kB\n"
          "Anonymous:             0 kB\nVmFlags: rd\n",
          1 },
        { "constants", "1000-3000 r--p 00000000 08:01 7 /bin/sonde\nAnonymous: 0 kB\n", 1 },
        { "relocated and sealed", "1000-3000 r--p 0 08:01 7 /bin/sonde\nAnonymous: 4 kB\n", 0 },
        { "data", "1000-3000 rw-p 00000000 08:01 7 /bin/sonde\nAnonymous: 0 kB\n", 0 },
        { "shared", "1000-3000 r--s 00000000 08:01 7 /var/lib/x.db\nAnonymous: 0 kB\n", 0 },
        { "no file", "1000-3000 r--p 00000000 00:00 0\nAnonymous: 0 kB\n", 0 },
        { "the kernel's", "1000-3000 r-xp 00000000 00:00 0 [vdso]\nAnonymous: 0 kB\n", 0 },
        { "what a later mapping says",
          "1000-3000 rw-p 0 08:01 7 /a\n4000-5000 r-xp 0 08:01 7 /a\nAnonymous: 0 kB\n", 1 },
        { "no number", "x-y r-xp 00000000 08:01 7 /a\nAnonymous: 0 kB\n", 0 },
        { "cut short", "1000-3000 r-xp\nAnonymous: 0 kB\n", 0 },
    };
    settle_mapping last;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned go = read_all(cases[i].text, &last);

        if (go != cases[i].go)
            fail_msg("%s: %u mappings go, expected %u", cases[i].label, go, cases[i].go);
    }
    assert_int_equal(read_all(cases[0].text, &last), 1);
    assert_int_equal(last.start, 0x7f0000001000);
    assert_int_equal(last.end, 0x7f0000003000);
}

/* Relocated data, the code that runs right now and the heap are what they were. */
static void test_the_process_goes_on(void **state)
{
    static const char *const relocated[] = { "one", "two" };
    static int written;
    char *held = test_malloc(100000);

    (void)state;
    written = 42;
    memset(held, 'x', 100000);
    settle_memory();
    assert_string_equal(relocated[1], "two");
    assert_int_equal(written, 42);
    assert_int_equal(held[99999], 'x');
    test_free(held);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_clean_private_pages_of_files_go),
        cmocka_unit_test(test_the_process_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
