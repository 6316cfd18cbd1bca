/* test_decisions.c - decisions told apart by sampler, priority, service and environment, within bounds. */
#include "agent/sampler/decisions.h"

#include <stdio.h>
#include <string.h>

#include "agent/payload/payload.h"
#include "support/alloc_fail.h"
#include "support/test.h"

static decisions all;

static int clear(void **state)
{
    (void)state;
    decisions_done(&all);
    memset(&all, 0, sizeof(all));
    return 0;
}

typedef struct sought {
    const char *tags;
    uint64_t seen, kept, sum;
    size_t len;
} sought;

static void look(void *user, decision_count *d)
{
    sought *s = user;

    s->len++;
    s->sum += d->seen;
    if (strcmp(d->tags, s->tags) == 0) {
        s->seen = d->seen;
        s->kept = d->kept;
    }
}

static sought find(const char *tags)
{
    sought s = { .tags = tags };

    decisions_each(&all, look, &s);
    return s;
}

static void test_tags_name_who_decided_for_whom(void **state)
{
    static const struct {
        decider who;
        int32_t priority;
        const char *service, *env, *tags;
    } cases[] = {
        { DECIDER_PRIORITY, 1, "web", "prod",
          "sampler:priority,sampling_priority:auto_keep,target_service:web,target_env:prod" },
        { DECIDER_PRIORITY, 0, "web", "prod",
          "sampler:priority,sampling_priority:auto_drop,target_service:web,target_env:prod" },
        { DECIDER_ERROR, -1, "web", "",
          "sampler:error,sampling_priority:manual_drop,target_service:web" },
        { DECIDER_RARE, 2, "", "e", "sampler:rare,sampling_priority:manual_keep,target_env:e" },
        { DECIDER_NO_PRIORITY, PRIORITY_NONE, "", "",
          "sampler:no_priority,sampling_priority:none" },
        { DECIDER_PROBABILISTIC, 7, "a,b|c", "",
          "sampler:probabilistic,sampling_priority:manual_keep,"
          "target_service:a_b_c" },
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT_OF(cases); i++) {
        sought s;

        decisions_count(&all, cases[i].who, cases[i].priority, sonde_str_from(cases[i].service),
                        sonde_str_from(cases[i].env), true);
        decisions_count(&all, cases[i].who, cases[i].priority, sonde_str_from(cases[i].service),
                        sonde_str_from(cases[i].env), false);
        s = find(cases[i].tags);
        if (s.seen != 2 || s.kept != 1)
            fail_msg("%s: seen %d, kept %d", cases[i].tags, (int)s.seen, (int)s.kept);
    }
    assert_int_equal(find("").len, COUNT_OF(cases));
}

static void test_texts_that_meet_are_not_confused(void **state)
{
    (void)state;
    decisions_count(&all, DECIDER_PRIORITY, 1, SONDE_STR("ab"), SONDE_STR("c"), true);
    decisions_count(&all, DECIDER_PRIORITY, 1, SONDE_STR("a"), SONDE_STR("bc"), true);
    assert_int_equal(find("").len, 2);
}

static void test_beyond_the_ceiling_services_are_not_told_apart(void **state)
{
    sought s;
    int i;

    (void)state;
    for (i = 0; i < DECISIONS_MAX + 30; i++) {
        char service[16];

        (void)snprintf(service, sizeof(service), "s%d", i);
        decisions_count(&all, i % 2 ? DECIDER_ERROR : DECIDER_PRIORITY, 1, sonde_str_from(service),
                        SONDE_STR("e"), true);
    }
    s = find("sampler:error,sampling_priority:auto_keep");
    assert_int_equal(s.seen, 15);
    assert_int_equal(s.sum, DECISIONS_MAX + 30); /* nothing is lost */
    assert_int_equal(s.len, DECISIONS_MAX + 2);
}

static sonde_status count_one(void *user)
{
    size_t lost;

    (void)user;
    decisions_count(&all, DECIDER_PRIORITY, 1, SONDE_STR("s"), SONDE_STR("e"), true);
    lost = all.lost;
    (void)clear(NULL);
    return lost ? SONDE_ERR_NOMEM : SONDE_OK;
}

static void test_without_memory_it_is_said(void **state)
{
    (void)state;
    alloc_fail_each(count_one, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_tags_name_who_decided_for_whom, clear),
        cmocka_unit_test_teardown(test_texts_that_meet_are_not_confused, clear),
        cmocka_unit_test_teardown(test_beyond_the_ceiling_services_are_not_told_apart, clear),
        cmocka_unit_test_teardown(test_without_memory_it_is_said, clear),
    };

    return cmocka_run_group_tests_name("agent/sampler/decisions", tests, NULL, NULL);
}
