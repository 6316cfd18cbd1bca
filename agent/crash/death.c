/* death.c - a process that has ended: of what, within the limit a minute, and what is submitted of it. */
#include "internal.h"

#include <signal.h>

#include <sys/wait.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"

#define STACK_TEXT (256u * 1024)
#define NO_NUMBER  0

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

static bool died_with(const peer *q, const peer *p)
{
    return q == p || (q->pid == p->pid && !q->over && peer_has_ended(q));
}

/* They are over then.  What it connected before it died is there: it may only wait to be accepted. */
static void gather(crash *c, peer *p, dead *out)
{
    size_t i;

    peer_accept_all(c);
    *out = (dead){ .pid = p->pid, .pidfd = p->pidfd, .file = -1 };
    for (i = 0; i < c->peers_len; i++)
        if (died_with(c->peers[i], p))
            peer_read(c, c->peers[i]);
    for (i = 0; i < c->peers_len; i++) {
        if (!died_with(c->peers[i], p))
            continue;
        gather_from(out, c->peers[i]);
        c->peers[i]->over = true;
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
    crash_count(&c->counters.reports[send_messages(c, d->report, &who, spans)], 1);
}

static void push_spans(crash *c, payload *what, const box_counts *n, const box_death *death)
{
    char cause[BOX_CAUSE_ROOM];

    box_cause_text(death, cause);
    SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "process %d ended (%s): %u open spans submitted", death->pid,
                     cause, n->spans);
    if (c->sink.push(c->sink.stage, what) == SONDE_OK) {
        crash_count(&c->counters.spans, n->spans);
        return;
    }
    crash_count(&c->counters.lost, 1);
    payload_free(what);
}

static payload *read_spans(crash *c, const dead *d, const box_death *death, box_counts *n)
{
    payload *what = d->file >= 0 ? box_read(d->file, death, n) : NULL;

    if (d->file < 0)
        return NULL;
    crash_count(&c->counters.torn, n->torn);
    crash_count(&c->counters.spans_unplaced, n->unplaced);
    crash_count(&c->counters.lost, n->lost);
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

void death_bury(crash *c, peer *p)
{
    box_death death;
    dead d;

    gather(c, p, &d);
    if (!d.said_hello)
        return;
    if (!find_cause(&d, &death)) {
        crash_count(&c->counters.ends_in_order, 1);
        if (d.report)
            crash_count(&c->counters.reports[REPORT_SURVIVED], 1);
        return;
    }
    crash_count(&c->counters.deaths[death.cause], 1);
    if (d.file < 0 && !d.report)
        return;
    if (!within_limit(c, death.unix_ns)) {
        crash_count(&c->counters.deaths_dropped, 1);
        if (d.report)
            crash_count(&c->counters.reports[REPORT_DROPPED], 1);
        return;
    }
    submit(c, &d, &death);
}
