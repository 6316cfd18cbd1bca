/* storm_dlopen.c - a program that knows libtrace only at run time: threads are there before it is loaded,
 * it is closed while it works, opened again, and still there at the exit.
 *
 *   storm_dlopen LIBRARY ROUNDS
 *
 * Prints the spans delivered; 1: something is not as it should be, said on standard error. */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/parse.h"
#include "sonde/sonde.h"

#define WORKERS 4

/* The functions under their own names, so that types come from the header. */
static struct {
    __typeof__(&sonde_start) start;
    __typeof__(&sonde_stop) stop;
    __typeof__(&sonde_flush) flush;
    __typeof__(&sonde_span_enter) enter;
    __typeof__(&sonde_span_leave) leave;
    __typeof__(&sonde_span_set_str) set_str;
    __typeof__(&sonde_counters_read) read;
} lib;

static bool find(void *library, const char *name, void *out_pointer)
{
    void *symbol = dlsym(library, name);

    memcpy(out_pointer, &symbol, sizeof(symbol)); /* ISO C has no other way */
    return symbol != NULL;
}

static bool load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!library || !find(library, "sonde_start", &lib.start) ||
        !find(library, "sonde_stop", &lib.stop) || !find(library, "sonde_flush", &lib.flush) ||
        !find(library, "sonde_span_enter", &lib.enter) ||
        !find(library, "sonde_span_leave", &lib.leave) ||
        !find(library, "sonde_span_set_str", &lib.set_str) ||
        !find(library, "sonde_counters_read", &lib.read)) {
        fprintf(stderr, "storm_dlopen: %s\n", dlerror());
        return false;
    }
    return true;
}

static sem_t loaded;
static atomic_bool done;

static void trace_once(void)
{
    sonde_span *outer = lib.enter("dlopen.outer", NULL);
    sonde_span *inner = lib.enter("dlopen.inner", NULL);

    lib.set_str(inner, "k", "v");
    lib.leave(inner);
    lib.leave(outer);
}

/* Older than the library, so that its thread-local storage comes to a thread that runs. */
static void *work(void *unused)
{
    const struct timespec moment = { .tv_nsec = 500000 };

    (void)unused;
    while (sem_wait(&loaded) != 0)
        continue;
    while (!atomic_load(&done)) {
        trace_once();
        nanosleep(&moment, NULL);
    }
    return NULL;
}

static bool reopen(const char *path, uint64_t rounds)
{
    __typeof__(lib.enter) enter;
    void *library;
    uint64_t i;

    for (i = 0; i < rounds; i++) {
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!library || !find(library, "sonde_span_enter", &enter) || enter != lib.enter) {
            fprintf(stderr, "storm_dlopen: the library has moved\n");
            return false;
        }
        trace_once();
        if (i % 2 == 0)
            lib.flush(10000);
        dlclose(library); /* the others trace on: it must stay mapped */
        trace_once();
    }
    return true;
}

int main(int argc, char **argv)
{
    pthread_t workers[WORKERS];
    sonde_counters c = { .struct_bytes = sizeof(c) };
    uint64_t rounds;
    bool ok;
    int i;

    if (argc != 3 || sonde_parse_u64(sonde_str_from(argv[2]), &rounds) != SONDE_OK)
        return 2;
    sem_init(&loaded, 0, 0);
    for (i = 0; i < WORKERS; i++)
        if (pthread_create(&workers[i], NULL, work, NULL) != 0)
            return 1;
    if (!load(argv[1]) || lib.start(NULL) != SONDE_OK)
        return 1;
    for (i = 0; i < WORKERS; i++)
        sem_post(&loaded);
    ok = reopen(argv[1], rounds);
    atomic_store(&done, true);
    for (i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    lib.stop();
    lib.read(&c);
    printf("%llu %llu\n", (unsigned long long)c.spans_finished,
           (unsigned long long)c.spans_delivered);
    return ok ? 0 : 1;
}
