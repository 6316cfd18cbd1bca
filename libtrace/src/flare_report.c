/* flare_report.c - nothing of spans: the library's own log, its settings without secrets and without the
 * program's tags, what it runs on, what it counted. */
#include "flare_report.h"

#include <stddef.h>
#include <string.h>

#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/json_write.h"
#include "codec/zip.h"
#include "sonde/counters.h"

#include "agent_info.h"
#include "flare_log.h"
#include "live.h"
#include "settings.h"
#include "tracer.h"

#define FILE_MAX_BYTES (300u << 10)

/* -- files ---------------------------------------------------------------------------------------- */

static void put_setting(sonde_json_writer *w, const sonde__config *c, size_t at)
{
    const sonde__row *row = &sonde__rows[at];
    const char *origin = sonde__origin_name(c->settings[at].origin);
    char text[SONDE_SETTING_ROOM];
    uint32_t bytes;

    if (sonde__live_setting(row->names[0], text, &bytes))
        origin = sonde__origin_name(SONDE__ORIGIN_REMOTE);
    else
        sonde__setting_print(row, c->settings[at].value, text, &bytes);
    if (row->field == offsetof(sonde__config, tags_text) && text[0] != '\0')
        memcpy(text, "***", 4);
    sonde_json_begin_object(w);
    sonde_json_put_str(w, "name", sonde_str_from(row->names[0]));
    sonde_json_put_str(w, "value", sonde_str_from(text));
    sonde_json_put_str(w, "origin", sonde_str_from(origin));
    sonde_json_end_object(w);
}

static void write_configuration(const sonde__config *c, sonde_buf *out)
{
    sonde_json_writer w;
    size_t i;

    sonde_json_writer_init(&w, out);
    w.indent = " ";
    sonde_json_begin_array(&w);
    for (i = 0; i < sonde__rows_len; i++)
        put_setting(&w, c, i);
    sonde_json_end_array(&w);
}

static void write_runtime(const sonde__config *c, sonde_buf *out)
{
    sonde_json_writer w;
    struct utsname u;

    if (uname(&u) != 0)
        memset(&u, 0, sizeof(u));
    sonde_json_writer_init(&w, out);
    w.indent = " ";
    sonde_json_begin_object(&w);
    sonde_json_put_str(&w, "language", c->language);
    sonde_json_put_str(&w, "tracer_version", c->tracer_version);
    sonde_json_put_str(&w, "library_version", SONDE_STR(SONDE_VERSION));
    sonde_json_put_str(&w, "runtime_id", sonde_str_from(sonde__runtime_id()));
    sonde_json_put_str(&w, "service", c->service);
    sonde_json_put_str(&w, "env", c->env);
    sonde_json_put_i64(&w, "pid", getpid());
    sonde_json_put_i64(&w, "cpus", sysconf(_SC_NPROCESSORS_ONLN));
    sonde_json_put_str(&w, "os", sonde_str_from(u.sysname));
    sonde_json_put_str(&w, "kernel", sonde_str_from(u.release));
    sonde_json_put_str(&w, "architecture", sonde_str_from(u.machine));
    sonde_json_put_str(&w, "agent_url", sonde_str_from(c->agent_text));
    sonde_json_put_str(&w, "agent_version", sonde__agent()->version);
    sonde_json_put_str(&w, "log_level",
                       sonde_str_from(sonde_log_level_name(sonde_log_get_level())));
    sonde_json_end_object(&w);
}

#define COUNTER(name)                                                                              \
    {                                                                                              \
#        name, offsetof(sonde_counters, name)                                                      \
    }

static const struct {
    const char *name;
    size_t at;
} counters[] = {
    COUNTER(spans_started),         COUNTER(spans_open),
    COUNTER(spans_finished),        COUNTER(spans_queued),
    COUNTER(spans_delivered),       COUNTER(chunks_queued_total),
    COUNTER(chunks_queued),         COUNTER(chunks_delivered),
    COUNTER(payloads_sent),         COUNTER(payloads_failed),
    COUNTER(payload_bytes),         COUNTER(send_retries),
    COUNTER(tags_truncated),        COUNTER(tags_dropped),
    COUNTER(links_dropped),         COUNTER(events_dropped),
    COUNTER(baggage_dropped),       COUNTER(services_refused),
    COUNTER(activations_refused),   COUNTER(contexts_refused),
    COUNTER(threads_refused),       COUNTER(ctx_records_full),
    COUNTER(ctx_foreign_publisher), COUNTER(stats_spans),
    COUNTER(stats_spans_delivered), COUNTER(stats_spans_lost),
    COUNTER(stats_spans_collapsed), COUNTER(stats_payloads_sent),
    COUNTER(stats_payloads_failed), COUNTER(tail_kept),
    COUNTER(tail_refused),          COUNTER(tail_evicted),
    COUNTER(telemetry_sent),        COUNTER(telemetry_failed),
    COUNTER(telemetry_dropped),     COUNTER(remote_updates),
    COUNTER(remote_rejected),       COUNTER(flares_sent),
    COUNTER(flares_failed),         COUNTER(memory_bytes),
    COUNTER(memory_max_bytes),
};

static void put_drops(sonde_json_writer *w, const char *key, const uint64_t *dropped)
{
    unsigned i;

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    for (i = 0; i < SONDE_DROPS; i++)
        sonde_json_put_u64(w, sonde_drop_name(i), dropped[i]);
    sonde_json_end_object(w);
}

static void write_counters(const sonde__config *unused, sonde_buf *out)
{
    sonde_counters c = { .struct_bytes = sizeof(c) };
    sonde_json_writer w;
    size_t i;

    (void)unused;
    sonde_counters_read(&c);
    sonde_json_writer_init(&w, out);
    w.indent = " ";
    sonde_json_begin_object(&w);
    for (i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        sonde_json_put_u64(&w, counters[i].name,
                           *(const uint64_t *)(const void *)((const char *)&c + counters[i].at));
    put_drops(&w, "spans_dropped", c.spans_dropped);
    put_drops(&w, "chunks_dropped", c.chunks_dropped);
    sonde_json_end_object(&w);
}

static void write_log(const sonde__config *unused, sonde_buf *out)
{
    (void)unused;
    sonde__flare_log_read(out);
}

/* -- archive and form ----------------------------------------------------------------------------- */

void sonde__flare_write_archive(const sonde__config *c, sonde_buf *out)
{
    static const struct {
        const char *name;
        void (*write)(const sonde__config *c, sonde_buf *out);
    } files[] = {
        { "tracer.log", write_log },
        { "configuration.json", write_configuration },
        { "runtime.json", write_runtime },
        { "counters.json", write_counters },
    };
    sonde_zip zip;
    sonde_buf file;
    size_t i;

    sonde_buf_init(&file, FILE_MAX_BYTES);
    sonde_zip_begin(&zip, out);
    for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        sonde_buf_reset(&file);
        files[i].write(c, &file);
        sonde_zip_add(&zip, files[i].name, sonde_buf_str(&file));
        if (file.status != SONDE_OK && out->status == SONDE_OK)
            out->status = file.status; /* rather none than half of it */
    }
    sonde_zip_end(&zip);
    sonde_buf_done(&file);
}

static void put_field(sonde_buf *b, const char *boundary, const char *name, const char *before,
                      sonde_str value)
{
    sonde_buf_printf(b, "--%s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s%.*s\r\n",
                     boundary, name, before, SONDE_STR_ARG(value));
}

/* What a quoted file name and one path component can hold. */
static void put_plain(sonde_buf *b, const char *text)
{
    for (; *text; text++) {
        bool plain = (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
                     (*text >= 'A' && *text <= 'Z') || *text == '-' || *text == '.';

        sonde_buf_append_byte(b, (uint8_t)(plain ? *text : '_'));
    }
}

void sonde__flare_write_form(const sonde__config *c, const sonde__flare_task *task, sonde_str zip,
                             const char *boundary, int64_t now_unix_ns, sonde_buf *out)
{
    put_field(out, boundary, "source", "tracer_", c->language);
    put_field(out, boundary, "case_id", "", sonde_str_from(task->case_id));
    put_field(out, boundary, "hostname", "", sonde_str_from(task->hostname));
    put_field(out, boundary, "email", "", sonde_str_from(task->email));
    put_field(out, boundary, "uuid", "", sonde_str_from(task->uuid));
    sonde_buf_printf(out,
                     "--%s\r\nContent-Disposition: form-data; name=\"flare_file\"; "
                     "filename=\"tracer-%.*s-",
                     boundary, SONDE_STR_ARG(c->language));
    put_plain(out, task->case_id);
    sonde_buf_printf(out, "-%lld-%s.zip\"\r\nContent-Type: application/octet-stream\r\n\r\n",
                     (long long)(now_unix_ns / SONDE_NS_PER_MS),
                     sonde_log_level_name(sonde_log_get_level()));
    sonde_buf_append_str(out, zip);
    sonde_buf_printf(out, "\r\n--%s--\r\n", boundary);
}
