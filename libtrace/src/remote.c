/* remote.c - the beat, and <sonde/remote.h>.
 *
 * Who waits for a poll takes a number; a poll that began later serves it. */
#include "remote.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/mutex.h"
#include "sonde/remote.h"

#include "apm_tracing.h"
#include "counters.h"
#include "flare.h"
#include "flusher.h"
#include "live.h"
#include "remote_poll.h"
#include "remote_state.h"
#include "tracer.h"

#define BODY_MAX_BYTES  (1u << 20) /* above all that is held, each byte escaped */
#define TEXTS_MAX_BYTES (1u << 20)

/* Of the beat. */
static struct {
    bool begun;
    bool to_apply; /* something changed, or nothing was applied yet */
    char client_id[SONDE__UUID_ROOM];
    sonde__remote_state state;
    sonde_buf body;
} self;

/* -- who waits, and what is in force -------------------------------------------------------------- */

typedef struct in_force {
    sonde__product product;
    uint64_t version;
    char id[SONDE_REMOTE_ID_ROOM];
} in_force;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_REMOTE);
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_cond_t served = PTHREAD_COND_INITIALIZER; /* until somebody waits, see make_cond() */

static struct {
    uint64_t wanted; /* guarded by mu, as all here */
    uint64_t done;
    uint64_t lives; /* that have ended */
    sonde_status status;
    in_force list[SONDE__REMOTE_CONFIGS_MAX];
    uint32_t len;
} shared;

static uint64_t polls_wanted(void)
{
    uint64_t wanted;

    sonde_mutex_lock(&mu);
    wanted = shared.wanted;
    sonde_mutex_unlock(&mu);
    return wanted;
}

static void list_file(const sonde__remote_file *f)
{
    in_force *to = &shared.list[shared.len];
    size_t len = sonde_utf8_cut(f->parts.id, sizeof(to->id) - 1);

    if (f->state != SONDE__CONFIG_ACKNOWLEDGED)
        return;
    to->product = f->parts.product;
    to->version = f->version;
    memcpy(to->id, f->parts.id.ptr, len);
    to->id[len] = '\0';
    shared.len++;
}

static void serve(uint64_t wanted, sonde_status status)
{
    uint32_t i;

    sonde_mutex_lock(&mu);
    shared.done = wanted;
    shared.status = status;
    shared.len = 0;
    for (i = 0; i < self.state.len; i++)
        list_file(self.state.file[i]);
    (void)pthread_cond_broadcast(&served);
    sonde_mutex_unlock(&mu);
}

/* -- applying ------------------------------------------------------------------------------------- */

typedef struct applying {
    sonde_arena texts;
    sonde__apm_tracing each[SONDE__REMOTE_CONFIGS_MAX];
    uint32_t len;
    int log_level; /* the most talkative */
    bool no_memory;
} applying;

static void read_apm_tracing(applying *a, sonde__remote_file *f)
{
    char error[SONDE__APM_ERROR_ROOM];
    sonde_status status = sonde__apm_tracing_parse(f->content, &a->texts, &a->each[a->len], error);

    if (status != SONDE_OK) {
        sonde__remote_file_fail(f, error);
        a->no_memory |= status == SONDE_ERR_NOMEM;
        return;
    }
    f->state = SONDE__CONFIG_ACKNOWLEDGED;
    f->error[0] = '\0';
    a->len++;
}

static void settle_file(sonde__remote_file *f, sonde_status status)
{
    if (status != SONDE_OK) {
        sonde__remote_file_fail(f, sonde_status_str(status));
        return;
    }
    f->state = SONDE__CONFIG_ACKNOWLEDGED;
    f->error[0] = '\0';
}

static void read_agent_config(applying *a, sonde__remote_file *f)
{
    int level;

    settle_file(f, sonde__flare_level_read(f->content, &level));
    if (level > a->log_level)
        a->log_level = level;
}

/* A task is done once, however often the settings are put together. */
static void read_agent_task(sonde__remote_file *f)
{
    sonde__flare_task task;
    sonde_status status;
    bool is_flare;

    if (f->state != SONDE__CONFIG_NEW)
        return;
    status = sonde__flare_task_read(f->content, &task, &is_flare);
    if (status == SONDE_OK && is_flare)
        status = sonde__flare_ask(&task);
    settle_file(f, status);
}

static void read_file(applying *a, sonde__remote_file *f)
{
    switch (f->parts.product) {
    case SONDE__APM_TRACING:
        read_apm_tracing(a, f);
        break;
    case SONDE__AGENT_CONFIG:
        read_agent_config(a, f);
        break;
    default:
        read_agent_task(f);
    }
}

static void fail_all(const char *error)
{
    uint32_t i;

    for (i = 0; i < self.state.len; i++)
        if (self.state.file[i]->parts.product == SONDE__APM_TRACING)
            sonde__remote_file_fail(self.state.file[i], error);
}

static void apply(const sonde__config *c)
{
    applying a = { .len = 0, .log_level = SONDE__REMOTE_LEVEL_NONE };
    sonde__remote_values values;
    sonde_status status;
    uint32_t i;

    sonde_arena_init(&a.texts, TEXTS_MAX_BYTES);
    for (i = 0; i < self.state.len; i++)
        read_file(&a, self.state.file[i]);
    values = sonde__apm_tracing_merge(a.each, a.len);
    values.log_level = sonde__flare_level(a.log_level, sonde_mono_ns());
    status = sonde__live_apply(c, &values);
    if (status != SONDE_OK)
        fail_all(sonde_status_str(status));
    self.to_apply = a.no_memory || status == SONDE_ERR_NOMEM; /* again with the next poll */
    SONDE_LOG(SONDE_LOG_DEBUG, "remote configuration applied: files=%u targets_version=%llu",
              (unsigned)self.state.len, (unsigned long long)self.state.targets_version);
    sonde_arena_done(&a.texts);
}

/* -- the beat ------------------------------------------------------------------------------------- */

static bool wanted(const sonde__config *c)
{
    return c->remote_enabled;
}

static void begin(void)
{
    if (self.begun)
        return;
    self.begun = true;
    self.to_apply = true;
    sonde__make_uuid(self.client_id);
    sonde_buf_init(&self.body, BODY_MAX_BYTES);
}

static bool holds(sonde__product product)
{
    uint32_t i;

    for (i = 0; i < self.state.len; i++)
        if (self.state.file[i]->parts.product == product)
            return true;
    return false;
}

static sonde_status take(const sonde__config *c, const sonde__answer *answer)
{
    bool changed, had_tracing;

    if (answer->http_status == 404)
        return SONDE_ERR_NOT_FOUND;
    if (answer->http_status != 200)
        return SONDE_ERR_REFUSED;
    had_tracing = holds(SONDE__APM_TRACING);
    changed = sonde__remote_state_take(&self.state, answer->body);
    if (changed)
        sonde__count(SONDE__REMOTE_UPDATES, 1);
    if (self.state.error[0] != '\0')
        sonde__count(SONDE__REMOTE_REJECTED, 1);
    if (changed || (self.to_apply && self.state.error[0] == '\0'))
        apply(c);
    if (changed && (had_tracing || holds(SONDE__APM_TRACING)))
        sonde__live_tell(c);
    return self.state.error[0] ? SONDE_ERR_SYNTAX : SONDE_OK;
}

static sonde_status poll(const sonde__config *c)
{
    static const sonde_http_header type = { { "Content-Type", 12 }, { "application/json", 16 } };
    sonde__answer answer;
    sonde_status status;

    sonde_buf_reset(&self.body);
    sonde__remote_poll_write(c, self.client_id, sonde__runtime_id(), &self.state, &self.body);
    if (self.body.status != SONDE_OK)
        return self.body.status;
    status = sonde__beat_request(&(sonde__request){ .path = "/v0.7/config",
                                                    .headers = &type,
                                                    .headers_len = 1,
                                                    .body = sonde_buf_str(&self.body) },
                                 &answer);
    return status == SONDE_OK ? take(c, &answer) : status;
}

static uint64_t interval_ns(const sonde__config *c)
{
    return c->remote_poll_ns > SONDE__REMOTE_POLL_MIN_NS ? c->remote_poll_ns
                                                         : SONDE__REMOTE_POLL_MIN_NS;
}

static uint64_t work(uint64_t now_mono_ns)
{
    const sonde__config *c = sonde__settings();
    uint64_t number = polls_wanted();

    begin();
    if (sonde__flare_level_is_over(now_mono_ns))
        apply(c);
    serve(number, poll(c));
    return sonde_deadline(now_mono_ns, interval_ns(c));
}

/* What is set from afar stays: this may be a forked child, which asks for itself first (live.c). */
static void forget(void)
{
    sonde__remote_state_done(&self.state);
    sonde_buf_done(&self.body);
    self.begun = false;
    sonde_mutex_lock(&mu);
    shared.lives++;
    shared.len = 0;
    (void)pthread_cond_broadcast(&served);
    sonde_mutex_unlock(&mu);
}

const sonde__beat sonde__remote_beat = { "remote", wanted, work, NULL, forget, NULL };

/* -- <sonde/remote.h> ----------------------------------------------------------------------------- */

static void make_cond(void)
{
    sonde_cond_init(&served);
}

static sonde_status wait_for(uint64_t number, uint64_t lives, uint64_t deadline_mono_ns)
{
    sonde_status status = SONDE_ERR_TIMEOUT;

    sonde_mutex_lock(&mu);
    while (shared.done < number && shared.lives == lives && sonde_mono_ns() < deadline_mono_ns)
        sonde_cond_wait_until(&served, &mu, deadline_mono_ns);
    if (shared.done >= number)
        status = shared.status;
    else if (shared.lives != lives)
        status = SONDE_ERR_STATE;
    sonde_mutex_unlock(&mu);
    return status;
}

sonde_status sonde_remote_poll(uint32_t timeout_ms)
{
    uint64_t deadline = sonde_deadline(sonde_mono_ns(), sonde_ms_to_ns(timeout_ms));
    uint64_t number, lives;

    if (!sonde__is_started() || !sonde__settings()->remote_enabled)
        return SONDE_ERR_STATE;
    (void)pthread_once(&once, make_cond);
    sonde_mutex_lock(&mu);
    number = ++shared.wanted;
    lives = shared.lives;
    sonde_mutex_unlock(&mu);
    sonde__flusher_wake(); /* in a forked child there may be no thread yet */
    sonde__beat_hurry(&sonde__remote_beat);
    return wait_for(number, lives, deadline);
}

sonde_status sonde_remote_config_at(uint32_t index, sonde_remote_config *out)
{
    sonde_remote_config c = { 0 };
    size_t bytes = out ? out->struct_bytes : 0;
    sonde_status status = SONDE_ERR_NOT_FOUND;

    if (!out)
        return SONDE_ERR_INVALID;
    sonde_mutex_lock(&mu);
    if (index < shared.len) {
        c.struct_bytes = out->struct_bytes;
        c.version = shared.list[index].version;
        c.product = sonde__product_name(shared.list[index].product);
        memcpy(c.config_id, shared.list[index].id, sizeof(c.config_id));
        status = SONDE_OK;
    }
    sonde_mutex_unlock(&mu);
    if (status == SONDE_OK)
        memcpy(out, &c, bytes == 0 || bytes > sizeof(c) ? sizeof(c) : bytes);
    return status;
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__remote_prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__remote_postfork_parent(void)
{
    sonde_mutex_unlock(&mu);
}

/* Its waiters are the parent's. */
SONDE_NO_TSA void sonde__remote_postfork_child(void)
{
    sonde_cond_init(&served);
    shared.done = shared.wanted;
    sonde_mutex_unlock(&mu);
}
