/* 07_test_reporter.c - a test of traced code; any test framework will do, here none. */
#include <stdio.h>

#include <sonde/sonde.h>
#include <sonde/test.h>

static void place_order(const char *id) /* the code under test */
{
    SONDE_SPAN(span, "order.place");

    sonde_span_set_str(span, "order.id", id);
}

static int check(const char *failure)
{
    if (failure)
        printf("FAILED: %s\n", failure);
    return failure != NULL;
}

int main(void)
{
    const sonde_test_span *span;
    int failures = 0;

    if (sonde_test_start(NULL) != SONDE_OK)
        return 1;
    place_order("7");
    span = sonde_test_find("order.place");
    failures += check(sonde_test_expect_count(1));
    failures += check(sonde_test_expect_parent(span, NULL));
    failures += check(sonde_test_expect_tag(span, "order.id", "7"));
    sonde_test_stop();
    printf("%d failures\n", failures);
    return failures > 0;
}
