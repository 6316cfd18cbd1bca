/* series_text.c - series as DogStatsD lines and as OpenMetrics text. */
#include "series.h"

#include <stdio.h>
#include <string.h>

#include "base/format.h"

#define LINE_MAX_BYTES 256

static const series *find(const series_set *s, const series *like)
{
    size_t i;

    for (i = 0; i < s->len; i++)
        if (strcmp(s->items[i].row->name, like->row->name) == 0 &&
            strcmp(s->items[i].row->tags, like->row->tags) == 0)
            return &s->items[i];
    return NULL;
}

/* How much a count grew; a counter that was set back counts from zero. */
static double growth(const series_set *before, const series *now)
{
    const series *then = find(before, now);

    return then && then->value <= now->value ? now->value - then->value : now->value;
}

void series_to_statsd(const series_set *before, const series_set *now, bool everything,
                      void (*line)(void *user, sonde_str text), void *user)
{
    char text[LINE_MAX_BYTES], number[SONDE_DOUBLE_MAX_LEN];
    size_t i;

    for (i = 0; i < now->len; i++) {
        const series *s = &now->items[i];
        bool is_count = s->row->kind == SERIES_COUNT;
        double value = is_count ? growth(before, s) : s->value;
        int len;

        if (value == 0 && s->row->when_changed && !everything)
            continue;
        len = snprintf(text, sizeof(text), SERIES_PREFIX "%s:%.*s|%s%s%s\n", s->row->name,
                       (int)sonde_format_double(value, number), number, is_count ? "c" : "g",
                       s->row->tags[0] ? "|#" : "", s->row->tags);
        if (len > 0 && (size_t)len < sizeof(text))
            line(user, (sonde_str){ text, (size_t)len });
    }
}

static void put_name(const char *name, sonde_buf *out)
{
    for (; *name; name++)
        sonde_buf_append_byte(out, (uint8_t)(*name == '.' ? '_' : *name));
}

static void put_family(const char *name, sonde_buf *out)
{
    put_name(SERIES_PREFIX, out);
    put_name(name, out);
}

/* "a:b,c:d" as {a="b",c="d"}; values hold nothing that would want escaping: see agent/payload/source.c. */
static void put_labels(sonde_str tags, sonde_buf *out)
{
    const char *separator = "{";

    if (!tags.len)
        return;
    while (tags.len) {
        sonde_str value = sonde_str_cut(&tags, ','), key = sonde_str_cut(&value, ':');

        sonde_buf_printf(out, "%s%.*s=\"%.*s\"", separator, SONDE_STR_ARG(key),
                         SONDE_STR_ARG(value));
        separator = ",";
    }
    sonde_buf_append_byte(out, '}');
}

void series_put_type(sonde_buf *out, const char *name, const char *type)
{
    sonde_buf_append_str(out, SONDE_STR("# TYPE "));
    put_family(name, out);
    sonde_buf_printf(out, " %s\n", type);
}

void series_put_sample(sonde_buf *out, const char *name, const char *suffix, sonde_str tags,
                       double value)
{
    char number[SONDE_DOUBLE_MAX_LEN];

    put_family(name, out);
    sonde_buf_append_str(out, sonde_str_from(suffix));
    put_labels(tags, out);
    sonde_buf_printf(out, " %.*s\n", (int)sonde_format_double(value, number), number);
}

static void put_samples(const series_set *now, const char *name, sonde_buf *out)
{
    size_t i;

    for (i = 0; i < now->len; i++) {
        const series *s = &now->items[i];

        if (strcmp(s->row->name, name) == 0)
            series_put_sample(out, name, s->row->kind == SERIES_COUNT ? "_total" : "",
                              sonde_str_from(s->row->tags), s->value);
    }
}

static bool seen_before(const series_set *now, size_t at)
{
    size_t i;

    for (i = 0; i < at; i++)
        if (strcmp(now->items[i].row->name, now->items[at].row->name) == 0)
            return true;
    return false;
}

void series_to_openmetrics(const series_set *now, sonde_buf *out)
{
    size_t i;

    for (i = 0; i < now->len; i++) {
        const series_row *row = now->items[i].row;

        if (seen_before(now, i))
            continue;
        series_put_type(out, row->name, row->kind == SERIES_COUNT ? "counter" : "gauge");
        put_samples(now, row->name, out);
    }
}
