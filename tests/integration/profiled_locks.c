/* profiled_locks - waits for locks that another thread holds, and says how long; links nothing of ours.
 *
 * "go" does it all and answers with the nanoseconds waited by each function; the next line ends it. */
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "profiled_late.h"

#define APART  __attribute__((noinline, noclone))
#define ROUNDS 60

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static sem_t semaphore, holds, rounds;

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void hold_ms(long ms)
{
    const struct timespec pause = { 0, ms * 1000000 };

    (void)sem_post(&holds);
    (void)nanosleep(&pause, NULL);
}

/* Holds each kind of lock in turn, when it is asked to. */
static void *holder(void *kind)
{
    int i;

    for (i = 0; i < ROUNDS; i++) {
        while (sem_wait(&rounds) != 0)
            ;
        if (*(const char *)kind == 'm') {
            (void)pthread_mutex_lock(&mutex);
            hold_ms(4);
            (void)pthread_mutex_unlock(&mutex);
        } else if (*(const char *)kind == 'r') {
            (void)pthread_rwlock_wrlock(&rwlock);
            hold_ms(4);
            (void)pthread_rwlock_unlock(&rwlock);
        } else {
            hold_ms(4);
            (void)sem_post(&semaphore);
        }
    }
    return NULL;
}

static APART uint64_t wait_for_mutex(void)
{
    uint64_t from = now_ns();

    (void)pthread_mutex_lock(&mutex);
    from = now_ns() - from;
    (void)pthread_mutex_unlock(&mutex);
    return from;
}

static APART uint64_t wait_for_rwlock(void)
{
    uint64_t from = now_ns();

    (void)pthread_rwlock_rdlock(&rwlock);
    from = now_ns() - from;
    (void)pthread_rwlock_unlock(&rwlock);
    return from;
}

static APART uint64_t wait_for_semaphore(void)
{
    uint64_t from = now_ns();

    (void)sem_wait(&semaphore);
    return now_ns() - from;
}

static uint64_t all_rounds(const char *kind, uint64_t (*wait_once)(void))
{
    uint64_t waited = 0;
    pthread_t thread;
    int i;

    if (pthread_create(&thread, NULL, holder, (void *)(uintptr_t)kind) != 0)
        abort();
    for (i = 0; i < ROUNDS; i++) {
        (void)sem_post(&rounds);
        while (sem_wait(&holds) != 0)
            ;
        waited += wait_once();
    }
    (void)pthread_join(thread, NULL);
    return waited;
}

static APART void nobody_holds(void)
{
    int i;

    for (i = 0; i < 1000000; i++) {
        (void)pthread_mutex_lock(&mutex);
        (void)pthread_mutex_unlock(&mutex);
    }
}

int main(void)
{
    unsigned long long m, r, s;
    char line[64];

    (void)sem_init(&semaphore, 0, 0);
    (void)sem_init(&holds, 0, 0);
    (void)sem_init(&rounds, 0, 0);
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "go\n") != 0)
        ;
    load_late();
    m = all_rounds("m", wait_for_mutex);
    r = all_rounds("r", wait_for_rwlock);
    s = all_rounds("s", wait_for_semaphore);
    nobody_holds();
    printf("{\"wait_for_mutex\": %llu, \"wait_for_rwlock\": %llu, \"wait_for_semaphore\": %llu}\n",
           m, r, s);
    (void)fflush(stdout);
    return fgets(line, sizeof(line), stdin) ? 0 : 1;
}
