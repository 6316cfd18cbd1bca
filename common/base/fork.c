/* fork.c - one pthread_atfork registration for the library, hooks in rank order.
 *
 * Threads   `registry` is a plain mutex below every rank: it is held from prefork to postfork, so the
 *           list cannot change in between and the child never meets it half-written. */
#include "base/fork.h"

#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static const sonde_fork_hooks *hooks_by_rank[SONDE_FORK_HOOKS_MAX]; /* guarded by registry */
static int hooks_count;                                             /* guarded by registry */
static int atfork_result;

static void prefork(void)
{
    int i;

    (void)pthread_mutex_lock(&registry);
    for (i = 0; i < hooks_count; i++) {
        if (hooks_by_rank[i]->prefork)
            hooks_by_rank[i]->prefork();
    }
}

static void postfork_parent(void)
{
    int i;

    for (i = hooks_count - 1; i >= 0; i--) {
        if (hooks_by_rank[i]->postfork_parent)
            hooks_by_rank[i]->postfork_parent();
    }
    (void)pthread_mutex_unlock(&registry);
}

static void postfork_child(void)
{
    int i;

    for (i = hooks_count - 1; i >= 0; i--) {
        if (hooks_by_rank[i]->postfork_child)
            hooks_by_rank[i]->postfork_child();
    }
    (void)pthread_mutex_unlock(&registry);
}

static void register_once(void)
{
    atfork_result = pthread_atfork(prefork, postfork_parent, postfork_child);
}

static sonde_status insert_locked(const sonde_fork_hooks *hooks)
{
    int at = hooks_count;

    if (hooks_count == SONDE_FORK_HOOKS_MAX)
        return SONDE_ERR_FULL;
    for (; at > 0 && hooks_by_rank[at - 1]->rank > hooks->rank; at--)
        hooks_by_rank[at] = hooks_by_rank[at - 1];
    hooks_by_rank[at] = hooks;
    hooks_count++;
    return SONDE_OK;
}

sonde_status sonde_fork_register(const sonde_fork_hooks *hooks)
{
    sonde_status status;

    (void)pthread_once(&once, register_once);
    if (atfork_result != 0)
        return SONDE_ERR_NOMEM;
    (void)pthread_mutex_lock(&registry);
    status = insert_locked(hooks);
    (void)pthread_mutex_unlock(&registry);
    return status;
}
