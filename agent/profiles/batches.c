/* batches.c - a batch that was checked: its session, its window, its rows. */
#include <string.h>

#include "internal.h"

/* ---- sessions ---- */

static sonde_str key_of(const uint8_t id[SPB_SESSION_LEN])
{
    return (sonde_str){ (const char *)id, SPB_SESSION_LEN };
}

void profiles_close_session_locked(profiles *p, session *s)
{
    (void)sonde_table_remove(&p->sessions, key_of(s->id));
    p->session_bytes -= s->counted_bytes;
    session_close(s);
}

static session *oldest_locked(profiles *p, const session *but)
{
    size_t cursor = 0;
    sonde_table_entry *e;
    session *oldest = NULL;

    while ((e = sonde_table_next(&p->sessions, &cursor)) != NULL) {
        session *s = e->value;

        if (s != but && (!oldest || s->last_batch_mono_ns < oldest->last_batch_mono_ns))
            oldest = s;
    }
    return oldest;
}

/* The sessions unused longest make room; their next batch is answered with 409. */
static void evict_locked(profiles *p, const session *but, size_t max_sessions)
{
    session *s;

    while ((p->session_bytes > p->sessions_max_bytes || p->sessions.count > max_sessions) &&
           (s = oldest_locked(p, but)) != NULL) {
        p->counters.sessions_evicted++;
        profiles_close_session_locked(p, s);
    }
}

static session *begin_session_locked(profiles *p, const batch_facts *f)
{
    session *s = NULL;

    evict_locked(p, NULL, SESSIONS_MAX - 1);
    if (session_open(f->hello.session, p->symbols, &s) != SONDE_OK)
        return NULL;
    if (sonde_table_put(&p->sessions, key_of(s->id), s) != SONDE_OK) {
        session_close(s);
        return NULL;
    }
    p->counters.sessions_begun++;
    return s;
}

static void recount_locked(profiles *p, session *s)
{
    size_t bytes = session_bytes(s);

    p->session_bytes += bytes - s->counted_bytes;
    s->counted_bytes = bytes;
}

/* ---- windows ---- */

static void drop_oldest_waiting_locked(profiles *p)
{
    window *oldest = p->waiting;

    p->waiting = oldest->next;
    p->waiting_len--;
    p->waiting_rows -= oldest->profile->rows;
    p->waiting_bytes -= profile_bytes(oldest->profile);
    p->counters.rows_dropped[PROFILES_DROP_WAITING] += oldest->profile->rows;
    window_free(oldest);
}

/* A window that had to end before its time waits for the thread; the oldest makes room. */
static void put_waiting_locked(profiles *p, window *w)
{
    window **last = &p->waiting;

    if (!w)
        return;
    while (*last)
        last = &(*last)->next;
    *last = w;
    p->waiting_len++;
    p->waiting_rows += w->profile->rows;
    p->waiting_bytes += profile_bytes(w->profile);
    while (p->waiting_len > 1 &&
           (p->waiting_len > WINDOWS_WAITING_MAX || p->waiting_bytes > p->waiting_max_bytes))
        drop_oldest_waiting_locked(p);
}

static void count_rows_locked(profiles *p, const session_counters *before,
                              const session_counters *after)
{
    profiles_counters *n = &p->counters;

    n->rows_received += after->rows - before->rows;
    n->rows_clamped += after->clamped - before->clamped;
    n->unknown_contexts += after->unknown_contexts - before->unknown_contexts;
    n->dictionary_left_out += after->left_out - before->left_out;
}

static sonde_status merge_locked(profiles *p, session *s, const batch_request *r, process *of)
{
    profile *into = process_profile(of);
    session_counters before = s->counters;
    uint64_t lost[PROFILE_LOSSES], live_lost;
    sonde_status status;

    if (!into)
        return SONDE_ERR_NOMEM;
    memcpy(lost, into->lost, sizeof(lost));
    live_lost = into->live_lost;
    status = session_merge(s, r->body, into);
    count_rows_locked(p, &before, &s->counters);
    for (size_t i = 0; i < PROFILE_LOSSES; i++)
        p->counters.rows_dropped[i] += into->lost[i] - lost[i];
    p->counters.live_rows_dropped += into->live_lost - live_lost;
    if (status == SONDE_OK)
        status = process_note(&p->windows, of, s, &r->facts, r->container, s->last_batch_mono_ns);
    if (p->windows.bytes > p->windows_max_bytes)
        put_waiting_locked(p, process_end(&p->windows, of));
    return status;
}

/* HELLO, window, rows. */
static sonde_status take_locked(profiles *p, session *s, const batch_request *r)
{
    window *ended = NULL;
    process *of;
    sonde_status status;

    s->host_pid = r->pid;
    s->pid_is_sure = r->pid_is_sure;
    s->last_batch_mono_ns = p->clock->mono_ns(p->clock->user);
    status = session_greet(s, &r->facts.hello);
    if (status != SONDE_OK)
        return status;
    of = windows_process(&p->windows, s, &ended);
    put_waiting_locked(p, ended);
    if (!of)
        return SONDE_ERR_NOMEM;
    if (process_must_end(of, &r->facts))
        put_waiting_locked(p, process_end(&p->windows, of));
    return merge_locked(p, s, r, of);
}

static take_result take_into_locked(profiles *p, session *s, const batch_request *r)
{
    if (take_locked(p, s, r) != SONDE_OK) {
        profiles_close_session_locked(p, s); /* some of it may be missing: let all come again */
        return TAKE_NO_MEMORY;
    }
    recount_locked(p, s);
    evict_locked(p, s, SESSIONS_MAX);
    p->counters.batches_taken++;
    p->counters.batch_bytes += r->body.len;
    (void)pthread_cond_signal(&p->wake);
    return TAKE_OK;
}

take_result profiles_take(profiles *p, const batch_request *r)
{
    take_result result = TAKE_OK;
    session *s;

    sonde_mutex_lock(&p->mu);
    s = sonde_table_get(&p->sessions, key_of(r->facts.hello.session));
    if (p->stopping)
        result = TAKE_CLOSING;
    else if (!s && !batch_begins(&r->facts))
        result = TAKE_RESYNC;
    else if (!s && !(s = begin_session_locked(p, &r->facts)))
        result = TAKE_NO_MEMORY;
    if (result == TAKE_OK) {
        switch (session_accepts(s, &r->facts)) {
        case SESSION_TAKES:
            result = take_into_locked(p, s, r);
            break;
        case SESSION_HAS_IT:
            result = TAKE_AGAIN;
            break;
        default:
            result = TAKE_RESYNC;
            profiles_close_session_locked(p, s);
            break;
        }
    }
    p->counters.batches_repeated += result == TAKE_AGAIN;
    p->counters.batches_resync += result == TAKE_RESYNC;
    p->counters.batches_refused[PROFILES_REFUSED_CLOSING] += result == TAKE_CLOSING;
    p->counters.batches_refused[PROFILES_REFUSED_NO_MEMORY] += result == TAKE_NO_MEMORY;
    sonde_mutex_unlock(&p->mu);
    symbols_open_files(p->symbols);
    return result;
}
