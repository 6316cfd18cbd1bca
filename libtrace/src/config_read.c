/* config_read.c - what each source says about a row, and which of it can be used. */
#include "config_read.h"
#include "statuses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/setting.h"

/* -- texts ---------------------------------------------------------------------------------------- */

static sonde_str keep_repaired(sonde__config *c, sonde_str text)
{
    char *to = (char *)sonde_arena_alloc(&c->texts, 3 * text.len + 1);

    return to ? (sonde_str){ to, sonde_utf8_repair(text, to) } : (sonde_str){ NULL, 0 };
}

sonde_str sonde__config_keep(sonde__config *c, sonde_str text)
{
    if (text.len == 0)
        return (sonde_str){ "", 0 };
    return sonde_utf8_valid(text) ? sonde_arena_copy(&c->texts, text) : keep_repaired(c, text);
}

sonde_str sonde__without_user(sonde__config *c, sonde_str url)
{
    size_t user, host;
    char *to;

    if (!sonde_url_find_user(url, &user, &host))
        return url;
    to = (char *)sonde_arena_alloc(&c->texts, url.len);
    if (!to)
        return (sonde_str){ NULL, 0 };
    memcpy(to, url.ptr, user);
    memcpy(to + user, url.ptr + host, url.len - host);
    return (sonde_str){ to, url.len - (host - user) };
}

void sonde__config_complain(const char *name, sonde_str value, const char *why, sonde_str instead)
{
    SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "variable not used: %s=%s reason=\"%s\" using=%s", name,
                     SONDE_LOG_QUOTE(value), why, SONDE_LOG_QUOTE(instead));
}

/* -- sources -------------------------------------------------------------------------------------- */

typedef struct found {
    const char *name; /* NULL: the source says nothing */
    sonde_str text;
} found;

/* Blanks around a value do not count; what is empty then is unset, unless the row says otherwise. */
static found from_environment(const sonde__row *row, const sonde__sources *from)
{
    size_t i;

    for (i = 0; i < SONDE__NAMES_MAX && row->names[i]; i++) {
        const char *value = from->lookup(from->user, row->names[i]);
        sonde_str text = sonde_str_trim(sonde_str_from(value));

        if (value && (text.len > 0 || row->empty_is_a_value))
            return (found){ row->names[i], text };
    }
    return (found){ NULL, { NULL, 0 } };
}

/* An option that is set, as the text a variable would hold. */
static found from_code(const sonde__row *row, const sonde_options *options, char scratch[24])
{
    const char *at = (const char *)options + row->option;
    const char *text = NULL;
    int32_t flag;
    uint32_t ms;
    uint64_t bytes;

    switch (row->option == 0 ? SONDE__TYPES : row->type) {
    case SONDE__TYPES:
        break;
    case SONDE__TYPE_BOOL:
        memcpy(&flag, at, sizeof(flag));
        text = flag == 0 ? NULL : flag > 0 ? "true" : "false";
        break;
    case SONDE__TYPE_DURATION:
        memcpy(&ms, at, sizeof(ms));
        (void)snprintf(scratch, 24, "%ums", (unsigned)ms);
        text = ms > 0 ? scratch : NULL;
        break;
    case SONDE__TYPE_BYTES:
        memcpy(&bytes, at, sizeof(bytes));
        (void)snprintf(scratch, 24, "%llu", (unsigned long long)bytes);
        text = bytes > 0 ? scratch : NULL;
        break;
    default:
        memcpy(&text, at, sizeof(text));
    }
    return (found){ text && *text ? row->names[0] : NULL, sonde_str_from(text) };
}

static found from_file(const sonde__row *row, const sonde__stable *file)
{
    size_t i;

    for (i = 0; i < SONDE__NAMES_MAX && row->names[i]; i++) {
        sonde_str text = sonde__stable_get(file, row->names[i]);
        bool is_there = text.ptr != NULL;

        text = sonde_str_trim(text);
        if (is_there && (text.len > 0 || row->empty_is_a_value))
            return (found){ row->names[i], text };
    }
    return (found){ NULL, { NULL, 0 } };
}

static found from_otel(const sonde__row *row, const sonde__otel *otel)
{
    found f = { NULL, { NULL, 0 } };

    (void)sonde__otel_get(otel, row->names[0], &f.name, &f.text);
    return f;
}

static found ask(const sonde__row *row, const sonde__sources *from, sonde__origin origin,
                 char scratch[24])
{
    switch (origin) {
    case SONDE__ORIGIN_CODE:
        return from_code(row, from->options, scratch);
    case SONDE__ORIGIN_FLEET:
        return from_file(row, from->fleet);
    case SONDE__ORIGIN_ENV:
        return from_environment(row, from);
    case SONDE__ORIGIN_OTEL:
        return from_otel(row, from->otel);
    case SONDE__ORIGIN_LOCAL:
        return from_file(row, from->local);
    default:
        return (found){ NULL, { NULL, 0 } };
    }
}

/* -- types ---------------------------------------------------------------------------------------- */

/* A bare number under a name that ends in _MB counts those. */
static const char *take_bytes(sonde_bounds bounds, const char *name, sonde_str text,
                              uint64_t *field)
{
    uint64_t unit = sonde_str_ends(sonde_str_from(name), SONDE_STR("_MB")) ? 1u << 20 : 1;

    bounds.min /= (double)unit;
    bounds.max /= (double)unit;
    return sonde_setting_bytes(text, bounds, unit, field);
}

bool sonde__read_bool(sonde_str text, bool *out)
{
    if (sonde_str_eq_nocase(text, SONDE_STR("y")))
        *out = true;
    else if (sonde_str_eq_nocase(text, SONDE_STR("n")))
        *out = false;
    else
        return sonde_parse_bool(text, out) == SONDE_OK;
    return true;
}

static const char *take_url(sonde_str text, sonde_str *field)
{
    sonde_url url;

    if (sonde_url_parse(text, &url, NULL) != SONDE_OK)
        return "not an address";
    if (url.scheme == SONDE_URL_HTTPS)
        return "https needs a TLS library, which stays out of this process";
    *field = text;
    return NULL;
}

static const char *take_statsd(sonde_str text, sonde_str *field)
{
    sonde__statsd_address address;

    if (sonde__statsd_address_parse(text, &address) != SONDE_OK)
        return "not an address of a DogStatsD server";
    *field = text;
    return NULL;
}

/* Unknown words between known ones cost a line of their own. */
static const char *take_styles(const char *name, sonde_str text, sonde__styles *field)
{
    sonde__styles styles;
    sonde_str unknown;

    if (!sonde__styles_parse(text, &styles, &unknown))
        return "no known style";
    if (unknown.len > 0)
        sonde__config_complain(name, unknown, "unknown propagation style", SONDE_STR("the others"));
    *field = styles;
    return NULL;
}

/* Puts the text into the row's field.  NULL, or why it cannot be used: the field is untouched then. */
static const char *take(sonde__config *c, const sonde__row *row, const char *name, sonde_str text)
{
    void *field = (char *)c + row->field;
    sonde_bounds bounds = { row->min, row->max, row->clamp };

    switch (row->type) {
    case SONDE__TYPE_BOOL:
        return sonde__read_bool(text, (bool *)field) ? NULL : "not a boolean";
    case SONDE__TYPE_INT:
        return sonde_setting_u32(text, bounds, (uint32_t *)field);
    case SONDE__TYPE_NUMBER:
        return sonde_setting_double(text, bounds, (double *)field);
    case SONDE__TYPE_URL:
        return take_url(text, (sonde_str *)field);
    case SONDE__TYPE_STATSD:
        return take_statsd(text, (sonde_str *)field);
    case SONDE__TYPE_REPOSITORY:
        *(sonde_str *)field = sonde__without_user(c, text);
        return NULL;
    case SONDE__TYPE_CHOICE:
        return sonde_setting_choice(text, row->choices, (uint32_t *)field);
    case SONDE__TYPE_DURATION:
        return sonde_setting_duration(text, bounds, row->unit_ns, (uint64_t *)field);
    case SONDE__TYPE_BYTES:
        return take_bytes(bounds, name, text, (uint64_t *)field);
    case SONDE__TYPE_LEVEL:
        return sonde_log_parse_level(text, (sonde_log_level *)field) == SONDE_OK ? NULL
                                                                                 : "not a level";
    case SONDE__TYPE_STATUSES:
        if (!sonde__statuses_valid(text))
            return "not a list of statuses";
        *(sonde_str *)field = text;
        return NULL;
    case SONDE__TYPE_STYLES:
        return take_styles(name, text, (sonde__styles *)field);
    default:
        *(sonde_str *)field = text;
        return NULL;
    }
}

/* -- one row -------------------------------------------------------------------------------------- */

static void take_default(sonde__config *c, const sonde__row *row, sonde__setting *s)
{
    s->value = sonde_str_from(row->fallback);
    s->given[SONDE__ORIGIN_DEFAULT] = s->value;
    s->name = row->names[0];
    if (s->value.len > 0)
        (void)take(c, row, s->name, s->value); /* the table is right; a test looks */
    else if (row->type == SONDE__TYPE_NUMBER)
        *(double *)(void *)((char *)c + row->field) = -1;
}

typedef struct refusal {
    const char *name;
    const char *why; /* NULL: none */
} refusal;

static void complain_of_each(const sonde__row *row, const sonde__setting *s, const refusal *refused)
{
    sonde_str hidden = SONDE_STR("...");
    size_t i;

    for (i = 0; i < SONDE__ORIGINS; i++)
        if (refused[i].why)
            sonde__config_complain(refused[i].name, row->secret ? hidden : s->given[i],
                                   refused[i].why, row->secret ? hidden : s->value);
}

void sonde__setting_read(sonde__config *c, size_t at, const sonde__sources *from)
{
    const sonde__row *row = &sonde__rows[at];
    sonde__setting *s = &c->settings[at];
    refusal refused[SONDE__ORIGINS] = { { NULL, NULL } };
    char scratch[24];
    int i;

    take_default(c, row, s);
    for (i = SONDE__ORIGINS - 1; i > SONDE__ORIGIN_CALCULATED; i--) {
        found f = ask(row, from, (sonde__origin)i, scratch);

        if (!f.name)
            continue;
        s->given[i] = sonde__config_keep(c, f.text);
        if (s->origin != SONDE__ORIGIN_DEFAULT)
            continue;
        refused[i] = (refusal){ f.name, take(c, row, f.name, s->given[i]) };
        if (refused[i].why) {
            s->bad |= 1u << i;
            continue;
        }
        s->value = s->given[i];
        s->origin = (sonde__origin)i;
        s->name = f.name;
    }
    complain_of_each(row, s, refused);
}
