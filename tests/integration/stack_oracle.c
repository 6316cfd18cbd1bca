/* stack_oracle.c - interrupts the work of a module thousands of times a second and compares the stacks by our tables with those of
 * libgcc's unwinder.
 *
 *   stack_oracle MODULE SAMPLES      MODULE exports `void work(void)`
 *
 * One line of JSON: samples, equal, complete (to the thread's first function), the first stack that differed. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

#include "base/parse.h"
#include "tests/unit/profiler/libgcc_oracle.h"

#define PERIOD_NS 150000

static loaded objects;

static void fail(const char *what)
{
    fprintf(stderr, "stack_oracle: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF };
    const struct itimerspec every = { { 0, PERIOD_NS }, { 0, PERIOD_NS } };
    uint64_t wanted = 0;
    void (*work)(void);
    timer_t timer;
    void *module;

    if (argc != 3 || sonde_parse_u64(sonde_str_from(argv[2]), &wanted) != SONDE_OK)
        fail("usage: stack_oracle MODULE SAMPLES");
    module = dlopen(argv[1], RTLD_NOW);
    if (!module)
        fail(dlerror());
    *(void **)&work = dlsym(module, "work");
    if (!work)
        fail("the module has no work()");
    work(); /* loads what it loads */
    loaded_read(&objects);
    if (oracle_find_stack() != 0 || timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
        fail("no stack, or no timer");
    oracle_begin(&objects.map, SIGPROF);
    (void)timer_settime(timer, 0, &every, NULL);
    while ((uint64_t)the_oracle.samples < wanted)
        work();
    (void)timer_delete(timer);
    printf("{\"samples\":%d,\"equal\":%d,\"complete\":%d,\"different\":\"%s\"}\n",
           (int)the_oracle.samples, (int)the_oracle.equal, (int)the_oracle.complete,
           the_oracle.first_difference);
    loaded_free(&objects);
    return 0;
}
