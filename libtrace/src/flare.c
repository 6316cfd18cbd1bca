/* flare.c - tasks wait here for their request; three attempts each. */
#include "flare.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"

#include "apm_tracing.h"
#include "counters.h"
#include "flare_log.h"
#include "flare_report.h"
#include "tracer.h"

#define ATTEMPTS_MAX 3
#define PAUSE_NS     (5 * (uint64_t)SONDE_NS_PER_S)
#define SEEN_MAX     16

static struct {
    sonde__flare_task task[SONDE__FLARE_TASKS_MAX]; /* the first is being sent */
    unsigned len;
    unsigned attempts;       /* of the first */
    char seen[SEEN_MAX][64]; /* uuids, the oldest is overwritten */
    unsigned seen_len;       /* ever */
    int level;               /* as it was told last */
    bool has_level;          /* `level` is one, and its time began: */
    bool is_over;
    uint64_t level_until_mono_ns;
    sonde_buf zip; /* the first task's request */
    sonde_buf body;
} self;

/* -- the log level -------------------------------------------------------------------------------- */

/* A flare that waits still needs what was logged. */
static void end_log(void)
{
    if ((!self.has_level || self.is_over) && self.len == 0)
        sonde__flare_log_end();
}

int sonde__flare_level(int level, uint64_t now_mono_ns)
{
    bool is_new = level != SONDE__REMOTE_LEVEL_NONE && (!self.has_level || level != self.level);

    if (level == SONDE__REMOTE_LEVEL_NONE) {
        self.has_level = self.is_over = false;
        end_log();
        return level;
    }
    if (is_new) {
        self.has_level = true;
        self.is_over = false;
        self.level = level;
        self.level_until_mono_ns = sonde_deadline(now_mono_ns, SONDE__FLARE_LEVEL_NS);
        if (sonde__flare_log_begin() != SONDE_OK)
            SONDE_LOG(SONDE_LOG_WARN, "no memory for the log of a flare");
    }
    if (sonde__flare_level_is_over(now_mono_ns)) {
        self.is_over = true;
        end_log();
    }
    return self.is_over ? SONDE__REMOTE_LEVEL_NONE : level;
}

bool sonde__flare_level_is_over(uint64_t now_mono_ns)
{
    return self.has_level && !self.is_over && now_mono_ns >= self.level_until_mono_ns;
}

/* -- tasks ---------------------------------------------------------------------------------------- */

static bool was_seen(const char *uuid)
{
    unsigned i;

    for (i = 0; i < SEEN_MAX && i < self.seen_len; i++)
        if (strcmp(self.seen[i], uuid) == 0)
            return true;
    return false;
}

sonde_status sonde__flare_ask(const sonde__flare_task *task)
{
    if (task->uuid[0] != '\0' && was_seen(task->uuid))
        return SONDE_OK;
    if (self.len == SONDE__FLARE_TASKS_MAX) {
        sonde__count(SONDE__FLARES_FAILED, 1);
        return SONDE_ERR_FULL;
    }
    self.task[self.len++] = *task;
    (void)snprintf(self.seen[self.seen_len++ % SEEN_MAX], sizeof(self.seen[0]), "%s", task->uuid);
    sonde__beat_hurry(&sonde__flare_beat);
    return SONDE_OK;
}

static void drop_buffers(void)
{
    sonde_buf_done(&self.zip);
    sonde_buf_done(&self.body);
}

static void finish_task(void)
{
    self.len--;
    memmove(self.task, self.task + 1, self.len * sizeof(self.task[0]));
    self.attempts = 0;
    end_log();
}

/* -- the beat ------------------------------------------------------------------------------------- */

static bool wanted(const sonde__config *c)
{
    return c->remote_enabled;
}

/* The HTTP status; 0: no answer, or no memory to ask. */
static int send_flare(const sonde__config *c)
{
    char boundary[SONDE__UUID_ROOM];
    char type[96];
    sonde_http_header header = { SONDE_STR("Content-Type"), { type, 0 } };
    sonde__answer answer = { 0 };

    sonde__make_uuid(boundary);
    header.value.len =
        (size_t)snprintf(type, sizeof(type), "multipart/form-data; boundary=%s", boundary);
    sonde_buf_init(&self.zip, SONDE__FLARE_MAX_BYTES);
    sonde_buf_init(&self.body, SONDE__FLARE_MAX_BYTES);
    sonde__flare_write_archive(c, &self.zip);
    sonde__flare_write_form(c, &self.task[0], sonde_buf_str(&self.zip), boundary, sonde_unix_ns(),
                            &self.body);
    if (self.zip.status == SONDE_OK && self.body.status == SONDE_OK &&
        sonde__beat_request(&(sonde__request){ .path = "/tracer_flare/v1",
                                               .headers = &header,
                                               .headers_len = 1,
                                               .body = sonde_buf_str(&self.body) },
                            &answer) != SONDE_OK)
        answer.http_status = 0;
    drop_buffers();
    return answer.http_status;
}

static uint64_t work(uint64_t now_mono_ns)
{
    int status;

    if (self.len == 0)
        return SONDE__NEVER;
    status = send_flare(sonde__settings());
    if (status >= 200 && status < 300) {
        sonde__count(SONDE__FLARES_SENT, 1);
        SONDE_LOG_ALWAYS(SONDE_LOG_INFO, "flare sent: case=%s",
                         SONDE_LOG_QUOTE(sonde_str_from(self.task[0].case_id)));
    } else if ((status == 0 || status == 429 || status >= 500) && ++self.attempts < ATTEMPTS_MAX) {
        return sonde_deadline(now_mono_ns, PAUSE_NS);
    } else {
        sonde__count(SONDE__FLARES_FAILED, 1);
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "flare not delivered: case=%s status=%d",
                         SONDE_LOG_QUOTE(sonde_str_from(self.task[0].case_id)), status);
    }
    finish_task();
    return self.len > 0 ? now_mono_ns : SONDE__NEVER;
}

static void forget(void)
{
    drop_buffers();
    sonde__flare_log_end();
    memset(&self, 0, sizeof(self));
}

const sonde__beat sonde__flare_beat = { "flare", wanted, work, NULL, forget, NULL };
