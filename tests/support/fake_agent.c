/* fake_agent.c - one thread, poll over its connections. */
#include "support/fake_agent.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parse.h"
#include "codec/msgpack_read.h"
#include "net/socket.h"

#define CONNECTIONS_MAX   16
#define REQUEST_MAX_BYTES (16u << 20)
#define SCRIPT_MAX        64
#define ROUTES_MAX        16
#define OTHERS_MAX        1024

typedef struct connection {
    int fd; /* -1: free */
    uint8_t *data;
    size_t len;
    size_t cap;
} connection;

typedef struct route {
    const char *path;
    fake_answer answer;
} route;

typedef struct other {
    char *head;
    char *body;
    size_t len;
} other;

struct fake_agent {
    pthread_t thread;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    int listener;
    int wake[2];
    char url[512];
    connection connection[CONNECTIONS_MAX];
    fake_counts counts;             /* guarded by mu, as all below */
    fake_answer script[SCRIPT_MAX]; /* from `done` to `told` */
    int told;
    int done;
    char *head;
    uint8_t *body;
    size_t body_len;
    uint8_t *stats;
    size_t stats_len;
    char *stats_head;
    const char *info;
    const char *state;
    route routes[ROUTES_MAX];
    unsigned routes_len;
    other others[OTHERS_MAX]; /* the first of counts.others */
};

/* -- reading requests ----------------------------------------------------------------------------- */

/* Steps over the list of texts of a v0.5 body, and says what a span is in it. */
static bool begin_body(sonde_mp_reader *r, const char *head, sonde_mp_type *out_span)
{
    uint32_t two;

    *out_span = SONDE_MP_MAP;
    if (strncmp(head, "POST /v0.5/traces ", 18) != 0)
        return true;
    *out_span = SONDE_MP_ARRAY;
    return sonde_mp_read_array(r, &two) && two == 2 && sonde_mp_skip(r);
}

/* Steps to the chunks of a v1 body, which come last, and counts their spans (field 4 of each). */
static bool count_v1_body(sonde_mp_reader *r, uint64_t *out_chunks, uint64_t *out_spans)
{
    uint32_t fields, chunks, spans, i;
    uint64_t key = 0;

    if (!sonde_mp_read_map(r, &fields))
        return false;
    for (; fields > 1 && sonde_mp_read_u64(r, &key) && key != 11; fields--)
        if (!sonde_mp_skip(r))
            return false;
    if ((fields == 1 && !sonde_mp_read_u64(r, &key)) || key != 11 ||
        !sonde_mp_read_array(r, &chunks))
        return false;
    for (i = 0; i < chunks && sonde_mp_read_map(r, &fields); i++) {
        for (; fields > 0 && sonde_mp_read_u64(r, &key); fields--) {
            sonde_mp_reader ahead = *r;

            if (key == 4 && sonde_mp_read_array(&ahead, &spans))
                *out_spans += spans;
            if (!sonde_mp_skip(r))
                return false;
        }
    }
    *out_chunks = chunks;
    return sonde_mp_peek(r) == SONDE_MP_END;
}

static bool count_body(const char *head, const uint8_t *body, size_t len, uint64_t *out_chunks,
                       uint64_t *out_spans)
{
    sonde_mp_type span;
    sonde_mp_reader r;
    uint32_t chunks, spans, i, j;

    *out_spans = 0;
    sonde_mp_reader_init(&r, body, len);
    if (strncmp(head, "POST /v1.0/traces ", 18) == 0)
        return count_v1_body(&r, out_chunks, out_spans);
    if (!begin_body(&r, head, &span) || !sonde_mp_read_array(&r, &chunks))
        return false;
    for (i = 0; i < chunks; i++) {
        if (!sonde_mp_read_array(&r, &spans))
            return false;
        for (j = 0; j < spans; j++)
            if (sonde_mp_peek(&r) != span || !sonde_mp_skip(&r))
                return false;
        *out_spans += spans;
    }
    *out_chunks = chunks;
    return sonde_mp_peek(&r) == SONDE_MP_END;
}

static uint64_t header_number(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    sonde_str value;
    uint64_t number = 0;

    if (!at)
        return 0;
    value = sonde_str_from(at + strlen(name));
    value = sonde_str_trim(sonde_str_cut(&value, '\r'));
    (void)sonde_parse_u64(value, &number);
    return number;
}

static void keep_last_locked(fake_agent *a, const char *head, const uint8_t *body, size_t len)
{
    free(a->head);
    free(a->body);
    a->head = strdup(head);
    a->body = (uint8_t *)malloc(len + 1);
    memcpy(a->body, body, len);
    a->body_len = len;
}

static fake_answer answer_info(fake_agent *a)
{
    fake_answer answer = { .manner = FAKE_ANSWER };

    (void)pthread_mutex_lock(&a->mu);
    a->counts.infos++;
    answer.status = a->info ? 200 : 404;
    answer.body = a->info;
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->mu);
    return answer;
}

static fake_answer note_stats(fake_agent *a, const char *head, const uint8_t *body, size_t len)
{
    (void)pthread_mutex_lock(&a->mu);
    a->counts.stats++;
    free(a->stats);
    free(a->stats_head);
    a->stats_head = strdup(head);
    a->stats = (uint8_t *)malloc(len + 1);
    memcpy(a->stats, body, len);
    a->stats_len = len;
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->mu);
    return (fake_answer){ .manner = FAKE_ANSWER };
}

static bool has_path(const char *head, const char *beginning)
{
    const char *path = strchr(head, ' ');

    return path && strncmp(path + 1, beginning, strlen(beginning)) == 0;
}

static fake_answer note_other(fake_agent *a, const char *head, const uint8_t *body, size_t len)
{
    fake_answer answer = { .manner = FAKE_ANSWER };
    unsigned i;

    (void)pthread_mutex_lock(&a->mu);
    if (a->counts.others < OTHERS_MAX) {
        other *o = &a->others[a->counts.others];

        o->head = strdup(head);
        o->body = (char *)calloc(1, len + 1);
        memcpy(o->body, body, len);
        o->len = len;
    }
    a->counts.others++;
    for (i = 0; i < a->routes_len; i++)
        if (has_path(head, a->routes[i].path))
            answer = a->routes[i].answer;
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->mu);
    return answer;
}

/* "/v0.4/traces", "/v1.0/traces" and the like. */
static bool takes_traces(const char *head)
{
    const char *path = strchr(head, ' ');
    const char *end = path ? strchr(path + 1, ' ') : NULL;

    return end && end - path > 7 && strncmp(end - 7, "/traces", 7) == 0;
}

static fake_answer note_request(fake_agent *a, const char *head, const uint8_t *body, size_t len)
{
    fake_answer answer = { .manner = FAKE_ANSWER };
    uint64_t chunks = 0;
    uint64_t spans = 0;

    (void)pthread_mutex_lock(&a->mu);
    if (a->done < a->told)
        answer = a->script[a->done++ % SCRIPT_MAX];
    a->counts.requests++;
    a->counts.announced += header_number(head, "X-Datadog-Trace-Count:");
    if (count_body(head, body, len, &chunks, &spans)) {
        a->counts.chunks += chunks;
        a->counts.spans += spans;
        if (answer.manner == FAKE_ANSWER && (answer.status == 0 || answer.status == 200)) {
            a->counts.taken_chunks += chunks;
            a->counts.taken_spans += spans;
        }
    } else {
        a->counts.bad++;
    }
    keep_last_locked(a, head, body, len);
    (void)pthread_cond_broadcast(&a->changed);
    (void)pthread_mutex_unlock(&a->mu);
    return answer;
}

static void close_connection(connection *c)
{
    (void)close(c->fd);
    free(c->data);
    memset(c, 0, sizeof(*c));
    c->fd = -1;
}

static void send_answer(connection *c, const fake_answer *answer, const char *state)
{
    const char *body = answer->body ? answer->body : "{}";
    char text[1024];
    int len;

    if (answer->manner == FAKE_HANG)
        return;
    if (answer->manner == FAKE_GARBAGE)
        len = snprintf(text, sizeof(text), "\x01\x02 nonsense \xff\r\n\r\n");
    else
        len = snprintf(text, sizeof(text), "HTTP/1.1 %d Told\r\n%s%s%sContent-Length: %zu\r\n\r\n",
                       answer->status ? answer->status : 200, state ? "Datadog-Agent-State: " : "",
                       state ? state : "", state ? "\r\n" : "", strlen(body));
    if (answer->manner != FAKE_CLOSE)
        (void)send(c->fd, text, (size_t)len, MSG_NOSIGNAL);
    if (answer->manner == FAKE_ANSWER)
        (void)send(c->fd, body, strlen(body), MSG_NOSIGNAL);
    if (answer->manner != FAKE_ANSWER)
        close_connection(c);
}

static const char *agent_state(fake_agent *a)
{
    const char *state;

    (void)pthread_mutex_lock(&a->mu);
    state = a->state;
    (void)pthread_mutex_unlock(&a->mu);
    return state;
}

/* Handles one complete request, if there is one. */
static bool handle_request(fake_agent *a, connection *c)
{
    uint8_t *end = c->len ? (uint8_t *)memmem(c->data, c->len, "\r\n\r\n", 4) : NULL;
    fake_answer answer;
    size_t head_len, body_len;

    if (!end)
        return false;
    head_len = (size_t)(end - c->data) + 4;
    *end = '\0';
    body_len = header_number((const char *)c->data, "Content-Length:");
    *end = '\r';
    if (c->len < head_len + body_len)
        return false;
    *end = '\0';
    if (strncmp((const char *)c->data, "GET /info ", 10) == 0)
        answer = answer_info(a);
    else if (strncmp((const char *)c->data, "POST /v0.6/stats ", 17) == 0)
        answer = note_stats(a, (const char *)c->data, c->data + head_len, body_len);
    else if (!takes_traces((const char *)c->data))
        answer = note_other(a, (const char *)c->data, c->data + head_len, body_len);
    else
        answer = note_request(a, (const char *)c->data, c->data + head_len, body_len);
    memmove(c->data, c->data + head_len + body_len, c->len - head_len - body_len);
    c->len -= head_len + body_len;
    send_answer(c, &answer, agent_state(a));
    return c->fd >= 0;
}

static void read_more(fake_agent *a, connection *c)
{
    ssize_t n;

    if (c->cap - c->len < 65536) {
        c->cap = c->cap ? c->cap * 2 : 1u << 18;
        c->data = (uint8_t *)realloc(c->data, c->cap);
    }
    n = recv(c->fd, c->data + c->len, c->cap - c->len - 1, 0);
    if (n <= 0 || c->cap > REQUEST_MAX_BYTES * 2) {
        close_connection(c);
        return;
    }
    c->len += (size_t)n;
    while (handle_request(a, c))
        ;
}

static void accept_one(fake_agent *a)
{
    int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
    int i;

    for (i = 0; i < CONNECTIONS_MAX && fd >= 0; i++) {
        if (a->connection[i].fd >= 0)
            continue;
        a->connection[i].fd = fd;
        return;
    }
    if (fd >= 0)
        (void)close(fd);
}

static void *run(void *arg)
{
    fake_agent *a = (fake_agent *)arg;
    struct pollfd p[CONNECTIONS_MAX + 2];
    int i;

    for (;;) {
        p[0] = (struct pollfd){ .fd = a->listener, .events = POLLIN };
        p[1] = (struct pollfd){ .fd = a->wake[0], .events = POLLIN };
        for (i = 0; i < CONNECTIONS_MAX; i++)
            p[i + 2] = (struct pollfd){ .fd = a->connection[i].fd, .events = POLLIN };
        if (poll(p, CONNECTIONS_MAX + 2, -1) < 0 || p[1].revents)
            return NULL;
        for (i = 0; i < CONNECTIONS_MAX; i++)
            if (p[i + 2].revents && a->connection[i].fd >= 0)
                read_more(a, &a->connection[i]);
        if (p[0].revents)
            accept_one(a);
    }
}

/* -- the test's side ------------------------------------------------------------------------------ */

fake_agent *fake_agent_open(const char *socket_path)
{
    fake_agent *a = (fake_agent *)calloc(1, sizeof(*a));
    pthread_condattr_t attr;
    int i;

    if (!a)
        return NULL;
    for (i = 0; i < CONNECTIONS_MAX; i++)
        a->connection[i].fd = -1;
    (void)pthread_mutex_init(&a->mu, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&a->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (socket_path) {
        if (sonde_listen_unix(socket_path, 0600, &a->listener, NULL) != SONDE_OK)
            return NULL;
        (void)snprintf(a->url, sizeof(a->url), "unix://%s", socket_path);
    } else {
        if (sonde_listen_tcp("127.0.0.1", 0, &a->listener, NULL) != SONDE_OK)
            return NULL;
        (void)snprintf(a->url, sizeof(a->url), "http://127.0.0.1:%u",
                       sonde_local_port(a->listener));
    }
    if (pipe2(a->wake, O_CLOEXEC) != 0 || pthread_create(&a->thread, NULL, run, a) != 0)
        return NULL;
    return a;
}

void fake_agent_close(fake_agent *a)
{
    int i;

    if (!a)
        return;
    (void)!write(a->wake[1], "x", 1);
    (void)pthread_join(a->thread, NULL);
    for (i = 0; i < CONNECTIONS_MAX; i++)
        if (a->connection[i].fd >= 0)
            close_connection(&a->connection[i]);
    (void)close(a->listener);
    (void)close(a->wake[0]);
    (void)close(a->wake[1]);
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_mutex_destroy(&a->mu);
    free(a->head);
    free(a->body);
    free(a->stats_head);
    free(a->stats);
    for (i = 0; i < OTHERS_MAX; i++) {
        free(a->others[i].head);
        free(a->others[i].body);
    }
    free(a);
}

const char *fake_agent_url(const fake_agent *a)
{
    return a->url;
}

void fake_agent_answer(fake_agent *a, fake_answer answer, int times)
{
    (void)pthread_mutex_lock(&a->mu);
    for (; times > 0; times--)
        a->script[a->told++ % SCRIPT_MAX] = answer;
    (void)pthread_mutex_unlock(&a->mu);
}

void fake_agent_info(fake_agent *a, const char *json, const char *state)
{
    (void)pthread_mutex_lock(&a->mu);
    a->info = json;
    a->state = state;
    (void)pthread_mutex_unlock(&a->mu);
}

void fake_agent_route(fake_agent *a, const char *path, fake_answer answer)
{
    unsigned i = 0;

    (void)pthread_mutex_lock(&a->mu);
    while (i < a->routes_len && strcmp(a->routes[i].path, path) != 0)
        i++;
    if (i < ROUTES_MAX)
        a->routes[i] = (route){ path, answer };
    if (i == a->routes_len && i < ROUTES_MAX)
        a->routes_len++;
    (void)pthread_mutex_unlock(&a->mu);
}

static other *find_other_locked(fake_agent *a, const char *path, uint64_t n)
{
    uint64_t i;

    for (i = 0; i < a->counts.others && i < OTHERS_MAX; i++)
        if (has_path(a->others[i].head, path) && n-- == 0)
            return &a->others[i];
    return NULL;
}

char *fake_agent_other(fake_agent *a, const char *path, uint64_t n, unsigned timeout_ms,
                       char **out_head)
{
    struct timespec until =
        sonde_ns_to_timespec(sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(timeout_ms)));
    char *body = NULL;
    other *o;

    (void)pthread_mutex_lock(&a->mu);
    while (!(o = find_other_locked(a, path, n)) &&
           pthread_cond_timedwait(&a->changed, &a->mu, &until) == 0)
        ;
    if (o) {
        body = (char *)calloc(1, o->len + 1);
        memcpy(body, o->body, o->len);
        if (out_head)
            *out_head = strdup(o->head);
    }
    (void)pthread_mutex_unlock(&a->mu);
    return body;
}

uint64_t fake_agent_others(fake_agent *a, const char *path)
{
    uint64_t n = 0;

    (void)pthread_mutex_lock(&a->mu);
    while (find_other_locked(a, path, n))
        n++;
    (void)pthread_mutex_unlock(&a->mu);
    return n;
}

fake_counts fake_agent_counts(fake_agent *a)
{
    fake_counts counts;

    (void)pthread_mutex_lock(&a->mu);
    counts = a->counts;
    (void)pthread_mutex_unlock(&a->mu);
    return counts;
}

static bool wait_for(fake_agent *a, const uint64_t *counter, uint64_t want, unsigned timeout_ms)
{
    struct timespec until =
        sonde_ns_to_timespec(sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(timeout_ms)));
    bool reached;

    (void)pthread_mutex_lock(&a->mu);
    while (*counter < want && pthread_cond_timedwait(&a->changed, &a->mu, &until) == 0)
        ;
    reached = *counter >= want;
    (void)pthread_mutex_unlock(&a->mu);
    return reached;
}

bool fake_agent_wait_spans(fake_agent *a, uint64_t spans, unsigned timeout_ms)
{
    return wait_for(a, &a->counts.taken_spans, spans, timeout_ms);
}

bool fake_agent_wait_requests(fake_agent *a, uint64_t requests, unsigned timeout_ms)
{
    return wait_for(a, &a->counts.requests, requests, timeout_ms);
}

bool fake_agent_wait_infos(fake_agent *a, uint64_t infos, unsigned timeout_ms)
{
    return wait_for(a, &a->counts.infos, infos, timeout_ms);
}

char *fake_agent_last_head(fake_agent *a)
{
    char *head;

    (void)pthread_mutex_lock(&a->mu);
    head = strdup(a->head ? a->head : "");
    (void)pthread_mutex_unlock(&a->mu);
    return head;
}

uint8_t *fake_agent_last_stats(fake_agent *a, size_t *out_len)
{
    uint8_t *body;

    (void)pthread_mutex_lock(&a->mu);
    *out_len = a->stats_len;
    body = (uint8_t *)malloc(a->stats_len + 1);
    memcpy(body, a->stats_len ? a->stats : (const uint8_t *)"", a->stats_len);
    (void)pthread_mutex_unlock(&a->mu);
    return body;
}

char *fake_agent_last_stats_head(fake_agent *a)
{
    char *head;

    (void)pthread_mutex_lock(&a->mu);
    head = strdup(a->stats_head ? a->stats_head : "");
    (void)pthread_mutex_unlock(&a->mu);
    return head;
}

uint8_t *fake_agent_last_body(fake_agent *a, size_t *out_len)
{
    uint8_t *body;

    (void)pthread_mutex_lock(&a->mu);
    *out_len = a->body_len;
    body = (uint8_t *)malloc(a->body_len + 1);
    memcpy(body, a->body_len ? a->body : (const uint8_t *)"", a->body_len);
    (void)pthread_mutex_unlock(&a->mu);
    return body;
}
