/* lease.c - the thread that accepts in place of libmicrohttpd's, which knows only how many connections are
 * open at a time. */
#include "net/server/lease.h"

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"

#define LEASE_STACK_BYTES (64 * 1024)
#define ACCEPT_PAUSE_NS   (5 * SONDE_NS_PER_MS) /* after an error, such as no descriptors */

struct lease {
    lease_options options;
    int stop; /* eventfd: readable when the thread is to end */
    pthread_t thread;
    bool started;
};

/* Waits for `fd` (-1: nothing) until the deadline; false: the thread is to end. */
static bool wait_for(const lease *l, int fd, uint64_t deadline_mono_ns)
{
    struct pollfd fds[] = { { .fd = l->stop, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
    int ms = deadline_mono_ns == UINT64_MAX ? -1 : sonde_ms_left(deadline_mono_ns, sonde_mono_ns());

    (void)poll(fds, 2, ms);
    return fds[0].revents == 0;
}

/* False: nothing was accepted. */
static bool accept_one(lease *l)
{
    int fd = accept4(l->options.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return false;
    l->options.accepted(l->options.user, fd);
    return true;
}

static void *run_lease(void *arg)
{
    lease *l = arg;
    uint64_t refill_at = sonde_deadline(sonde_mono_ns(), l->options.period_ns);
    unsigned left = l->options.connections;

    while (wait_for(l, l->options.fd, UINT64_MAX)) {
        uint64_t now = sonde_mono_ns();

        if (now >= refill_at) {
            refill_at = sonde_deadline(now, l->options.period_ns);
            left = l->options.connections;
        }
        if (left > 0) {
            if (accept_one(l))
                left--;
            else if (!wait_for(l, -1, sonde_deadline(now, ACCEPT_PAUSE_NS)))
                break;
            continue;
        }
        atomic_fetch_add_explicit(l->options.waits, 1, memory_order_relaxed);
        if (!wait_for(l, -1, refill_at))
            break;
    }
    return NULL;
}

sonde_status lease_open(const lease_options *options, lease **out_lease)
{
    lease *l = sonde_calloc(1, sizeof(*l));
    sonde_status status = SONDE_ERR_SYS;

    if (!l)
        return SONDE_ERR_NOMEM;
    l->options = *options;
    l->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->stop >= 0)
        status = sonde_thread_start(&l->thread, options->name, LEASE_STACK_BYTES, run_lease, l);
    l->started = status == SONDE_OK;
    if (status != SONDE_OK) {
        lease_close(l);
        return status;
    }
    *out_lease = l;
    return SONDE_OK;
}

void lease_close(lease *l)
{
    const uint64_t one = 1;

    if (!l)
        return;
    if (l->started) {
        (void)!write(l->stop, &one, sizeof(one));
        (void)pthread_join(l->thread, NULL);
    }
    if (l->stop >= 0)
        (void)close(l->stop);
    sonde_free(l);
}
