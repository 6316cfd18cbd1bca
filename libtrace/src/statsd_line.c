/* statsd_line.c - fields behind one another, each at most as long as there is room. */
#include "statsd_line.h"

#include <string.h>

#include "base/format.h"

typedef struct writer {
    char *at;
    const char *end;
    bool full; /* something did not fit; nothing counts any more */
} writer;

static void put(writer *w, sonde_str s)
{
    if (s.len > (size_t)(w->end - w->at)) {
        w->full = true;
        return;
    }
    if (s.len > 0)
        memcpy(w->at, s.ptr, s.len);
    w->at += s.len;
}

static void put_byte(writer *w, char c)
{
    if (w->at == w->end)
        w->full = true;
    else
        *w->at++ = c;
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || c == 0x7f;
}

/* Bytes of `s`; control bytes, '|' and `other` become '_'. */
static void put_clean(writer *w, sonde_str s, char other)
{
    size_t i;

    if (s.len > (size_t)(w->end - w->at)) {
        w->full = true;
        return;
    }
    for (i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        *w->at++ = (char)(is_control(c) || c == '|' || c == other ? '_' : c);
    }
}

/* Line feeds become backslash and n, other control bytes stay: what is inside has a length. */
static void put_escaped(writer *w, sonde_str s)
{
    while (s.len > 0) {
        size_t whole = s.len;
        sonde_str part = sonde_str_cut(&s, '\n');

        put(w, part);
        if (part.len < whole)
            put(w, SONDE_STR("\\n"));
    }
}

static size_t escaped_len(sonde_str s)
{
    size_t len = s.len;
    size_t i;

    for (i = 0; i < s.len; i++)
        len += s.ptr[i] == '\n';
    return len;
}

static void put_number(writer *w, double v)
{
    char text[SONDE_DOUBLE_MAX_LEN];

    put(w, (sonde_str){ text, sonde_format_double(v, text) });
}

static void put_u64(writer *w, uint64_t v)
{
    char text[SONDE_U64_MAX_LEN];

    put(w, (sonde_str){ text, sonde_format_u64(v, text) });
}

static void put_field(writer *w, const char *key, const char *value)
{
    sonde_str text = sonde_str_from(value);

    if (text.len == 0)
        return;
    put(w, sonde_str_from(key));
    put_clean(w, text, '|');
}

static void put_time(writer *w, const char *key, int64_t unix_s)
{
    char text[SONDE_I64_MAX_LEN];

    if (unix_s <= 0)
        return;
    put(w, sonde_str_from(key));
    put(w, (sonde_str){ text, sonde_format_i64(unix_s, text) });
}

/* -- what every line may end in ------------------------------------------------------------------- */

/* Empty items are left out. */
static void put_items(writer *w, sonde_str tags, const char **separator)
{
    while (tags.len > 0) {
        sonde_str item = sonde_str_cut(&tags, ',');

        if (item.len == 0)
            continue;
        put(w, sonde_str_from(*separator));
        put_clean(w, item, '|');
        *separator = ",";
    }
}

static void put_tags(writer *w, const sonde__statsd_shared *shared, sonde_str tags)
{
    const char *separator = "|#";

    put_items(w, shared->tags, &separator);
    put_items(w, tags, &separator);
}

static const char *const cardinalities[SONDE__CARDINALITIES] = { "", "none", "low", "orchestrator",
                                                                 "high" };

uint32_t sonde__cardinality_parse(const char *word)
{
    uint32_t i;

    for (i = SONDE__CARDINALITY_NONE; word && i < SONDE__CARDINALITIES; i++)
        if (strcmp(word, cardinalities[i]) == 0)
            return i;
    return SONDE__CARDINALITY_UNSET;
}

static void put_external(writer *w, sonde_str s)
{
    size_t i;

    put(w, SONDE_STR("|e:"));
    for (i = 0; i < s.len; i++)
        if (!is_control(s.ptr[i]) && s.ptr[i] != '|')
            put_byte(w, s.ptr[i]);
}

static void put_origin(writer *w, const sonde__statsd_shared *shared, uint32_t cardinality)
{
    if (cardinality == SONDE__CARDINALITY_UNSET)
        cardinality = shared->cardinality;
    if (shared->local_data.len > 0) {
        put(w, SONDE_STR("|c:"));
        put(w, shared->local_data);
    }
    if (shared->external_data.len > 0)
        put_external(w, shared->external_data);
    if (cardinality != SONDE__CARDINALITY_UNSET) {
        put(w, SONDE_STR("|card:"));
        put(w, sonde_str_from(cardinalities[cardinality]));
    }
    put_byte(w, '\n');
}

static char *behind(const writer *w)
{
    return w->full ? NULL : w->at;
}

/* -- metrics -------------------------------------------------------------------------------------- */

/* A metric must not begin as an event or a service check does: the agent would take it for one. */
static void put_name(writer *w, const sonde__statsd_shared *shared, sonde_str name)
{
    char *from = w->at;
    sonde_str start;

    put(w, shared->prefix);
    put_clean(w, name, ':');
    start = (sonde_str){ from, (size_t)(w->at - from) };
    if (sonde_str_starts(start, SONDE_STR("_sc")) || sonde_str_starts(start, SONDE_STR("_e{"))) {
        memmove(from, from + 1, start.len - 1);
        w->at--;
    }
}

static void put_metric_end(writer *w, const sonde__statsd_shared *shared,
                           const sonde__statsd_line *line)
{
    static const char *const types[SONDE_STATSD_TYPES] = { "|c", "|g", "|h", "|d", "|ms", "|s" };

    put(w, sonde_str_from(types[line->type]));
    if (line->rate < 1) {
        put(w, SONDE_STR("|@"));
        put_number(w, line->rate);
    }
    put_tags(w, shared, line->tags);
    put_time(w, "|T", line->unix_s);
    put_origin(w, shared, line->cardinality);
}

/* The first value, then more of them while the end of the line still fits behind. */
static void put_values(writer *w, const sonde__statsd_line *line, size_t *io_at, size_t end_len)
{
    char *last;

    put_byte(w, ':');
    put_number(w, line->values[*io_at]);
    ++*io_at;
    while (*io_at < line->values_len && !w->full) {
        last = w->at;
        put_byte(w, ':');
        put_number(w, line->values[*io_at]);
        if (w->full || end_len > (size_t)(w->end - w->at)) {
            w->full = false;
            w->at = last;
            return;
        }
        ++*io_at;
    }
}

/* How long the end is: put where the values will go, then taken back. */
static size_t measure_end(writer *w, const sonde__statsd_shared *shared,
                          const sonde__statsd_line *line)
{
    char *at = w->at;
    size_t len;

    put_metric_end(w, shared, line);
    len = (size_t)(w->at - at);
    w->at = at;
    return len;
}

char *sonde__statsd_put_metric(const sonde__statsd_shared *shared, const sonde__statsd_line *line,
                               size_t *io_at, char *to, const char *end)
{
    writer w = { .at = to, .end = end };
    size_t at = *io_at;

    put_name(&w, shared, line->name);
    if (line->type == SONDE_STATSD_SET) {
        put_byte(&w, ':');
        put_clean(&w, line->member, '|');
        at = line->values_len;
    } else {
        size_t end_len = line->values_len - at > 1 ? measure_end(&w, shared, line) : 0;

        put_values(&w, line, &at, end_len);
    }
    put_metric_end(&w, shared, line);
    if (!w.full)
        *io_at = at;
    return behind(&w);
}

/* -- events, service checks ----------------------------------------------------------------------- */

char *sonde__statsd_put_event(const sonde__statsd_shared *shared, const sonde_statsd_event *event,
                              char *to, const char *end)
{
    writer w = { .at = to, .end = end };
    sonde_str title = sonde_str_from(event->title);
    sonde_str text = sonde_str_from(event->text);

    put(&w, SONDE_STR("_e{"));
    put_u64(&w, escaped_len(title));
    put_byte(&w, ',');
    put_u64(&w, escaped_len(text));
    put(&w, SONDE_STR("}:"));
    put_escaped(&w, title);
    put_byte(&w, '|');
    put_escaped(&w, text);
    put_time(&w, "|d:", event->unix_s);
    put_field(&w, "|h:", event->host);
    put_field(&w, "|k:", event->aggregation_key);
    put_field(&w, "|p:", event->priority);
    put_field(&w, "|s:", event->source_type);
    put_field(&w, "|t:", event->alert_type);
    put_tags(&w, shared, sonde_str_from(event->tags));
    put_origin(&w, shared, sonde__cardinality_parse(event->cardinality));
    return behind(&w);
}

/* Line feeds become backslash and n, "m:" becomes "m\:". */
static void put_message(writer *w, sonde_str s)
{
    size_t i;

    put(w, SONDE_STR("|m:"));
    for (i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\n') {
            put(w, SONDE_STR("\\n"));
            continue;
        }
        if (s.ptr[i] == ':' && i > 0 && s.ptr[i - 1] == 'm')
            put_byte(w, '\\');
        put_clean(w, sonde_str_sub(s, i, 1), '|');
    }
}

char *sonde__statsd_put_check(const sonde__statsd_shared *shared, const sonde_statsd_check *check,
                              char *to, const char *end)
{
    writer w = { .at = to, .end = end };

    put(&w, SONDE_STR("_sc|"));
    put_clean(&w, sonde_str_from(check->name), '|');
    put_byte(&w, '|');
    put_u64(&w, (uint64_t)check->state);
    put_time(&w, "|d:", check->unix_s);
    put_field(&w, "|h:", check->host);
    put_tags(&w, shared, sonde_str_from(check->tags));
    if (check->message && check->message[0])
        put_message(&w, sonde_str_from(check->message));
    put_origin(&w, shared, sonde__cardinality_parse(check->cardinality));
    return behind(&w);
}
