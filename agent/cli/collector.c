/* collector.c - one handler: a batch is checked, finds its process, and goes into that one's profile. */
#include "collector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/profiles/profile_join.h"
#include "agent/profiles/session.h"
#include "agent/profiles/symbolize.h"
#include "agent/profiles/symbols.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mutex.h"
#include "base/parse.h"
#include "net/server/http_server.h"
#include "net/socket.h"

#include "target.h"

#define BATCH_PATH "/sonde/profiling/v1/batch"
#define STOP_NS    (UINT64_C(2) * SONDE_NS_PER_S)
#define ANCESTORS  64

/* A process whose profiler began anew has another session, but goes on in its place. */
typedef struct source {
    session *session;
    profile *profile; /* NULL: nothing since the last take */
    pid_t pid;
    char name[64]; /* "nginx (4242)" */
} source;

struct collector {
    char folder[64];
    char socket[96];
    char url[112];
    symbols *symbols;
    http_server *server;
    http_route routes[2];
    bool is_open; /* to other users' processes, if they descend from us */

    sonde_mutex mu; /* guards the rest */
    source sources[COLLECTOR_PROCESSES_MAX];
    size_t sources_len;
    collector_counters counters;
};

/* ---- batches ---- */

/* The name of the program, as it is now: a process may have become another. */
static void name_source(source *s)
{
    sonde_str path = session_text(s->session, SPB_KEY_EXE);
    const char *slash = path.len ? memrchr(path.ptr, '/', path.len) : NULL;

    if (slash)
        path = sonde_str_sub(path, (size_t)(slash - path.ptr) + 1, path.len);
    if (!path.len)
        path = SONDE_STR("process");
    (void)snprintf(s->name, sizeof(s->name), "%.*s (%d)", (int)sonde_utf8_cut(path, 40), path.ptr,
                   (int)s->pid);
}

static source *find_locked(collector *c, const uint8_t *id)
{
    for (size_t i = 0; i < c->sources_len; i++)
        if (c->sources[i].session && memcmp(c->sources[i].session->id, id, SPB_SESSION_LEN) == 0)
            return &c->sources[i];
    return NULL;
}

/* The place of a process that has a new session: its own, else a free one. */
static source *place_locked(collector *c, pid_t pid)
{
    for (size_t i = 0; i < c->sources_len; i++)
        if (c->sources[i].pid == pid)
            return &c->sources[i];
    return c->sources_len < COLLECTOR_PROCESSES_MAX ? &c->sources[c->sources_len] : NULL;
}

static source *begin_locked(collector *c, const batch_facts *f, pid_t pid)
{
    source *s = place_locked(c, pid);
    session *fresh = NULL;

    if (!s || session_open(f->hello.session, c->symbols, &fresh) != SONDE_OK)
        return NULL;
    if (s == &c->sources[c->sources_len]) {
        c->sources_len++;
        c->counters.processes++;
    }
    session_close(s->session);
    s->session = fresh;
    s->pid = pid;
    return s;
}

static void count_locked(collector *c, const source *s, const batch_facts *f, uint64_t rows,
                         uint64_t lost)
{
    c->counters.batches++;
    c->counters.rows += s->session->counters.rows - rows;
    c->counters.lost += lost;
    if ((int64_t)f->hello.end_unix_ns > c->counters.end_unix_ns)
        c->counters.end_unix_ns = (int64_t)f->hello.end_unix_ns;
}

static uint64_t lost_of(const profile *p)
{
    uint64_t sum = p->live_lost;

    for (size_t i = 0; i < PROFILE_LOSSES; i++)
        sum += p->lost[i];
    return sum;
}

static sonde_status merge_locked(collector *c, source *s, const batch_facts *f, sonde_str body)
{
    uint64_t rows = s->session->counters.rows, lost;
    sonde_status status = session_greet(s->session, &f->hello);

    name_source(s);
    if (status == SONDE_OK && !s->profile)
        status = profile_open(&s->profile);
    if (status != SONDE_OK)
        return status;
    lost = lost_of(s->profile);
    status = session_merge(s->session, body, s->profile);
    count_locked(c, s, f, rows, lost_of(s->profile) - lost);
    return status;
}

/* The status of the answer. */
static unsigned take_locked(collector *c, const batch_facts *f, sonde_str body, pid_t pid)
{
    source *s = find_locked(c, f->hello.session);

    if (!s && !batch_begins(f))
        return 409;
    if (!s && !(s = begin_locked(c, f, pid)))
        return 503;
    s->session->host_pid = pid;
    s->session->pid_is_sure = true;
    switch (session_accepts(s->session, f)) {
    case SESSION_TAKES:
        if (merge_locked(c, s, f, body) == SONDE_OK)
            return 200;
        session_close(s->session); /* half of it may be missing: it comes again, with everything */
        s->session = NULL;
        return 503;
    case SESSION_HAS_IT:
        return 200;
    default:
        return 409;
    }
}

/* ---- whose ---- */

/* The second of the four it has is the effective one; UINT64_MAX: not known. */
static uint64_t user_of(pid_t pid)
{
    char text[96];
    uint64_t user = UINT64_MAX;
    sonde_str rest;

    if (!target_status(pid, "Uid", text, sizeof(text)))
        return UINT64_MAX;
    rest = sonde_str_from(text);
    (void)sonde_str_cut(&rest, '\t');
    (void)sonde_parse_u64(sonde_str_cut(&rest, '\t'), &user);
    return user;
}

/* What root's program started and became another user stays its program's; who else connects does not. */
static bool is_of_ours(const collector *c, pid_t pid)
{
    pid_t self = getpid();
    int i;

    if (!c->is_open || user_of(pid) == geteuid())
        return true;
    for (i = 0; i < ANCESTORS && pid > 1 && pid != self; i++)
        pid = (pid_t)target_status_number(pid, "PPid");
    return pid == self;
}

static http_result receive_batch(void *user, http_request *request, http_response *response)
{
    collector *c = user;
    sonde_str body = http_request_body(request);
    batch_facts facts = { 0 };
    sonde_error error = { 0 };
    char text[48];

    response->status = 400;
    response->content_type = "application/json";
    if (!is_of_ours(c, http_request_peer_pid(request))) {
        sonde_mutex_lock(&c->mu);
        c->counters.strangers++;
        sonde_mutex_unlock(&c->mu);
        response->status = 403;
    } else if (batch_check(body, &facts, &error) == SONDE_OK) {
        sonde_mutex_lock(&c->mu);
        response->status = take_locked(c, &facts, body, http_request_peer_pid(request));
        c->counters.refused += response->status == 503;
        sonde_mutex_unlock(&c->mu);
        symbols_open_files(c->symbols); /* now: the process may end any time */
    }
    (void)snprintf(text, sizeof(text),
                   response->status == 200   ? "{\"ack\":%llu}"
                   : response->status == 409 ? "{\"resync\":true}"
                                             : "{}",
                   (unsigned long long)facts.hello.seq);
    sonde_buf_append_str(&response->body, sonde_str_from(text));
    return HTTP_DONE;
}

static http_result tell(void *user, http_request *request, http_response *response)
{
    (void)user;
    (void)request;
    response->content_type = "application/json";
    sonde_buf_append_str(&response->body, SONDE_STR("{\"endpoints\":[\"" BATCH_PATH "\"]}"));
    return HTTP_DONE;
}

/* ---- what came ---- */

collector_counters collector_read(collector *c)
{
    collector_counters n;

    sonde_mutex_lock(&c->mu);
    n = c->counters;
    sonde_mutex_unlock(&c->mu);
    return n;
}

/* The profiles of this stretch leave their places; returns how many. */
static size_t take_all(collector *c, source *out)
{
    size_t len = 0;

    sonde_mutex_lock(&c->mu);
    for (size_t i = 0; i < c->sources_len; i++) {
        if (!c->sources[i].profile)
            continue;
        out[len++] = c->sources[i];
        c->sources[i].profile = NULL;
    }
    sonde_mutex_unlock(&c->mu);
    return len;
}

sonde_status collector_take(collector *c, profile **out_profile)
{
    source *parts = sonde_calloc(COLLECTOR_PROCESSES_MAX, sizeof(*parts));
    bool has_roots = collector_read(c).processes > 1;
    size_t len = parts ? take_all(c, parts) : 0;
    profile *all = NULL;
    sonde_status status = parts ? profile_open(&all) : SONDE_ERR_NOMEM;

    for (size_t i = 0; i < len; i++) {
        if (status == SONDE_OK)
            status = profile_join(all, parts[i].profile,
                                  sonde_str_from(has_roots ? parts[i].name : NULL));
        profile_close(parts[i].profile);
    }
    sonde_free(parts);
    if (status != SONDE_OK) {
        profile_close(all);
        return status;
    }
    symbols_await_files(c->symbols);
    profile_symbolize(all);
    *out_profile = all;
    return SONDE_OK;
}

/* ---- life ---- */

static const char *place_of_ours(void)
{
    const char *base = geteuid() != 0 ? getenv("XDG_RUNTIME_DIR") : NULL;

    return base && strlen(base) <= 40 && access(base, W_OK) == 0 ? base : "/tmp";
}

/* In a folder nobody else can look into.  Of root's, whose programs become other users, everybody can reach the socket. */
static sonde_status listen_privately(collector *c, const collector_place *place, int *out_fd,
                                     sonde_error *out_error)
{
    const char *base = place ? place->base : place_of_ours();
    sonde_status status;

    (void)snprintf(c->folder, sizeof(c->folder), "%s/sonde-XXXXXX", base);
    if (!mkdtemp(c->folder)) {
        c->folder[0] = '\0';
        return sonde_fail(out_error, SONDE_ERR_SYS, "no folder for a socket below %s", base);
    }
    (void)snprintf(c->socket, sizeof(c->socket), "%s/profile.socket", c->folder);
    (void)snprintf(c->url, sizeof(c->url), "unix://%s%s", place ? place->there : base,
                   c->socket + strlen(base));
    c->is_open = !place && geteuid() == 0 && chmod(c->folder, 0711) == 0;
    status = sonde_listen_unix(c->socket, c->is_open ? 0666 : 0600, out_fd, out_error);
    if (status == SONDE_OK && place && place->uid != geteuid() &&
        (chown(c->socket, place->uid, place->gid) != 0 ||
         chown(c->folder, place->uid, place->gid) != 0)) {
        (void)close(*out_fd);
        return sonde_fail(out_error, SONDE_ERR_SYS, "%s cannot be given to user %u", c->folder,
                          (unsigned)place->uid);
    }
    return status;
}

static sonde_status serve(collector *c, const collector_place *place, sonde_error *out_error)
{
    const http_server_options options = { .name = "collect",
                                          .routes = c->routes,
                                          .routes_len = sizeof(c->routes) / sizeof(c->routes[0]),
                                          .threads = 1 };
    http_listener listener = { .is_unix = true };
    sonde_status status = listen_privately(c, place, &listener.fd, out_error);

    c->routes[0] = (http_route){ .methods = "POST,PUT",
                                 .path = BATCH_PATH,
                                 .handle = receive_batch,
                                 .max_body_bytes = SPB_BODY_MAX_BYTES,
                                 .user = c };
    c->routes[1] = (http_route){ .methods = "GET", .path = "/info", .handle = tell };
    return status == SONDE_OK ? http_server_open(&options, &listener, 1, &c->server, out_error)
                              : status;
}

sonde_status collector_open(bool inlines, const collector_place *place, collector **out_collector,
                            sonde_error *out_error)
{
    const symbols_options of_symbols = { .lines = inlines };
    collector *c = sonde_calloc(1, sizeof(*c));
    sonde_status status;

    if (!c)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "collector");
    sonde_mutex_init(&c->mu, SONDE_RANK_ROOM);
    status = symbols_open(&of_symbols, &c->symbols);
    if (status == SONDE_OK)
        status = serve(c, place, out_error);
    if (status != SONDE_OK) {
        collector_close(c);
        return status;
    }
    *out_collector = c;
    return SONDE_OK;
}

void collector_close(collector *c)
{
    if (!c)
        return;
    http_server_close(c->server, sonde_deadline(sonde_mono_ns(), STOP_NS));
    for (size_t i = 0; i < c->sources_len; i++) {
        session_close(c->sources[i].session);
        profile_close(c->sources[i].profile);
    }
    symbols_close(c->symbols);
    if (c->folder[0]) {
        (void)unlink(c->socket);
        (void)rmdir(c->folder);
    }
    sonde_mutex_done(&c->mu);
    sonde_free(c);
}

const char *collector_url(const collector *c)
{
    return c->url;
}
