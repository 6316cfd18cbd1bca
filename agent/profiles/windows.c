/* windows.c - which profile a batch belongs to, and when that has ended.
 *
 *            first batch                     long enough by the client's clock,
 *   no window ──────────▶ open ───────────── or twice as long by ours            ───▶ ended, handed out
 *                          │                                                           next start = this end
 *                          └─ silent for 15 s and the pid is gone ─▶ ended, process forgotten
 *
 * A window without rows stays open until it is worth sending (WINDOW_EMPTY_NS), so that a service that does
 * nothing still shows as profiled.
 */
#include "windows.h"

#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/digest.h"

#define KEY_MAX_BYTES (4u * (SPB_TEXT_MAX_BYTES + 1))

struct process {
    sonde_str key; /* of the table's entry: owned here too, for its removal */
    window *open;  /* NULL: none */
    window_identity who;
    session_stats stats;  /* as they were last sent */
    size_t counted_bytes; /* of windows.bytes */
    pid_t host_pid;
    uint64_t seq;
    uint64_t length_ns;        /* of the next window, by the client's clock */
    int64_t last_end_unix_ns;  /* of the window before; 0: none */
    int64_t last_sent_unix_ns; /* end of the last one that was handed out */
    uint64_t opened_mono_ns, last_batch_mono_ns;
    session_counters counted; /* what earlier windows had of the session's */
    uint8_t counted_session[SPB_SESSION_LEN];
    profile_endpoint *carried; /* endpoints of the window before */
    uint32_t carried_len;
    sonde_str *carried_text; /* two for each */
    sonde_arena carried_memory;
};

/* ---- identities ---- */

static void identity_done(window_identity *w)
{
    for (size_t i = 0; i < SPB_KEYS; i++)
        sonde_free(w->text[i]);
    sonde_free(w->tags);
    sonde_free(w->container);
    *w = (window_identity){ 0 };
}

static bool copy_text(char **to, const char *from, size_t len)
{
    char *copy;

    if (!from)
        return true;
    copy = sonde_strndup(from, len);
    if (!copy)
        return false;
    sonde_free(*to);
    *to = copy;
    return true;
}

static bool identity_take(window_identity *to, const session *s, sonde_str container)
{
    bool ok = true;

    for (size_t i = 0; i < SPB_KEYS; i++) {
        if (s->text[i])
            ok = copy_text(&to->text[i], s->text[i], strlen(s->text[i])) && ok;
    }
    if (s->tags)
        ok = copy_text(&to->tags, s->tags, strlen(s->tags)) && ok;
    if (container.len)
        ok = copy_text(&to->container, container.ptr, container.len) && ok;
    to->pid = s->pid;
    to->flags = s->flags;
    memcpy(to->interval, s->interval, sizeof(to->interval));
    return ok;
}

static bool identity_copy(window_identity *to, const window_identity *from)
{
    bool ok = true;

    *to = (window_identity){ .pid = from->pid, .flags = from->flags };
    memcpy(to->interval, from->interval, sizeof(to->interval));
    for (size_t i = 0; i < SPB_KEYS; i++) {
        if (from->text[i])
            ok = copy_text(&to->text[i], from->text[i], strlen(from->text[i])) && ok;
    }
    if (from->tags)
        ok = copy_text(&to->tags, from->tags, strlen(from->tags)) && ok;
    if (from->container)
        ok = copy_text(&to->container, from->container, strlen(from->container)) && ok;
    return ok;
}

void window_free(window *w)
{
    if (!w)
        return;
    identity_done(&w->who);
    profile_close(w->profile);
    sonde_free(w);
}

sonde_str window_text(const window *w, spb_key key)
{
    return sonde_str_from(w->who.text[key]);
}

/* ---- processes ---- */

void windows_init(windows *ws, uint64_t window_ns)
{
    sonde_table_init(&ws->processes, WINDOWS_MAX);
    ws->window_ns = window_ns;
    ws->bytes = 0;
}

static void process_free(process *p)
{
    window_free(p->open);
    identity_done(&p->who);
    sonde_free((void *)(uintptr_t)p->key.ptr);
    sonde_arena_done(&p->carried_memory);
    sonde_free(p);
}

void windows_done(windows *ws)
{
    size_t cursor = 0;
    sonde_table_entry *e;

    while ((e = sonde_table_next(&ws->processes, &cursor)) != NULL)
        process_free(e->value);
    sonde_table_done(&ws->processes);
}

static void append_key(const session *s, sonde_buf *out)
{
    static const spb_key parts[] = { SPB_KEY_SERVICE, SPB_KEY_ENV, SPB_KEY_VERSION,
                                     SPB_KEY_RUNTIME_ID };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        sonde_buf_append_str(out, session_text(s, parts[i]));
        sonde_buf_append_byte(out, 0);
    }
    if (session_text(s, SPB_KEY_RUNTIME_ID).len == 0) /* then the session is all there is */
        sonde_buf_append(out, s->id, sizeof(s->id));
}

/* The first window ends somewhere in the second half of the others' length. */
static uint64_t first_length(uint64_t window_ns, sonde_str key)
{
    return window_ns / 2 + sonde_hash(7, key.ptr, key.len) % (window_ns / 2 + 1);
}

static process *process_new(windows *ws, sonde_str key, uint64_t seq)
{
    process *p = sonde_calloc(1, sizeof(*p));
    char *copy = sonde_strndup(key.ptr, key.len);

    if (!p || !copy) {
        sonde_free(p);
        sonde_free(copy);
        return NULL;
    }
    p->key = (sonde_str){ copy, key.len };
    p->seq = seq;
    p->length_ns = first_length(ws->window_ns, key);
    sonde_arena_init(&p->carried_memory, PROFILE_TEXT_MAX_BYTES);
    if (sonde_table_put(&ws->processes, p->key, p) != SONDE_OK) {
        process_free(p);
        return NULL;
    }
    return p;
}

static void forget(windows *ws, process *p)
{
    (void)sonde_table_remove(&ws->processes, p->key);
    ws->bytes -= p->counted_bytes;
    process_free(p);
}

/* The process that was silent longest ends. */
static window *make_room(windows *ws)
{
    size_t cursor = 0;
    sonde_table_entry *e;
    process *oldest = NULL;
    window *w;

    while ((e = sonde_table_next(&ws->processes, &cursor)) != NULL) {
        process *p = e->value;

        if (!oldest || p->last_batch_mono_ns < oldest->last_batch_mono_ns)
            oldest = p;
    }
    if (!oldest)
        return NULL;
    w = process_end(ws, oldest);
    forget(ws, oldest);
    return w;
}

process *windows_process(windows *ws, const session *s, window **out_ended)
{
    process *p = NULL;
    sonde_buf key;

    *out_ended = NULL;
    sonde_buf_init(&key, KEY_MAX_BYTES + SPB_SESSION_LEN);
    append_key(s, &key);
    if (key.status == SONDE_OK) {
        p = sonde_table_get(&ws->processes, sonde_buf_str(&key));
        if (!p && ws->processes.count == WINDOWS_MAX)
            *out_ended = make_room(ws);
        if (!p)
            p = process_new(ws, sonde_buf_str(&key), s->seq_base);
    }
    sonde_buf_done(&key);
    return p;
}

/* ---- endpoints outlive their window by one ---- */

static void carry_endpoints(process *p, const profile *from)
{
    sonde_arena_reset(&p->carried_memory);
    p->carried_len = 0;
    p->carried = sonde_arena_zalloc(&p->carried_memory, from->endpoints_len, sizeof(*p->carried));
    p->carried_text =
        sonde_arena_zalloc(&p->carried_memory, from->endpoints_len * 2u, sizeof(*p->carried_text));
    if (!p->carried || !p->carried_text)
        return;
    for (uint32_t i = 0; i < from->endpoints_len; i++) {
        const profile_endpoint *e = &from->endpoints[i];

        if (e->carried)
            continue; /* of the window before that one */
        p->carried_text[2 * p->carried_len] =
            sonde_arena_copy(&p->carried_memory, profile_text(from, e->endpoint));
        p->carried_text[2 * p->carried_len + 1] =
            sonde_arena_copy(&p->carried_memory, profile_text(from, e->type));
        p->carried[p->carried_len++] = *e;
    }
}

static void put_carried(const process *p, profile *to)
{
    for (uint32_t i = 0; i < p->carried_len; i++)
        profile_carry_endpoint(to, p->carried[i].local_root_id,
                               profile_string(to, p->carried_text[2 * i]),
                               profile_string(to, p->carried_text[2 * i + 1]));
}

/* ---- the open window ---- */

profile *process_profile(process *p)
{
    window *w = p->open;

    if (w)
        return w->profile;
    w = sonde_calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    if (profile_open(&w->profile) != SONDE_OK) {
        sonde_free(w);
        return NULL;
    }
    put_carried(p, w->profile);
    w->start_unix_ns = INT64_MAX;
    w->end_unix_ns = INT64_MIN;
    p->open = w;
    return w->profile;
}

static uint64_t span(int64_t from, int64_t to)
{
    return to > from ? (uint64_t)to - (uint64_t)from : 0;
}

bool process_must_end(const process *p, const batch_facts *f)
{
    return p->open && p->open->end_unix_ns != INT64_MIN &&
           span(p->open->end_unix_ns, f->hello.start_unix_ns) > p->length_ns;
}

/* A batch that ended before the window began is merged into it and does not stretch it. */
static void stretch(process *p, const spb_hello *h, uint64_t window_ns)
{
    window *w = p->open;
    int64_t start = h->start_unix_ns, end = h->end_unix_ns;

    if (end < start)
        end = start;
    if (p->last_end_unix_ns && end <= p->last_end_unix_ns &&
        span(end, p->last_end_unix_ns) < window_ns * 10) {
        w->late_batches++;
        start = end = p->last_end_unix_ns;
    } else if (p->last_end_unix_ns && w->start_unix_ns == INT64_MAX &&
               span(start > p->last_end_unix_ns ? p->last_end_unix_ns : start,
                    start > p->last_end_unix_ns ? start : p->last_end_unix_ns) < window_ns) {
        start = p->last_end_unix_ns; /* no gap between windows */
    }
    if (start < w->start_unix_ns)
        w->start_unix_ns = start;
    if (end > w->end_unix_ns)
        w->end_unix_ns = end;
}

static session_counters minus(session_counters a, session_counters b)
{
    return (session_counters){ a.rows - b.rows, a.clamped - b.clamped,
                               a.unknown_contexts - b.unknown_contexts, a.left_out - b.left_out,
                               a.too_deep - b.too_deep };
}

static void add(session_counters *to, session_counters what)
{
    to->rows += what.rows;
    to->clamped += what.clamped;
    to->unknown_contexts += what.unknown_contexts;
    to->left_out += what.left_out;
    to->too_deep += what.too_deep;
}

sonde_status process_note(windows *ws, process *p, const session *s, const batch_facts *f,
                          sonde_str container, uint64_t now_mono_ns)
{
    window *w = p->open;

    if (w->start_unix_ns == INT64_MAX)
        p->opened_mono_ns = now_mono_ns;
    stretch(p, &f->hello, p->length_ns);
    if (memcmp(p->counted_session, s->id, sizeof(s->id)) != 0) {
        memcpy(p->counted_session, s->id, sizeof(s->id));
        p->counted = (session_counters){ 0 };
    }
    add(&w->counters, minus(s->counters, p->counted));
    p->counted = s->counters;
    w->stats = p->stats = s->stats;
    ws->bytes -= p->counted_bytes;
    p->counted_bytes = profile_bytes(w->profile);
    ws->bytes += p->counted_bytes;
    p->last_batch_mono_ns = now_mono_ns;
    p->host_pid = s->pid_is_sure ? s->host_pid : 0;
    return identity_take(&p->who, s, container) ? SONDE_OK : SONDE_ERR_NOMEM;
}

static bool is_empty(const window *w)
{
    return w->profile->rows == 0 && w->profile->live_len == 0;
}

window *process_end(windows *ws, process *p)
{
    window *w = p->open;

    if (!w || w->start_unix_ns == INT64_MAX || !identity_copy(&w->who, &p->who))
        return NULL;
    p->open = NULL;
    ws->bytes -= p->counted_bytes;
    p->counted_bytes = 0;
    carry_endpoints(p, w->profile);
    p->last_end_unix_ns = p->last_sent_unix_ns = w->end_unix_ns;
    w->seq = p->seq++;
    return w;
}

/* ---- what is due ---- */

static bool has_ended(const windows *ws, const process *p, uint64_t now_mono_ns)
{
    const window *w = p->open;
    uint64_t length, age = now_mono_ns - p->opened_mono_ns;

    if (!w || w->start_unix_ns == INT64_MAX)
        return false;
    length = span(w->start_unix_ns, w->end_unix_ns);
    if (is_empty(w))
        return length >= WINDOW_EMPTY_NS || age >= 2 * WINDOW_EMPTY_NS;
    return length >= p->length_ns || age >= 2 * ws->window_ns;
}

/* -1: it is not known. */
static int is_gone(const process *p, const windows_due *due)
{
    return p->host_pid <= 0 || !due->is_gone ? -1 : due->is_gone(due->user, p->host_pid);
}

static bool is_dead(const process *p, const windows_due *due)
{
    uint64_t silent = due->now_mono_ns - p->last_batch_mono_ns;

    if (due->all)
        return true;
    if (silent < WINDOW_DEAD_NS)
        return false;
    switch (is_gone(p, due)) {
    case 0:
        return false;
    case 1:
        return true;
    default:
        return silent >= WINDOW_SILENT_NS;
    }
}

window *windows_next_due(windows *ws, const windows_due *due)
{
    size_t cursor = 0;
    sonde_table_entry *e;

    while ((e = sonde_table_next(&ws->processes, &cursor)) != NULL) {
        process *p = e->value;
        bool dead = is_dead(p, due);
        window *w = NULL;

        if (p->open && ((dead && !is_empty(p->open)) || has_ended(ws, p, due->now_mono_ns)))
            w = process_end(ws, p);
        if (w)
            p->length_ns = ws->window_ns;
        if (dead)
            forget(ws, p);
        if (w)
            return w;
    }
    return NULL;
}

size_t windows_rows(const windows *ws)
{
    size_t cursor = 0, rows = 0;
    sonde_table_entry *e;

    while ((e = sonde_table_next(&ws->processes, &cursor)) != NULL) {
        const process *p = e->value;

        rows += p->open ? (size_t)p->open->profile->rows : 0;
    }
    return rows;
}

void windows_each(const windows *ws, windows_tell tell, void *user)
{
    size_t cursor = 0;
    sonde_table_entry *e;

    while ((e = sonde_table_next(&ws->processes, &cursor)) != NULL) {
        const process *p = e->value;

        tell(user, &p->who, &p->stats);
    }
}
