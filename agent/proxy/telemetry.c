/* telemetry.c - telemetry is taken at once and sent in its own time.
 *
 *   request ─▶ job ─▶ waiting (TELEMETRY_QUEUE) ─▶ in flight (TELEMETRY_SENDERS) ─▶ freed
 *                └─ 429 when either is full, or all bodies together too large
 *
 * Nothing is sent twice: tracers repeat what matters.  A job's body is charged to the server's budget
 * until all targets have answered.
 */
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "internal.h"
#include "vocab/headers.h"

#define METHOD_MAX_LEN 16
#define OWN_PATH       "/api/v2/apmtelemetry"

typedef struct job_leg {
    telemetry_job *of;
    bool is_first;
} job_leg;

struct telemetry_job {
    telemetry_job *next;
    proxy *p;
    char method[METHOD_MAX_LEN];
    outgoing out;
    http_body body;
    bool is_ours; /* the body: nobody's budget */
    size_t bytes;
    uint64_t sent_mono_ns; /* the first leg */
    _Atomic unsigned refs; /* legs under way, and the sender's */
    job_leg legs[PROXY_TARGETS_MAX];
};

void telemetry_init(telemetry *t, uint64_t memory_limit_bytes)
{
    uint64_t share = memory_limit_bytes / 8;

    sonde_mutex_init(&t->mu, SONDE_RANK_ROOM);
    sonde_cond_init(&t->idle);
    t->max_bytes = share < TELEMETRY_MAX_BYTES ? (size_t)share : TELEMETRY_MAX_BYTES;
}

void telemetry_done(telemetry *t)
{
    (void)pthread_cond_destroy(&t->idle);
    sonde_mutex_done(&t->mu);
}

static void free_job(telemetry_job *job)
{
    if (!job)
        return;
    outgoing_done(&job->out);
    if (job->is_ours)
        sonde_free(job->body.data);
    else
        http_body_release(&job->body);
    sonde_free(job);
}

/* The next job in line, if a sender is free; it counts as in flight then. */
static telemetry_job *next_job(telemetry *t)
{
    telemetry_job *job = NULL;

    sonde_mutex_lock(&t->mu);
    if (t->head && t->in_flight < TELEMETRY_SENDERS) {
        job = t->head;
        t->head = job->next;
        if (!t->head)
            t->tail = NULL;
        t->waiting--;
        t->in_flight++;
    }
    sonde_mutex_unlock(&t->mu);
    return job;
}

static void end_job(telemetry_job *job)
{
    telemetry *t = &job->p->telemetry;

    sonde_mutex_lock(&t->mu);
    t->in_flight--;
    t->bytes -= job->bytes;
    if (t->in_flight == 0 && !t->head)
        (void)pthread_cond_broadcast(&t->idle);
    sonde_mutex_unlock(&t->mu);
    free_job(job);
}

/* True: it was the last reference, and the job is over. */
static bool put(telemetry_job *job)
{
    if (atomic_fetch_sub_explicit(&job->refs, 1, memory_order_acq_rel) != 1)
        return false;
    end_job(job);
    return true;
}

static void send_waiting(proxy *p);

static void on_answer(void *user, const http_curl_answer *answer)
{
    job_leg *l = user;
    telemetry_job *job = l->of;
    proxy *p = job->p;

    if (l->is_first) {
        timings_add(p->timings, TIMING_TELEMETRY, sonde_mono_ns() - job->sent_mono_ns);
        count_answer(p, DOOR_TELEMETRY, answer, job->body.len);
    } else if (answer->status != SONDE_OK || answer->http_status >= 300)
        count_add(&p->doors[DOOR_TELEMETRY].counters.copies_failed, 1);
    if (put(job))
        send_waiting(p);
}

static void send_leg(telemetry_job *job, size_t i)
{
    proxy *p = job->p;
    http_curl_request request = {
        .method = job->method,
        .body = { (const char *)job->body.data, job->body.len },
        .timeout_ms = TELEMETRY_TIMEOUT_MS,
        .done = on_answer,
        .user = &job->legs[i],
    };
    sonde_status status;

    job->legs[i] = (job_leg){ job, i == 0 };
    if (i == 0)
        job->sent_mono_ns = sonde_mono_ns();
    atomic_fetch_add_explicit(&job->refs, 1, memory_order_relaxed);
    status = send_to(p, DOOR_TELEMETRY, &p->doors[DOOR_TELEMETRY].targets[i], &job->out, &request);
    if (status == SONDE_OK)
        return;
    if (i == 0)
        count_answer(p, DOOR_TELEMETRY, &(http_curl_answer){ .status = status }, 0);
    else
        count_add(&p->doors[DOOR_TELEMETRY].counters.copies_failed, 1);
    atomic_fetch_sub_explicit(&job->refs, 1, memory_order_relaxed); /* the sender's is left */
}

static void send_waiting(proxy *p)
{
    telemetry_job *job;

    while ((job = next_job(&p->telemetry)) != NULL) {
        for (size_t i = 0; i < p->doors[DOOR_TELEMETRY].targets_len; i++)
            send_leg(job, i);
        (void)put(job);
    }
}

/* SONDE_ERR_FULL, and the job is still the caller's. */
static sonde_status enqueue(telemetry *t, telemetry_job *job)
{
    sonde_status status = SONDE_OK;

    sonde_mutex_lock(&t->mu);
    if (t->waiting >= TELEMETRY_QUEUE || job->bytes > t->max_bytes - t->bytes) {
        status = SONDE_ERR_FULL;
    } else {
        if (t->tail)
            t->tail->next = job;
        else
            t->head = job;
        t->tail = job;
        t->waiting++;
        t->bytes += job->bytes;
    }
    sonde_mutex_unlock(&t->mu);
    return status;
}

/* What the agent says of itself and of the container. */
static void fill_own_head(telemetry_job *job, sonde_str container)
{
    const proxy *p = job->p;
    const config_proxy *c = &p->config->proxy;
    outgoing *o = &job->out;

    outgoing_header(o, "Via", p->via);
    outgoing_header(o, "DD-Agent-Hostname", p->config->hostname);
    outgoing_header(o, "DD-Agent-Env", p->agent_env);
    if (container.len)
        outgoing_header(o, SONDE_HDR_CONTAINER_ID, container);
    outgoing_container_tags(o, p, container);
    if (c->install_id.len)
        outgoing_header(o, "DD-Agent-Install-Id", c->install_id);
    if (c->install_type.len)
        outgoing_header(o, "DD-Agent-Install-Type", c->install_type);
    if (c->install_time.len)
        outgoing_header(o, "DD-Agent-Install-Time", c->install_time);
}

static void fill_head(telemetry_job *job, const http_request *request)
{
    outgoing *o = &job->out;
    container_id room;
    sonde_str query = http_request_query_text(request);
    sonde_str path = http_request_path(request);

    append_path(&o->url, sonde_str_sub(path, sizeof("/telemetry/proxy") - 1, path.len));
    if (query.len) {
        sonde_buf_append_byte(&o->url, '?');
        sonde_buf_append_str(&o->url, query);
    }
    fill_own_head(job, origin_container_id(job->p->origin, request, room));
    outgoing_copy_all(o, request);
}

static telemetry_job *new_job(proxy *p, http_request *request)
{
    sonde_str method = http_request_method(request);
    telemetry_job *job = sonde_calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->p = p;
    atomic_init(&job->refs, 1);
    memcpy(job->method, method.ptr,
           method.len < METHOD_MAX_LEN - 1 ? method.len : METHOD_MAX_LEN - 1);
    outgoing_init(&job->out);
    fill_head(job, request);
    job->body = http_request_take_body(request);
    job->bytes = job->body.len;
    if (job->out.lines.status != SONDE_OK || job->out.url.status != SONDE_OK) {
        free_job(job);
        return NULL;
    }
    return job;
}

http_result telemetry_take(proxy *p, http_request *request, http_response *response)
{
    proxy_counters *c = &p->doors[DOOR_TELEMETRY].counters;
    telemetry_job *job;

    response->content_type = "application/json";
    response->static_body = SONDE_STR("{}");
    if (p->doors[DOOR_TELEMETRY].targets_len == 0) { /* nobody listens, and tracers stay quiet */
        count_add(&c->discarded, 1);
        return HTTP_DONE;
    }
    job = new_job(p, request);
    if (!job) {
        response->status = 500;
        count_dropped(p, DOOR_TELEMETRY, PROXY_NO_MEMORY);
        return HTTP_DONE;
    }
    count_add(&c->held, 1);
    if (enqueue(&p->telemetry, job) != SONDE_OK) {
        response->status = 429;
        atomic_fetch_sub_explicit(&c->held, 1, memory_order_relaxed);
        count_dropped(p, DOOR_TELEMETRY, PROXY_BUSY);
        free_job(job);
        return HTTP_DONE;
    }
    send_waiting(p);
    return HTTP_DONE;
}

/* -- the agent's own ------------------------------------------------------------------------------ */

static void header_if(outgoing *o, const char *name, sonde_str value)
{
    if (value.len)
        outgoing_header(o, name, value);
}

static telemetry_job *new_own_job(proxy *p, const proxy_telemetry *t)
{
    telemetry_job *job = sonde_calloc(1, sizeof(*job));
    outgoing *o;

    if (!job)
        return NULL;
    o = &job->out;
    job->p = p;
    job->is_ours = true;
    atomic_init(&job->refs, 1);
    memcpy(job->method, "POST", sizeof("POST"));
    outgoing_init(o);
    append_path(&o->url, SONDE_STR(OWN_PATH));
    outgoing_header(o, "Content-Type", SONDE_STR("application/json"));
    outgoing_header(o, "DD-Telemetry-API-Version", SONDE_STR("v2"));
    outgoing_header(o, "DD-Telemetry-Request-Type", sonde_str_from(t->request_type));
    header_if(o, "DD-Client-Library-Language", t->language);
    header_if(o, "DD-Client-Library-Version", t->library_version);
    fill_own_head(job, t->container_id);
    if (o->lines.status == SONDE_OK && o->url.status == SONDE_OK)
        return job;
    free_job(job);
    return NULL;
}

sonde_status proxy_push_telemetry(proxy *p, proxy_telemetry *t)
{
    proxy_counters *c = &p->doors[DOOR_TELEMETRY].counters;
    telemetry_job *job;

    if (p->doors[DOOR_TELEMETRY].targets_len == 0 ||
        atomic_load_explicit(&p->stopped, memory_order_relaxed))
        return SONDE_ERR_STATE;
    job = new_own_job(p, t);
    if (!job)
        return SONDE_ERR_NOMEM;
    job->bytes = t->body->len;
    job->body = (http_body){ .data = t->body->data, .len = t->body->len };
    if (enqueue(&p->telemetry, job) != SONDE_OK) {
        job->body.data = NULL; /* the caller's still */
        free_job(job);
        return SONDE_ERR_FULL;
    }
    (void)sonde_buf_take(t->body, &job->body.len);
    count_add(&c->received, 1);
    count_add(&c->held, 1);
    send_waiting(p);
    return SONDE_OK;
}

void telemetry_await(proxy *p, uint64_t deadline_mono_ns)
{
    telemetry *t = &p->telemetry;

    sonde_mutex_lock(&t->mu);
    while ((t->in_flight || t->head) && sonde_mono_ns() < deadline_mono_ns)
        sonde_cond_wait_until(&t->idle, &t->mu, deadline_mono_ns);
    sonde_mutex_unlock(&t->mu);
}
