/* statsd.c - what profilers say about themselves, as gauges.
 *
 * Lines are made under the room's mutex and sent after it.
 */
#include "internal.h"

#define TEXT_MAX_BYTES ((size_t)4 * 1024 * 1024)

typedef struct lines {
    sonde_buf out;
    sonde_buf tags; /* of the process at hand */
    unsigned processes;
} lines;

/* Bytes that end a tag or a line become '_'. */
static void append_clean(sonde_buf *out, const char *text)
{
    for (; text && *text; text++)
        sonde_buf_append_byte(out, *text == ',' || *text == '|' || *text == '#' || *text == '\n'
                                       ? '_'
                                       : (uint8_t)*text);
}

static void append_tag(sonde_buf *out, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    sonde_buf_printf(out, "%s%s:", out->len ? "," : "", key);
    append_clean(out, value);
}

static void write_gauge(lines *l, size_t id, size_t part, int64_t value)
{
    char name[64];

    if (!upload_stat_name(id, part, name))
        return;
    sonde_buf_printf(&l->out, "sonde.profiler.%s:%lld|g", name, (long long)value);
    if (l->tags.len) {
        sonde_buf_append_str(&l->out, SONDE_STR("|#"));
        sonde_buf_append_str(&l->out, sonde_buf_str(&l->tags));
    }
    sonde_buf_append_byte(&l->out, '\n');
}

static void write_process(void *user, const window_identity *who, const session_stats *stats)
{
    lines *l = user;

    if (l->processes++ >= PROFILES_STATSD_MAX)
        return;
    sonde_buf_reset(&l->tags);
    append_tag(&l->tags, "service", who->text[SPB_KEY_SERVICE]);
    append_tag(&l->tags, "env", who->text[SPB_KEY_ENV]);
    append_tag(&l->tags, "version", who->text[SPB_KEY_VERSION]);
    append_tag(&l->tags, "runtime-id", who->text[SPB_KEY_RUNTIME_ID]);
    for (size_t id = 0; id < SESSION_STATS_MAX; id++) {
        for (size_t part = 0; part < SESSION_PARTS_MAX; part++) {
            if (stats->present[id] & 1u << part)
                write_gauge(l, id, part, stats->value[id][part]);
        }
    }
}

void profiles_to_statsd(void *arg, void (*line)(void *to, sonde_str line), void *to)
{
    profiles *p = arg;
    lines l = { .processes = 0 };
    sonde_str rest;

    sonde_buf_init(&l.out, TEXT_MAX_BYTES);
    sonde_buf_init(&l.tags, TEXT_MAX_BYTES);
    sonde_mutex_lock(&p->mu);
    windows_each(&p->windows, write_process, &l);
    sonde_mutex_unlock(&p->mu);
    for (rest = sonde_buf_str(&l.out); rest.len;) {
        const char *at = rest.ptr;
        size_t len = sonde_str_cut(&rest, '\n').len;

        line(to, (sonde_str){ at, len + 1 });
    }
    sonde_buf_done(&l.out);
    sonde_buf_done(&l.tags);
}
