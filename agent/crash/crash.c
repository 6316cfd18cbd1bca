/* crash.c - the thread of the crash socket: connections, packets, deaths. */
#include "crash.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hex.h"
#include "base/log.h"
#include "base/thread.h"
#include "net/socket.h"

#include "box.h"
#include "crash/message.h"
#include "ending.h"

#define SOCKET_MODE 0722
#define SOCKET_NAME "crash.socket"
#define PATH_ROOM   108
#define EVENTS      64
#define PACKET_ROOM (sizeof(sonde_crash_crash) + SONDE_CRASH_REPORT_MAX)
#define DYING_NS    (UINT64_C(2) * SONDE_NS_PER_S) /* from the hang-up to the pidfd */
#define DUMPING_NS                                                                                 \
    (UINT64_C(60) * SONDE_NS_PER_S) /* the same after a report: a core may be written */
#define STACK_TEXT  (256u * 1024)
#define NO_NUMBER   0
#define STACK_BYTES (256u * 1024)

enum refusal {
    REFUSED_VERSION,
    REFUSED_SIZE,
    REFUSED_SEALS,
    REFUSED_TOO_MANY,
    REFUSED_PACKET,
    REFUSALS
};

/* reports_received == sum of these + those of processes that are dying */
enum report_fate {
    REPORT_SENT,
    REPORT_MALFORMED,
    REPORT_NO_MEMORY,
    REPORT_REPLACED, /* by one that says more of the same process */
    REPORT_SURVIVED, /* the process went on, or ended in order */
    REPORT_DROPPED,  /* beyond CRASH_DEATHS_PER_MINUTE */
    REPORT_REFUSED,  /* telemetry has no room, or nowhere to go */
    REPORT_FATES
};

typedef struct peer {
    struct crash *c;
    size_t index; /* in crash.peers */
    int socket;   /* -1: hung up */
    int file;     /* the box; -1: none */
    int pidfd;
    pid_t pid;
    bool said_hello;
    bool over;                /* to be freed when the round is done */
    int signo;                /* of a CRASH packet; 0: none came */
    sonde_crash_case *report; /* NULL: none came, or none that can be read */
    uint64_t hung_up_mono_ns;
    ending_watch watch;
} peer;

typedef struct crash_counters {
    _Atomic uint64_t connections; /* now */
    _Atomic uint64_t refused[REFUSALS];
    _Atomic uint64_t deaths[BOX_CAUSES];
    _Atomic uint64_t ends_in_order;
    _Atomic uint64_t deaths_dropped; /* beyond CRASH_DEATHS_PER_MINUTE */
    _Atomic uint64_t detached;       /* hung up, and lived on */
    _Atomic uint64_t spans;          /* submitted */
    _Atomic uint64_t spans_unplaced; /* the process had no place for */
    _Atomic uint64_t torn;
    _Atomic uint64_t lost; /* boxes not read to the end, payloads not taken */
    _Atomic uint64_t reports_received;
    _Atomic uint64_t reports[REPORT_FATES];
} crash_counters;

struct crash {
    char path[PATH_ROOM];
    payload_sink sink;
    sonde_crash_symbols symbols;
    void *telemetry;
    sonde_status (*push_telemetry)(void *telemetry, crash_request *request);
    int listener;
    int epoll;
    int wake; /* eventfd: stop */
    pthread_t thread;
    bool has_thread;
    peer *peers[CRASH_CONNECTIONS_MAX];
    size_t peers_len;
    int64_t minute; /* of the deaths below */
    unsigned deaths_this_minute;
    crash_counters counters;
    uint8_t packet[PACKET_ROOM];
};

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* -- connections ---------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static void free_peer(crash *c, peer *p)
{
    c->peers[p->index] = c->peers[--c->peers_len];
    c->peers[p->index]->index = p->index;
    close_fd(&p->socket);
    close_fd(&p->file);
    close_fd(&p->pidfd);
    sonde_crash_case_free(p->report);
    sonde_free(p);
    atomic_store_explicit(&c->counters.connections, c->peers_len, memory_order_relaxed);
}

static size_t connections_of(const crash *c, pid_t pid)
{
    size_t i, n = 0;

    for (i = 0; i < c->peers_len; i++)
        n += c->peers[i]->pid == pid;
    return n;
}

static void answer(int socket, enum sonde_crash_reason reason)
{
    const sonde_crash_ack ack = { { SONDE_BLACKBOX_MAGIC, SONDE_BLACKBOX_VERSION, SONDE_CRASH_ACK },
                                  reason };

    (void)send(socket, &ack, sizeof(ack), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static bool watch_fd(crash *c, int fd, void *what)
{
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = what };

    return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}

static peer *make_peer(crash *c, int socket, pid_t pid)
{
    peer *p = sonde_calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    *p = (peer){ .c = c, .index = c->peers_len, .socket = socket, .file = -1, .pid = pid };
    p->pidfd = ending_pidfd(socket, pid);
    c->peers[c->peers_len++] = p;
    atomic_store_explicit(&c->counters.connections, c->peers_len, memory_order_relaxed);
    return p;
}

static void accept_one(crash *c, int socket)
{
    pid_t pid = sonde_peer_pid(socket);
    peer *p = NULL;

    if (pid > 0 && c->peers_len < CRASH_CONNECTIONS_MAX &&
        connections_of(c, pid) < CRASH_CONNECTIONS_OF_PID)
        p = make_peer(c, socket, pid);
    if (!p) {
        add(&c->counters.refused[REFUSED_TOO_MANY], 1);
        answer(socket, SONDE_CRASH_TOO_MANY);
        (void)close(socket);
        return;
    }
    /* No pidfd: it may have ended already, and its last words are here. */
    if (!watch_fd(c, socket, p) || (p->pidfd >= 0 && !watch_fd(c, p->pidfd, p)))
        p->over = true;
}

static void accept_all(crash *c)
{
    int socket;

    while ((socket = accept4(c->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        accept_one(c, socket);
}

/* -- packets -------------------------------------------------------------------------------------- */

/* One packet and its descriptor (-1: none).  Bytes of the packet; 0: hung up; -1: nothing there. */
static ssize_t receive(crash *c, int socket, int *out_fd)
{
    char control[CMSG_SPACE(sizeof(int) * 4)];
    struct iovec bytes = { c->packet, sizeof(c->packet) };
    struct msghdr m = { .msg_iov = &bytes,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control) };
    ssize_t n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *h;

    if (n < 0 &&
        errno == ECONNRESET) { /* it left without our answer: said once, before its last words */
        m.msg_controllen = sizeof(control);
        n = recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    }

    *out_fd = -1;
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : 0;
    for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        size_t fds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int), i;

        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (i = 0; i < fds; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(fd));
            if (*out_fd < 0)
                *out_fd = fd;
            else
                (void)close(fd); /* one is all that is asked for */
        }
    }
    return n;
}

static enum sonde_crash_reason check_hello(const sonde_crash_hello *h, int fd)
{
    if (h->head.version != SONDE_BLACKBOX_VERSION)
        return SONDE_CRASH_BAD_VERSION;
    return fd >= 0 ? box_check(fd, h->file_bytes) : SONDE_CRASH_ACCEPTED;
}

static void take_hello(crash *c, peer *p, int fd)
{
    sonde_crash_hello hello;
    enum sonde_crash_reason reason;

    memcpy(&hello, c->packet, sizeof(hello));
    reason = check_hello(&hello, fd);
    answer(p->socket, reason);
    if (reason != SONDE_CRASH_ACCEPTED) {
        add(&c->counters.refused[reason - SONDE_CRASH_BAD_VERSION], 1);
        if (fd >= 0)
            (void)close(fd);
        p->over = true;
        return;
    }
    p->file = fd;
    p->said_hello = true;
    ending_watch_begin(&p->watch, p->pid);
}

static bool is_packet(const crash *c, ssize_t n, uint16_t type, size_t least)
{
    sonde_crash_head head;

    if ((size_t)n < least)
        return false;
    memcpy(&head, c->packet, sizeof(head));
    return head.magic == SONDE_BLACKBOX_MAGIC && head.type == type;
}

static peer *reporter_of(const crash *c, pid_t pid)
{
    size_t i;

    for (i = 0; i < c->peers_len; i++)
        if (c->peers[i]->pid == pid && c->peers[i]->report && !c->peers[i]->over)
            return c->peers[i];
    return NULL;
}

/* Of a process the report that says most is kept. */
static void keep_report(crash *c, peer *p, sonde_crash_case *said)
{
    peer *older = reporter_of(c, p->pid);

    if (older) {
        add(&c->counters.reports[REPORT_REPLACED], 1);
        if (!sonde_crash_report_is_better(&said->r, &older->report->r)) {
            sonde_crash_case_free(said);
            return;
        }
        sonde_crash_case_free(older->report);
        older->report = NULL;
    }
    p->report = said;
}

static void take_report(crash *c, peer *p, size_t bytes)
{
    sonde_crash_crash packet;
    sonde_crash_case *said;
    bool malformed;

    memcpy(&packet, c->packet, sizeof(packet));
    p->signo = packet.signo;
    if (bytes == sizeof(packet)) /* a signal without a report */
        return;
    add(&c->counters.reports_received, 1);
    said = sonde_crash_case_new(c->packet, bytes, p->pid, &c->symbols, &malformed);
    if (!said) {
        add(&c->counters.reports[malformed ? REPORT_MALFORMED : REPORT_NO_MEMORY], 1);
        return;
    }
    sonde_crash_case_open(said);
    keep_report(c, p, said);
}

static void take_packet(crash *c, peer *p, ssize_t n, int fd)
{

    if (!p->said_hello && is_packet(c, n, SONDE_CRASH_HELLO, sizeof(sonde_crash_hello))) {
        take_hello(c, p, fd);
        return;
    }
    if (fd >= 0)
        (void)close(fd);
    if (p->said_hello && is_packet(c, n, SONDE_CRASH_CRASH, sizeof(sonde_crash_crash))) {
        take_report(c, p, (size_t)n);
        return;
    }
    add(&c->counters.refused[REFUSED_PACKET], 1);
    p->over = true;
}

/* -- deaths --------------------------------------------------------------------------------------- */

static bool has_ended(const peer *p)
{
    struct pollfd f = { .fd = p->pidfd, .events = POLLIN };

    if (p->pidfd < 0)
        return p->socket < 0 && kill(p->pid, 0) != 0 && errno == ESRCH;
    return poll(&f, 1, 0) > 0;
}

static void read_peer(crash *c, peer *p)
{
    ssize_t n;
    int fd;

    while (p->socket >= 0 && !p->over) {
        n = receive(c, p->socket, &fd);
        if (n < 0)
            return;
        if (n == 0) { /* its last words were read before */
            close_fd(&p->socket);
            p->hung_up_mono_ns = sonde_mono_ns();
        } else {
            take_packet(c, p, n, fd);
        }
    }
}

/* A process that has ended, all its connections together. */
typedef struct dead {
    pid_t pid;
    int pidfd;
    int file; /* -1: none */
    int signo;
    sonde_crash_case *report; /* borrowed */
    ending_watch watch;
    bool said_hello;
} dead;

static void gather_from(dead *d, const peer *p)
{
    if (!p->said_hello)
        return;
    d->said_hello = true;
    if (d->file < 0 && p->file >= 0) {
        d->file = p->file;
        d->watch = p->watch;
    }
    if (p->signo)
        d->signo = p->signo;
    if (p->report) {
        d->report = p->report;
        d->signo = p->report->r.crash.signo;
    }
}

/* They are over then.  What it connected before it died is there: it may only wait to be accepted. */
static void gather(crash *c, peer *p, dead *out)
{
    size_t i;

    accept_all(c);
    *out = (dead){ .pid = p->pid, .pidfd = p->pidfd, .file = -1 };
    for (i = 0; i < c->peers_len; i++) {
        peer *q = c->peers[i];

        if (q != p && (q->pid != p->pid || q->over || !has_ended(q)))
            continue;
        read_peer(c, q);
    }
    for (i = 0; i < c->peers_len; i++) {
        peer *q = c->peers[i];

        if (q != p && (q->pid != p->pid || q->over || !has_ended(q)))
            continue;
        gather_from(out, q);
        q->over = true;
    }
}

/* How it ended; false: in order, nothing to submit. */
static bool find_cause(const dead *d, box_death *out)
{
    int signo = d->signo, of_box = 0, status;
    uint32_t state = d->file >= 0 ? box_state(d->file, &of_box) : 0;
    bool has_status = ending_status(d->pidfd, d->pid, &status);

    *out = (box_death){ BOX_UNKNOWN, NO_NUMBER, d->pid, sonde_unix_ns(), NULL };
    if (state == SONDE_BLACKBOX_CRASHED && !signo)
        signo = of_box;
    if (signo) { /* unless the program lived on */
        out->cause = BOX_SIGNAL;
        out->number = signo;
        return !has_status || status != 0;
    }
    if (state == SONDE_BLACKBOX_CLOSED)
        return false;
    if (!has_status) {
        if (ending_was_oom_killed(&d->watch))
            out->cause = BOX_OOM_KILL;
        return true;
    }
    if (WIFSIGNALED(status)) {
        bool oom = WTERMSIG(status) == SIGKILL && ending_was_oom_killed(&d->watch);

        out->cause = oom ? BOX_OOM_KILL : BOX_SIGNAL;
        out->number = WTERMSIG(status);
        return true;
    }
    out->cause = BOX_EXIT;
    out->number = WEXITSTATUS(status);
    return out->number != 0;
}

static bool within_limit(crash *c, int64_t unix_ns)
{
    int64_t minute = unix_ns / (60 * (int64_t)SONDE_NS_PER_S);

    if (minute != c->minute) {
        c->minute = minute;
        c->deaths_this_minute = 0;
    }
    return c->deaths_this_minute++ < CRASH_DEATHS_PER_MINUTE;
}

static sonde_status push_message(crash *c, const sonde_process_block *who, sonde_buf *body)
{
    crash_request request = { body, who->language, who->tracer_version, who->container_id };

    return c->push_telemetry ? c->push_telemetry(c->telemetry, &request) : SONDE_ERR_STATE;
}

static sonde_str thread_of(const payload_span *s)
{
    const sonde_str *name = span_meta_get(s, SONDE_STR("thread.name"));

    return name ? *name : (sonde_str){ NULL, 0 };
}

static uint64_t high_of(const payload_span *first)
{
    const sonde_str *tid = span_meta_get(first, SONDE_STR("_dd.p.tid"));
    uint64_t high = 0;

    if (tid)
        (void)sonde_hex_parse_u64(*tid, 0, &high);
    return high;
}

typedef struct open_ids {
    sonde_crash_id spans[SONDE_CRASH_SPANS_MAX];
    sonde_crash_id traces[SONDE_CRASH_SPANS_MAX];
    sonde_crash_open open;
} open_ids;

static void list_open(const payload *p, open_ids *out)
{
    uint32_t i, k;
    size_t n = 0;

    for (i = 0; p && i < p->chunks_len; i++)
        for (k = 0; k < p->chunks[i].spans_len && n < SONDE_CRASH_SPANS_MAX; k++) {
            const payload_span *s = &p->chunks[i].spans[k];

            out->spans[n++] = (sonde_crash_id){ 0, s->span_id, thread_of(s) };
        }
    for (i = 0; p && i < p->chunks_len && i < SONDE_CRASH_SPANS_MAX; i++) {
        const payload_span *first = p->chunks[i].spans;

        out->traces[i] = (sonde_crash_id){ high_of(first), first->trace_id, thread_of(first) };
    }
    out->open = (sonde_crash_open){ out->spans, n, out->traces, i };
}

static enum report_fate send_messages(crash *c, sonde_crash_case *k, const sonde_process_block *who,
                                      const payload *spans)
{
    enum report_fate fate = REPORT_NO_MEMORY;
    sonde_buf ping, full;
    open_ids ids;

    list_open(spans, &ids);
    sonde_buf_init(&ping, SONDE_CRASH_MESSAGE_MAX_BYTES);
    sonde_buf_init(&full, SONDE_CRASH_MESSAGE_MAX_BYTES);
    if (sonde_crash_ping(k, who, &ping) && sonde_crash_message(k, who, &ids.open, &full))
        fate = push_message(c, who, &ping) == SONDE_OK && push_message(c, who, &full) == SONDE_OK
                   ? REPORT_SENT
                   : REPORT_REFUSED;
    sonde_buf_done(&ping);
    sonde_buf_done(&full);
    return fate;
}

static void send_report(crash *c, const dead *d, const payload *spans)
{
    char room[SONDE_BLACKBOX_PROCESS_MAX], text[SONDE_CRASH_TEXT_ROOM];
    sonde_process_block who;

    if (!d->report)
        return;
    if (d->file < 0 || !box_process(d->file, room, &who))
        who = d->report->r.process;
    sonde_crash_text(&d->report->r, text);
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "%s: pid=%d service=%s", text, (int)d->pid,
                     SONDE_LOG_QUOTE(who.service));
    add(&c->counters.reports[send_messages(c, d->report, &who, spans)], 1);
}

static void push_spans(crash *c, payload *what, const box_counts *n, const box_death *death)
{
    char cause[BOX_CAUSE_ROOM];

    box_cause_text(death, cause);
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "process %d ended (%s): %u open spans submitted", death->pid,
                     cause, n->spans);
    if (c->sink.push(c->sink.stage, what) == SONDE_OK) {
        add(&c->counters.spans, n->spans);
        return;
    }
    add(&c->counters.lost, 1);
    payload_free(what);
}

static payload *read_spans(crash *c, const dead *d, const box_death *death, box_counts *n)
{
    payload *what = d->file >= 0 ? box_read(d->file, death, n) : NULL;

    if (d->file < 0)
        return NULL;
    add(&c->counters.torn, n->torn);
    add(&c->counters.spans_unplaced, n->unplaced);
    add(&c->counters.lost, n->lost);
    return what;
}

static void submit(crash *c, const dead *d, box_death *death)
{
    char name[SONDE_CRASH_NAME_ROOM], text[SONDE_CRASH_TEXT_ROOM];
    box_crash told = { .span_id = 0 };
    box_counts n;
    payload *what;
    sonde_buf stack;

    sonde_buf_init(&stack, STACK_TEXT);
    if (d->report) {
        const sonde_crash_report *r = &d->report->r;

        sonde_crash_signal_name(r->crash.signo, name);
        sonde_crash_text(r, text);
        (void)sonde_crash_stack(d->report, &stack); /* as much as there is room for */
        told = (box_crash){ r->head.span_id, r->head.unix_ns, sonde_str_from(name),
                            sonde_str_from(text), sonde_buf_str(&stack) };
        if (told.span_id == 0 && d->file >= 0)
            told.span_id = box_active_span(d->file, r->head.tid);
        death->crash = &told;
    }
    what = read_spans(c, d, death, &n);
    send_report(c, d, what);
    if (what)
        push_spans(c, what, &n, death);
    sonde_buf_done(&stack);
}

static void bury(crash *c, peer *p)
{
    box_death death;
    dead d;

    gather(c, p, &d);
    if (!d.said_hello)
        return;
    if (!find_cause(&d, &death)) {
        add(&c->counters.ends_in_order, 1);
        if (d.report)
            add(&c->counters.reports[REPORT_SURVIVED], 1);
        return;
    }
    add(&c->counters.deaths[death.cause], 1);
    if (d.file < 0 && !d.report)
        return;
    if (!within_limit(c, death.unix_ns)) {
        add(&c->counters.deaths_dropped, 1);
        if (d.report)
            add(&c->counters.reports[REPORT_DROPPED], 1);
        return;
    }
    submit(c, &d, &death);
}

/* -- the thread ----------------------------------------------------------------------------------- */

static void look_at(crash *c, peer *p)
{
    if (p->over)
        return;
    read_peer(c, p);
    if (!p->over && has_ended(p))
        bury(c, p);
}

/* It hung up and lives on. */
static void give_up(crash *c, peer *p)
{
    if (p->report)
        add(&c->counters.reports[REPORT_SURVIVED], 1);
    else
        add(&c->counters.detached, 1);
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
            if (has_ended(p)) {
                bury(c, p);
            } else if (now - p->hung_up_mono_ns > (p->report ? DUMPING_NS : DYING_NS)) {
                give_up(c, p);
            } else {
                wait_ms = 100;
            }
        }
        if (p->over)
            free_peer(c, p);
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
                accept_all(c);
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
    if (c->epoll < 0 || c->wake < 0 || !watch_fd(c, c->listener, &c->listener) ||
        !watch_fd(c, c->wake, &c->wake))
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
        free_peer(c, c->peers[0]);
    close_fd(&c->listener);
    close_fd(&c->epoll);
    close_fd(&c->wake);
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
