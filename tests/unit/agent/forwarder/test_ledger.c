/* Counters in a mapped file: across lives, kills and files of another form. */
#include "support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/forwarder/ledger.h"
#include "support/alloc_fail.h"
#include "support/temp_dir.h"

static char dir[256], path[300];

static int setup(void **state)
{
    (void)state;
    temp_dir_make(dir, sizeof(dir));
    (void)snprintf(path, sizeof(path), "%s/ledger", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temp_dir_remove(dir);
    return 0;
}

static ledger *open_it(void)
{
    ledger *l = NULL;

    assert_status(ledger_open(path, &l, NULL), SONDE_OK);
    return l;
}

static void add(ledger_row *row, ledger_column column, uint64_t payloads, uint64_t items)
{
    ledger_add(row, UPLOAD_TRACES, column, (ledger_count){ payloads, items });
}

static void assert_count(const ledger_row *row, ledger_column column, uint64_t payloads,
                         uint64_t items)
{
    ledger_count n = ledger_read(row, UPLOAD_TRACES, column);

    assert_int_equal(n.payloads, payloads);
    assert_int_equal(n.items, items);
}

static const ledger_count nothing[UPLOAD_KINDS] = { { 0, 0 } };

static void test_a_kill_keeps_the_counters_and_the_next_life_counts_the_loss(void **state)
{
    const ledger_count on_disk[UPLOAD_KINDS] = { [UPLOAD_TRACES] = { 3, 30 } };
    ledger_row *row;
    ledger *l;
    pid_t pid;
    int status;

    (void)state;
    pid = fork();
    if (pid == 0) {
        row = ledger_claim(open_it(), "one");
        add(row, LEDGER_ACCEPTED, 20, 200);
        add(row, LEDGER_DELIVERED, 10, 100);
        add(row, LEDGER_DROPPED, 2, 20);
        (void)raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));

    l = open_it();
    row = ledger_claim(l, "one");
    ledger_settle(row, on_disk);
    assert_count(row, LEDGER_LOST_CRASH, 5, 50);
    assert_count(row, LEDGER_SPOOLED, 3, 30);
    ledger_settle(row, on_disk); /* once is enough */
    assert_count(row, LEDGER_LOST_CRASH, 5, 50);
    ledger_close(l);
}

static void test_a_stop_in_order_loses_nothing(void **state)
{
    ledger *l = open_it();
    ledger_row *row = ledger_claim(l, "one");

    (void)state;
    add(row, LEDGER_ACCEPTED, 5, 50);
    add(row, LEDGER_DELIVERED, 4, 40);
    add(row, LEDGER_DROPPED, 1, 10);
    ledger_close(l);
    l = open_it();
    row = ledger_claim(l, "one");
    ledger_settle(row, nothing);
    assert_count(row, LEDGER_LOST_CRASH, 0, 0);
    assert_count(row, LEDGER_ACCEPTED, 5, 50);
    ledger_close(l);
}

static void test_a_delivery_the_kill_kept_from_being_counted_is_no_negative_loss(void **state)
{
    ledger *l = open_it();
    ledger_row *row = ledger_claim(l, "one");

    (void)state;
    add(row, LEDGER_DELIVERED, 4, 40);
    ledger_settle(row, nothing);
    assert_count(row, LEDGER_LOST_CRASH, 0, 0);
    ledger_close(l);
}

static void test_rows_nobody_claims_make_room(void **state)
{
    char name[32];
    ledger_row *first;
    ledger *l = open_it();
    int i;

    (void)state;
    for (i = 0; i < LEDGER_ROWS; i++) {
        (void)snprintf(name, sizeof(name), "row-%d", i);
        assert_non_null(ledger_claim(l, name));
    }
    assert_null(ledger_claim(l, "one more"));
    add(ledger_claim(l, "row-5"), LEDGER_ACCEPTED, 1, 2);
    ledger_close(l);

    l = open_it();
    first = ledger_claim(l, "row-5");
    assert_count(first, LEDGER_ACCEPTED, 1, 2);
    assert_non_null(ledger_claim(l, "one more"));
    assert_count(ledger_claim(l, "one more"), LEDGER_ACCEPTED, 0, 0);
    assert_count(first, LEDGER_ACCEPTED, 1, 2);
    ledger_close(l);
}

static void test_a_file_of_another_form_is_begun_anew(void **state)
{
    static const char *const contents[] = { "", "hello", "SNDLEDGR\xff\xff\xff\xff" };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(contents); i++) {
        FILE *f = fopen(path, "w");
        struct stat st;
        ledger *l;

        assert_non_null(f);
        (void)fputs(contents[i], f);
        (void)fclose(f);
        l = open_it();
        assert_count(ledger_claim(l, "one"), LEDGER_ACCEPTED, 0, 0);
        ledger_close(l);
        assert_int_equal(stat(path, &st), 0);
        assert_true(st.st_size >= 4096);
    }
}

static void test_without_a_ledger_nothing_is_counted_and_nothing_breaks(void **state)
{
    ledger *l = NULL;
    sonde_error error = { .message = "" };

    (void)state;
    assert_null(ledger_claim(NULL, "one"));
    add(NULL, LEDGER_ACCEPTED, 1, 1);
    assert_count(NULL, LEDGER_ACCEPTED, 0, 0);
    ledger_settle(NULL, nothing);
    ledger_close(NULL);
    assert_status(ledger_open("/proc/none/ledger", &l, &error), SONDE_ERR_SYS);
    assert_non_null(strstr(error.message, "/proc/none/ledger"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_kill_keeps_the_counters_and_the_next_life_counts_the_loss),
        TEST(test_a_stop_in_order_loses_nothing),
        TEST(test_a_delivery_the_kill_kept_from_being_counted_is_no_negative_loss),
        TEST(test_rows_nobody_claims_make_room),
        TEST(test_a_file_of_another_form_is_begun_anew),
        TEST(test_without_a_ledger_nothing_is_counted_and_nothing_breaks),
    };

    return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}
