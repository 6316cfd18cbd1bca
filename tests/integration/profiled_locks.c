/* profiled_locks - waits for locks that another thread holds, and says how long; links nothing of ours.
 *
 * "go" does it all and answers with the nanoseconds waited by each function; the next line ends it.  wait_for_X() is kept
 * waiting by lets_go_of_X(), on another thread. */
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

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, of_condition = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_spinlock_t spin;
static sem_t semaphore, holds, rounds;
static int is_true;
static volatile int calls; /* counted behind the last call of a function: it is no jump then */

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static APART void hold_ms(long ms)
{
    const struct timespec pause = { 0, ms * 1000000 };

    (void)sem_post(&holds);
    (void)nanosleep(&pause, NULL);
}

static APART void lets_go_of_mutex(void)
{
    (void)pthread_mutex_lock(&mutex);
    hold_ms(4);
    (void)pthread_mutex_unlock(&mutex);
    calls++;
}

static APART void lets_go_of_rwlock(void)
{
    (void)pthread_rwlock_wrlock(&rwlock);
    hold_ms(4);
    (void)pthread_rwlock_unlock(&rwlock);
    calls++;
}

static APART void lets_go_of_semaphore(void)
{
    hold_ms(4);
    (void)sem_post(&semaphore);
    calls++;
}

static APART void lets_go_of_spin(void)
{
    (void)pthread_spin_lock(&spin);
    hold_ms(4);
    (void)pthread_spin_unlock(&spin);
    calls++;
}

static APART void lets_go_of_condition(void)
{
    hold_ms(4);
    (void)pthread_mutex_lock(&of_condition);
    is_true = 1;
    (void)pthread_mutex_unlock(&of_condition);
    (void)pthread_cond_signal(&condition);
    calls++;
}

/* One of those, when it is asked to. */
static void *holder(void *what)
{
    void (*const *hold)(void) = (void (*const *)(void))what;
    int i;

    for (i = 0; i < ROUNDS; i++) {
        while (sem_wait(&rounds) != 0)
            ;
        (*hold)();
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

static APART uint64_t wait_for_spin(void)
{
    uint64_t from = now_ns();

    (void)pthread_spin_lock(&spin);
    from = now_ns() - from;
    (void)pthread_spin_unlock(&spin);
    return from;
}

static APART uint64_t wait_for_condition(void)
{
    uint64_t from = now_ns();

    (void)pthread_mutex_lock(&of_condition);
    while (!is_true)
        (void)pthread_cond_wait(&condition, &of_condition);
    is_true = 0;
    (void)pthread_mutex_unlock(&of_condition);
    return now_ns() - from;
}

static uint64_t all_rounds(void (*hold)(void), uint64_t (*wait_once)(void))
{
    uint64_t waited = 0;
    pthread_t thread;
    int i;

    if (pthread_create(&thread, NULL, holder, &hold) != 0)
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
    unsigned long long m, r, s, p, c;
    char line[64];

    (void)sem_init(&semaphore, 0, 0);
    (void)sem_init(&holds, 0, 0);
    (void)sem_init(&rounds, 0, 0);
    (void)pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
    while (fgets(line, sizeof(line), stdin) && strcmp(line, "go\n") != 0)
        ;
    load_late();
    m = all_rounds(lets_go_of_mutex, wait_for_mutex);
    r = all_rounds(lets_go_of_rwlock, wait_for_rwlock);
    s = all_rounds(lets_go_of_semaphore, wait_for_semaphore);
    p = all_rounds(lets_go_of_spin, wait_for_spin);
    c = all_rounds(lets_go_of_condition, wait_for_condition);
    nobody_holds();
    printf("{\"mutex\": %llu, \"rwlock\": %llu, \"semaphore\": %llu, \"spin\": %llu, "
           "\"condition\": %llu}\n",
           m, r, s, p, c);
    (void)fflush(stdout);
    return fgets(line, sizeof(line), stdin) ? 0 : 1;
}
