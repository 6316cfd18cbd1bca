/* crash.c - the thread of the crash socket, and its life. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "net/socket.h"

#define SOCKET_MODE 0722
#define SOCKET_NAME "crash.socket"
#define EVENTS      64
#define DYING_NS    (UINT64_C(2) * SONDE_NS_PER_S)  /* from the hang-up to the pidfd */
#define DUMPING_NS  (UINT64_C(60) * SONDE_NS_PER_S) /* the same where a core may be written */
#define STACK_BYTES (256u * 1024)

void crash_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

bool crash_watch_fd(crash *c, int fd, void *what)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = what };

    return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

/* -- the thread ----------------------------------------------------------------------------------- */

static void look_at(crash *c, peer *p)
{
    if (p->over)
        return;
    peer_read(c, p);
    if (!p->over && peer_has_ended(p))
        death_bury(c, p);
}

/* It hung up and lives on. */
static void give_up(crash *c, peer *p)
{
    if (p->report)
        crash_count(&c->counters.reports[REPORT_SURVIVED], 1);
    else
        crash_count(&c->counters.detached, 1);
    p->over = true;
}

/* Frees what is over, and those that hung up and live on; when to look again, in ms. */
static int sweep(crash *c)
{
    uint64_t now = sonde_mono_ns();
    size_t i = 0;
    int wait_ms = -1;

    while (i < c->peers_len) {
        peer *p = c->peers[i];

        if (!p->over && p->socket < 0) {
            if (peer_has_ended(p)) {
                death_bury(c, p);
            } else if (now - p->hung_up_mono_ns > (p->report ? DUMPING_NS : DYING_NS)) {
                give_up(c, p);
            } else {
                wait_ms = 100;
            }
        }
        if (p->over)
            peer_free(c, p);
        else
            i++;
    }
    return wait_ms;
}

static void *run(void *arg)
{
    struct epoll_event events[EVENTS];
    crash *c = arg;
    int wait_ms = -1, n, i;

    for (;;) {
        n = epoll_wait(c->epoll, events, EVENTS, wait_ms);
        for (i = 0; i < n; i++) {
            if (events[i].data.ptr == &c->wake)
                return NULL;
            if (events[i].data.ptr == &c->listener)
                peer_accept_all(c);
            else
                look_at(c, events[i].data.ptr);
        }
        wait_ms = sweep(c);
    }
}

/* -- life ----------------------------------------------------------------------------------------- */

static sonde_status find_path(crash *c, sonde_str trace_socket, sonde_error *out_error)
{
    size_t folder = trace_socket.len;

    while (folder > 0 && trace_socket.ptr[folder - 1] != '/')
        folder--;
    if (folder == 0 || folder + sizeof(SOCKET_NAME) > sizeof(c->path))
        return sonde_fail(out_error, SONDE_ERR_INVALID, "no room for a socket beside %.*s",
                          SONDE_STR_ARG(trace_socket));
    (void)snprintf(c->path, sizeof(c->path), "%.*s" SOCKET_NAME, (int)folder, trace_socket.ptr);
    return SONDE_OK;
}

static sonde_status start(crash *c, sonde_error *out_error)
{
    sonde_status status = sonde_listen_packets(c->path, SOCKET_MODE, &c->listener, out_error);

    if (status != SONDE_OK)
        return status;
    c->epoll = epoll_create1(EPOLL_CLOEXEC);
    c->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->epoll < 0 || c->wake < 0 || !crash_watch_fd(c, c->listener, &c->listener) ||
        !crash_watch_fd(c, c->wake, &c->wake))
        return sonde_fail_sys(out_error, errno, "crash socket");
    status = sonde_thread_start(&c->thread, "agent-crash", STACK_BYTES, run, c);
    c->has_thread = status == SONDE_OK;
    return status == SONDE_OK ? status
                              : sonde_fail(out_error, status, "thread of the crash socket");
}

sonde_status crash_open(const crash_options *options, crash **out_crash, sonde_error *out_error)
{
    crash *c = sonde_calloc(1, sizeof(*c));
    sonde_status status;

    if (!c)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "crash socket");
    c->sink = options->sink;
    c->symbols = options->symbols;
    c->telemetry = options->telemetry;
    c->push_telemetry = options->push_telemetry;
    c->listener = c->epoll = c->wake = -1;
    status = find_path(c, options->trace_socket, out_error);
    if (status == SONDE_OK)
        status = start(c, out_error);
    if (status != SONDE_OK) {
        crash_close(c);
        return status;
    }
    *out_crash = c;
    return SONDE_OK;
}

void crash_stop(crash *c)
{
    const uint64_t one = 1;

    if (!c || !c->has_thread)
        return;
    (void)!write(c->wake, &one, sizeof(one));
    (void)pthread_join(c->thread, NULL);
    c->has_thread = false;
}

void crash_close(crash *c)
{
    if (!c)
        return;
    crash_stop(c);
    while (c->peers_len > 0)
        peer_free(c, c->peers[0]);
    crash_close_fd(&c->listener);
    crash_close_fd(&c->epoll);
    crash_close_fd(&c->wake);
    sonde_free(c);
}

sonde_str crash_socket_path(const crash *c)
{
    return c ? sonde_str_from(c->path) : (sonde_str){ NULL, 0 };
}

static void put_all(sonde_json_writer *w, const char *key, const char *const *names,
                    const _Atomic uint64_t *counters, size_t len)
{
    size_t i;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    for (i = 0; i < len; i++)
        sonde_json_put_counter(w, names[i], &counters[i]);
    sonde_json_end_object(w);
}

void crash_write_json(void *arg, sonde_json_writer *w)
{
    static const char *const refusals[REFUSALS] = { "version", "size", "seals", "too_many",
                                                    "packet" };
    static const char *const causes[BOX_CAUSES] = { "signal", "oom_kill", "exit", "unknown" };
    static const char *const fates[REPORT_FATES] = { "sent",     "malformed", "no_memory",
                                                     "replaced", "survived",  "dropped",
                                                     "refused" };
    const crash_counters *n = &((const crash *)arg)->counters;

    sonde_json_begin_object(w);
    sonde_json_put_counter(w, "connections", &n->connections);
    put_all(w, "refused", refusals, n->refused, REFUSALS);
    put_all(w, "deaths", causes, n->deaths, BOX_CAUSES);
    sonde_json_put_counter(w, "ends_in_order", &n->ends_in_order);
    sonde_json_put_counter(w, "deaths_dropped", &n->deaths_dropped);
    sonde_json_put_counter(w, "detached", &n->detached);
    sonde_json_put_counter(w, "spans", &n->spans);
    sonde_json_put_counter(w, "spans_unplaced", &n->spans_unplaced);
    sonde_json_put_counter(w, "torn", &n->torn);
    sonde_json_put_counter(w, "lost", &n->lost);
    sonde_json_put_counter(w, "reports_received", &n->reports_received);
    put_all(w, "reports", fates, n->reports, REPORT_FATES);
    sonde_json_end_object(w);
}
