/* test_trace_profiler.c - libtrace and a profiler in one process, met in every order: records, endpoints,
 * and what spans cost.
 *
 * Each test is this program again, as a process of its own: which library is there first cannot be
 * changed afterwards.  Neither is linked. */
#include "support/test.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <dlfcn.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parse.h"
#include "base/str.h"
#include "fake_profiler.h"
#include "sonde/sonde.h"
#include "sonde/test.h"

extern char **environ;

static char *self; /* argv[0] */

/* -- the two libraries ---------------------------------------------------------------------------- */

/* clang-format off */
#define TRACE_FUNCTIONS(X) \
    X(sonde_test_start) X(sonde_test_stop) X(sonde_test_find) X(sonde_test_tag) X(sonde_test_at) \
    X(sonde_test_count) X(sonde_test_clear) X(sonde_span_start) X(sonde_span_enter) \
    X(sonde_span_leave) X(sonde_span_finish) X(sonde_span_activate) X(sonde_span_deactivate) \
    X(sonde_span_set_resource) X(sonde_span_set_type) X(sonde_span_id) X(sonde_context_of_span) \
    X(sonde_context_attach) X(sonde_context_detach) X(sonde_context_release)
#define PROFILER_FUNCTIONS(X) \
    X(fake_prof_attach) X(fake_prof_detach) X(fake_prof_knows) X(fake_prof_calls) \
    X(fake_prof_add) X(fake_prof_reports) X(fake_prof_report_at)
/* clang-format on */

static struct {
#define X(name) __typeof__(&name) name;
    TRACE_FUNCTIONS(X)
    PROFILER_FUNCTIONS(X)
#undef X
} lib;

#define SAY(...) (fprintf(stderr, __VA_ARGS__), fputc('\n', stderr))
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            SAY("line %d: %s", __LINE__, #condition);                                              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void find(void *library, const char *name, void *out_pointer)
{
    void *symbol = library ? dlsym(library, name) : NULL;

    if (!symbol) {
        SAY("%s: %s", name, dlerror());
        exit(1);
    }
    memcpy(out_pointer, &symbol, sizeof(symbol)); /* ISO C has no other way */
}

static void load_trace(int scope)
{
    void *library = dlopen(SONDE_TRACE_SO, RTLD_NOW | scope);

#define X(name) find(library, #name, &lib.name);
    TRACE_FUNCTIONS(X)
#undef X
}

static void load_profiler(int scope)
{
    void *library = dlopen(FAKE_PROFILER_SO, RTLD_NOW | scope);

#define X(name) find(library, #name, &lib.name);
    PROFILER_FUNCTIONS(X)
#undef X
}

static void start(void)
{
    NEED(lib.sonde_test_start(NULL) == SONDE_OK);
}

/* -- looking -------------------------------------------------------------------------------------- */

/* The tag of the span as a number, 0 when it has none. */
static uint64_t tag_of(const sonde_test_span *span, const char *key)
{
    const char *text = lib.sonde_test_tag(span, key);
    uint64_t value = 0;

    NEED(!text || sonde_parse_u64(sonde_str_from(text), &value) == SONDE_OK);
    NEED(!text || value > 0);
    return value;
}

static bool costs(const char *name, uint64_t cpu, uint64_t alloc, uint64_t lock)
{
    const sonde_test_span *span = lib.sonde_test_find(name);
    uint64_t got[3];

    NEED(span);
    got[0] = tag_of(span, "sonde.cpu_ns");
    got[1] = tag_of(span, "sonde.alloc_bytes");
    got[2] = tag_of(span, "sonde.lock_wait_ns");
    if (got[0] == cpu && got[1] == alloc && got[2] == lock)
        return true;
    SAY("%s: %llu %llu %llu", name, (unsigned long long)got[0], (unsigned long long)got[1],
        (unsigned long long)got[2]);
    return false;
}

static bool reported(uint32_t i, uint64_t id, const char *resource, const char *type,
                     uint32_t finished)
{
    fake_prof_report r = lib.fake_prof_report_at(i);

    if (r.root_id == id && strcmp(r.resource, resource) == 0 && strcmp(r.type, type) == 0 &&
        r.finished == finished)
        return true;
    SAY("report %u: \"%s\" \"%s\" %u", i, r.resource, r.type, r.finished);
    return false;
}

/* -- what holds in every order -------------------------------------------------------------------- */

static void *trace_on_a_new_thread(void *unused)
{
    (void)unused;
    lib.sonde_span_leave(lib.sonde_span_enter("thread", NULL));
    NEED(lib.fake_prof_knows((uint32_t)syscall(SYS_gettid)));
    return NULL;
}

static void on_a_thread(void *(*run)(void *))
{
    pthread_t thread;

    NEED(pthread_create(&thread, NULL, run, NULL) == 0);
    NEED(pthread_join(thread, NULL) == 0);
}

static void see_records(void)
{
    lib.sonde_span_leave(lib.sonde_span_enter("main", NULL));
    NEED(lib.fake_prof_knows((uint32_t)getpid()));
    on_a_thread(trace_on_a_new_thread);
    on_a_thread(trace_on_a_new_thread); /* with the record of the one before */
}

static void see_endpoints(void)
{
    uint32_t n = lib.fake_prof_reports();
    uint64_t id;
    sonde_span *root =
        lib.sonde_span_enter("r", &(sonde_span_options){ .resource = "GET /", .type = "web" });

    id = lib.sonde_span_id(root);
    NEED(lib.fake_prof_reports() == n + 1 && reported(n, id, "GET /", "web", 0));
    lib.sonde_span_leave(
        lib.sonde_span_enter("child", &(sonde_span_options){ .resource = "c", .type = "web" }));
    lib.sonde_span_set_resource(root, "GET /x");
    NEED(lib.fake_prof_reports() == n + 1);
    lib.sonde_span_leave(root);
    NEED(lib.fake_prof_reports() == n + 2 && reported(n + 1, id, "GET /x", "web", 1));

    root = lib.sonde_span_start("named", NULL);
    id = lib.sonde_span_id(root);
    lib.sonde_span_finish(root);
    NEED(lib.fake_prof_reports() == n + 3 && reported(n + 2, id, "named", "", 1));

    root = lib.sonde_span_start("later", NULL);
    id = lib.sonde_span_id(root);
    lib.sonde_span_set_type(root, "rpc");
    lib.sonde_span_set_resource(root, "Call");
    NEED(lib.fake_prof_reports() == n + 4 && reported(n + 3, id, "Call", "rpc", 0));
    lib.sonde_span_finish(root);
    NEED(lib.fake_prof_reports() == n + 5 && reported(n + 4, id, "Call", "rpc", 1));

    root = lib.sonde_span_start("q", &(sonde_span_options){ .resource = "SELECT", .type = "sql" });
    lib.sonde_span_finish(root);
    NEED(lib.fake_prof_reports() == n + 5);
}

static void see_costs(void)
{
    sonde_span *a, *b;
    sonde_context *context;

    lib.sonde_test_clear();
    a = lib.sonde_span_enter("a", NULL);
    NEED(lib.fake_prof_add(10, 1, 0));
    b = lib.sonde_span_enter("b", NULL);
    NEED(lib.fake_prof_add(5, 0, 7));
    lib.sonde_span_leave(b);
    NEED(lib.fake_prof_add(1, 0, 0));
    context = lib.sonde_context_of_span(a);
    (void)lib.sonde_context_attach(context);
    NEED(lib.fake_prof_add(1000, 1000, 1000)); /* of no span here */
    lib.sonde_context_detach(context);
    lib.sonde_context_release(context);
    lib.sonde_span_leave(a);
    NEED(lib.fake_prof_add(500, 500, 500));

    a = lib.sonde_span_start("moved", NULL); /* active twice, finished while it is */
    lib.sonde_span_activate(a);
    NEED(lib.fake_prof_add(2, 0, 0));
    lib.sonde_span_deactivate(a);
    NEED(lib.fake_prof_add(100, 0, 0));
    lib.sonde_span_activate(a);
    lib.sonde_span_activate(a);
    NEED(lib.fake_prof_add(3, 0, 0));
    lib.sonde_span_deactivate(a);
    NEED(lib.fake_prof_add(4, 0, 1));
    lib.sonde_span_finish(a);
    NEED(lib.fake_prof_add(100, 0, 0));
    lib.sonde_span_deactivate(a);

    a = lib.sonde_span_enter("outer", NULL); /* left in the wrong order */
    b = lib.sonde_span_enter("inner", NULL);
    NEED(lib.fake_prof_add(6, 0, 0));
    lib.sonde_span_leave(a);
    NEED(lib.fake_prof_add(7, 0, 0));
    lib.sonde_span_leave(b);
    lib.sonde_span_leave(lib.sonde_span_enter("idle", NULL));

    NEED(costs("a", 11, 1, 0));
    NEED(costs("b", 5, 0, 7));
    NEED(costs("moved", 9, 0, 1));
    NEED(costs("outer", 0, 0, 0));
    NEED(costs("inner", 13, 0, 0));
    NEED(costs("idle", 0, 0, 0));
}

enum { THREADS = 3, ROUNDS = 2000 };

static _Atomic uint64_t added[3];

static void add_some(uint64_t *random)
{
    uint64_t weight[3];
    int i;

    for (i = 0; i < 3; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        weight[i] = *random >> 60 < 4 ? *random >> 40 : 0;
        (void)atomic_fetch_add(&added[i], weight[i]);
    }
    NEED(lib.fake_prof_add(weight[0], weight[1], weight[2]));
}

static void *work(void *seed)
{
    uint64_t random = (uint64_t)(uintptr_t)seed;
    int i;

    for (i = 0; i < ROUNDS / 3; i++) {
        sonde_span *a = lib.sonde_span_enter("a", NULL);
        sonde_span *b, *c;

        add_some(&random);
        b = lib.sonde_span_enter("b", NULL);
        add_some(&random);
        c = lib.sonde_span_enter("c", &(sonde_span_options){ .new_trace = i % 2 });
        add_some(&random);
        lib.sonde_span_leave(c);
        add_some(&random);
        lib.sonde_span_leave(b);
        add_some(&random);
        lib.sonde_span_leave(a);
    }
    return NULL;
}

static void see_sums(void)
{
    static const char *const keys[] = { "sonde.cpu_ns", "sonde.alloc_bytes", "sonde.lock_wait_ns" };
    pthread_t threads[THREADS];
    uint64_t sum[3] = { 0, 0, 0 };
    uintptr_t i;
    uint32_t n, k;

    lib.sonde_test_clear();
    for (i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (i = 0; i < THREADS; i++)
        NEED(pthread_join(threads[i], NULL) == 0);
    n = lib.sonde_test_count();
    NEED(n == THREADS * (ROUNDS / 3) * 3);
    for (k = 0; k < 3; k++) {
        for (i = 0; i < n; i++)
            sum[k] += tag_of(lib.sonde_test_at((uint32_t)i), keys[k]);
        NEED(sum[k] == added[k] && sum[k] > 0);
    }
}

static void see_all(void)
{
    see_records();
    see_endpoints();
    see_costs();
}

/* -- orders --------------------------------------------------------------------------------------- */

static void part_profiler_first(void)
{
    load_profiler(RTLD_GLOBAL);
    load_trace(RTLD_LOCAL);
    start();
    see_all();
    lib.sonde_test_stop();
    start(); /* another life, the same profiler */
    see_costs();
}

static sem_t traced, go_on;

static void *older_thread(void *unused)
{
    (void)unused;
    lib.sonde_span_leave(lib.sonde_span_enter("older", NULL));
    (void)sem_post(&traced);
    while (sem_wait(&go_on) != 0)
        continue;
    NEED(lib.fake_prof_knows((uint32_t)syscall(SYS_gettid)));
    return NULL;
}

/* Threads and spans that are there already. */
static void profiler_later(const char *library)
{
    sonde_span *before, *during;
    pthread_t thread;

    start();
    before = lib.sonde_span_enter("before", NULL);
    NEED(sem_init(&traced, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0);
    NEED(pthread_create(&thread, NULL, older_thread, NULL) == 0);
    while (sem_wait(&traced) != 0)
        continue;
    load_profiler(RTLD_LOCAL);
    NEED(lib.fake_prof_attach(library));
    NEED(lib.fake_prof_calls() == 2);
    NEED(lib.fake_prof_knows((uint32_t)getpid()));
    (void)sem_post(&go_on);
    NEED(pthread_join(thread, NULL) == 0);

    NEED(lib.fake_prof_add(9, 9, 9));
    during = lib.sonde_span_enter("during", NULL);
    NEED(lib.fake_prof_add(8, 0, 0));
    lib.sonde_span_leave(during);
    lib.sonde_span_leave(before);
    NEED(costs("before", 0, 0, 0)); /* not for the whole of its life */
    NEED(costs("during", 8, 0, 0));
    see_all();

    before = lib.sonde_span_enter("cut", NULL);
    NEED(lib.fake_prof_add(3, 0, 0));
    lib.sonde_span_leave(lib.sonde_span_enter("whole", NULL));
    during = lib.sonde_span_enter("cut too", NULL);
    NEED(lib.fake_prof_add(4, 0, 0));
    lib.sonde_span_deactivate(during); /* its tag is written */
    NEED(lib.fake_prof_detach(library));
    NEED(lib.fake_prof_add(5, 0, 0));
    NEED(lib.fake_prof_attach(library));
    lib.sonde_span_finish(during);
    lib.sonde_span_leave(before);
    NEED(costs("cut", 0, 0, 0));
    NEED(costs("cut too", 0, 0, 0));
    see_costs();
}

static void part_profiler_later(void)
{
    load_trace(RTLD_GLOBAL);
    profiler_later(NULL);
}

static void part_both_apart(void)
{
    load_trace(RTLD_LOCAL);
    profiler_later(SONDE_TRACE_SO);
}

static void part_profiler_before_start(void)
{
    load_trace(RTLD_LOCAL);
    load_profiler(RTLD_LOCAL);
    NEED(!lib.fake_prof_attach(NULL)); /* neither sees the other */
    NEED(lib.fake_prof_attach(SONDE_TRACE_SO));
    start();
    see_all();
}

static void part_sums(void)
{
    load_profiler(RTLD_GLOBAL);
    load_trace(RTLD_LOCAL);
    start();
    see_sums();
}

static void part_switched_off(void)
{
    sonde_span *a;

    (void)setenv("SONDE_COST_PER_SPAN", "false", 1);
    load_profiler(RTLD_GLOBAL);
    load_trace(RTLD_LOCAL);
    start();
    see_records();
    see_endpoints();
    a = lib.sonde_span_enter("a", NULL);
    NEED(lib.fake_prof_add(1, 1, 1));
    lib.sonde_span_leave(a);
    NEED(costs("a", 0, 0, 0));
}

static void part_no_profiler(void)
{
    load_trace(RTLD_LOCAL);
    start();
    lib.sonde_span_leave(lib.sonde_span_enter("a", NULL));
    NEED(costs("a", 0, 0, 0));
}

static const struct {
    const char *name;
    void (*run)(void);
} parts[] = {
    { "profiler_first", part_profiler_first },
    { "profiler_later", part_profiler_later },
    { "both_apart", part_both_apart },
    { "profiler_before_start", part_profiler_before_start },
    { "sums", part_sums },
    { "switched_off", part_switched_off },
    { "no_profiler", part_no_profiler },
};

static int play(const char *name)
{
    size_t i;

    for (i = 0; i < COUNT_OF(parts); i++) {
        if (strcmp(parts[i].name, name) != 0)
            continue;
        parts[i].run();
        lib.sonde_test_stop();
        return 0;
    }
    return 2;
}

/* -- tests ---------------------------------------------------------------------------------------- */

static void run_part(const char *name)
{
    char *argv[] = { self, (char *)(uintptr_t)name, NULL };
    int status = -1;
    pid_t pid;

    assert_int_equal(posix_spawn(&pid, self, NULL, NULL, argv, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_a_profiler_that_is_there_first_is_found(void **state)
{
    (void)state;
    run_part("profiler_first");
}

static void test_a_profiler_that_comes_later_finds_the_tracer(void **state)
{
    (void)state;
    run_part("profiler_later");
}

static void test_two_libraries_that_do_not_see_each_other_meet(void **state)
{
    (void)state;
    run_part("both_apart");
}

static void test_a_profiler_may_come_between_load_and_start(void **state)
{
    (void)state;
    run_part("profiler_before_start");
}

static void test_self_values_add_up_exactly(void **state)
{
    (void)state;
    run_part("sums");
}

static void test_costs_can_be_switched_off(void **state)
{
    (void)state;
    run_part("switched_off");
}

static void test_without_a_profiler_there_are_no_costs(void **state)
{
    (void)state;
    run_part("no_profiler");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_profiler_that_is_there_first_is_found),
        cmocka_unit_test(test_a_profiler_that_comes_later_finds_the_tracer),
        cmocka_unit_test(test_two_libraries_that_do_not_see_each_other_meet),
        cmocka_unit_test(test_a_profiler_may_come_between_load_and_start),
        cmocka_unit_test(test_self_values_add_up_exactly),
        cmocka_unit_test(test_costs_can_be_switched_off),
        cmocka_unit_test(test_without_a_profiler_there_are_no_costs),
    };

    self = argv[0];
    (void)setenv("DD_TRACE_STARTUP_LOGS", "0", 1);
    if (argc == 2)
        return play(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
