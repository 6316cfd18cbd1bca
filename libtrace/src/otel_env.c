/* otel_env.c - a table of variables, each with who hides it and who translates it. */
#include "otel_env.h"

#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "base/parse.h"

#include "styles.h"

typedef struct translation {
    sonde__otel *o;
    const char *(*variable)(void *user, const char *name);
    void *user;
} translation;

/* -- translators: false when the value is invalid ------------------------------------------------- */

static bool take_as_it_is(translation *t, sonde_str in, sonde_str *out)
{
    (void)t;
    *out = in;
    return true;
}

/* Unknown words beside known ones cost a warning later, where styles are read. */
static bool take_styles(translation *t, sonde_str in, sonde_str *out)
{
    sonde__styles styles;
    sonde_str unknown;

    (void)t;
    *out = in;
    return sonde__styles_parse(in, &styles, &unknown);
}

static bool take_level(translation *t, sonde_str in, sonde_str *out)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    size_t i;

    (void)t;
    *out = in;
    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
        if (sonde_str_eq_nocase(in, sonde_str_from(levels[i])))
            return true;
    return false;
}

static bool take_none(translation *t, sonde_str in, sonde_str *out)
{
    (void)t;
    *out = SONDE_STR("false");
    return sonde_str_eq_nocase(in, SONDE_STR("none"));
}

static bool take_inverse(translation *t, sonde_str in, sonde_str *out)
{
    bool is_true = sonde_str_eq_nocase(in, SONDE_STR("true"));

    (void)t;
    *out = is_true ? SONDE_STR("false") : SONDE_STR("true");
    return is_true || sonde_str_eq_nocase(in, SONDE_STR("false"));
}

static bool is_ratio(sonde_str text)
{
    double value;

    return sonde_parse_double(text, &value) == SONDE_OK && value >= 0 && value <= 1;
}

static bool is_parent_based(sonde_str sampler)
{
    return sonde_str_starts(sampler, SONDE_STR("parentbased_"));
}

/* All act parent-based, as our sampling does. */
static bool take_sampler(translation *t, sonde_str in, sonde_str *out)
{
    sonde_str arg = sonde_str_trim(sonde_str_from(t->variable(t->user, "OTEL_TRACES_SAMPLER_ARG")));
    sonde_str kind = in;

    if (is_parent_based(in))
        kind = sonde_str_sub(in, sizeof("parentbased_") - 1, in.len);
    *out = SONDE_STR("1.0");
    if (sonde_str_eq(kind, SONDE_STR("always_on")))
        return true;
    if (sonde_str_eq(kind, SONDE_STR("traceidratio"))) {
        if (arg.len > 0 && is_ratio(arg))
            *out = arg;
        return true;
    }
    *out = SONDE_STR("0.0");
    return sonde_str_eq(kind, SONDE_STR("always_off"));
}

static bool take_sampler_arg(translation *t, sonde_str in, sonde_str *out)
{
    (void)t;
    *out = in;
    return is_ratio(in);
}

static const char *mapped_key(sonde_str key)
{
    static const char *const keys[][2] = { { "service.name", "service" },
                                           { "service.version", "version" },
                                           { "deployment.environment", "env" },
                                           { "deployment.environment.name", "env" } };
    size_t i;

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (sonde_str_eq(key, sonde_str_from(keys[i][0])))
            return keys[i][1];
    return NULL;
}

typedef struct tag_list {
    char *to;
    size_t len;
    uint32_t count;
} tag_list;

static void put_text(tag_list *tags, sonde_str text)
{
    memcpy(tags->to + tags->len, text.len > 0 ? text.ptr : "", text.len);
    tags->len += text.len;
}

/* Without its percent signs, of which each must have two hexadecimal digits. */
static bool put_decoded(tag_list *tags, sonde_str text)
{
    size_t i = 0;

    while (i < text.len) {
        uint64_t byte = (uint8_t)text.ptr[i++];

        if (byte == '%') {
            if (i + 2 > text.len ||
                sonde_hex_parse_u64(sonde_str_sub(text, i, 2), 1, &byte) != SONDE_OK)
                return false;
            i += 2;
            byte = byte == ',' ? SONDE__OTEL_COMMA : byte;
        }
        tags->to[tags->len++] = (char)byte;
    }
    return true;
}

/* "key:value,": the comma at the end says that commas separate.  False: no room, or not encoded well. */
static bool put_tag(tag_list *tags, sonde_str key, sonde_str value)
{
    if (tags->count == SONDE__OTEL_TAGS_MAX)
        return true;
    if (key.len + value.len + 2 > SONDE__OTEL_TEXT_MAX_BYTES - tags->len)
        return false;
    tags->count++;
    if (!put_decoded(tags, key))
        return false;
    put_text(tags, SONDE_STR(":"));
    if (!put_decoded(tags, value))
        return false;
    put_text(tags, SONDE_STR(","));
    return true;
}

/* The attributes with a setting of their own come first, so that the limit does not reach them. */
static bool take_attributes(translation *t, sonde_str in, sonde_str *out)
{
    tag_list tags = { .to = t->o->tags };
    int pass;

    for (pass = 0; pass < 2; pass++) {
        sonde_str rest = in;

        while (rest.len > 0) {
            sonde_str value = sonde_str_trim(sonde_str_cut(&rest, ','));
            bool has_value = value.len > 0 && memchr(value.ptr, '=', value.len) != NULL;
            sonde_str key = sonde_str_trim(sonde_str_cut(&value, '='));
            const char *mapped = mapped_key(key);

            if (key.len == 0 && !has_value && value.len == 0)
                continue;
            if (!has_value || key.len == 0)
                return false;
            if ((mapped != NULL) != (pass == 0))
                continue;
            if (!put_tag(&tags, mapped ? sonde_str_from(mapped) : key, sonde_str_trim(value)))
                return false;
        }
    }
    *out = (sonde_str){ tags.to, tags.len };
    return true;
}

/* -- the table ------------------------------------------------------------------------------------ */

typedef struct variable {
    const char *name;
    const char *setting; /* NULL: speaks through another one, or there is none */
    const char *hidden_by[3];
    bool (*translate)(translation *t, sonde_str in, sonde_str *out);
} variable;

static const variable variables[] = {
    { "OTEL_SERVICE_NAME", "DD_SERVICE", { "DD_SERVICE", "DD_SERVICE_NAME" }, take_as_it_is },
    { "OTEL_LOG_LEVEL",
      "DD_TRACE_LOG_LEVEL",
      { "DD_TRACE_LOG_LEVEL", "DD_LOG_LEVEL", "DD_TRACE_DEBUG" },
      take_level },
    { "OTEL_PROPAGATORS",
      "DD_TRACE_PROPAGATION_STYLE",
      { "DD_TRACE_PROPAGATION_STYLE" },
      take_styles },
    { "OTEL_TRACES_SAMPLER", "DD_TRACE_SAMPLE_RATE", { "DD_TRACE_SAMPLE_RATE" }, take_sampler },
    { "OTEL_TRACES_SAMPLER_ARG", NULL, { "DD_TRACE_SAMPLE_RATE" }, take_sampler_arg },
    { "OTEL_TRACES_EXPORTER", "DD_TRACE_ENABLED", { "DD_TRACE_ENABLED" }, take_none },
    { "OTEL_METRICS_EXPORTER",
      "DD_RUNTIME_METRICS_ENABLED",
      { "DD_RUNTIME_METRICS_ENABLED" },
      take_none },
    { "OTEL_LOGS_EXPORTER", NULL, { NULL }, take_none },
    { "OTEL_RESOURCE_ATTRIBUTES",
      "DD_TAGS",
      { "DD_TAGS", "DD_TRACE_TAGS", "DD_TRACE_GLOBAL_TAGS" },
      take_attributes },
    { "OTEL_SDK_DISABLED", "DD_TRACE_OTEL_ENABLED", { "DD_TRACE_OTEL_ENABLED" }, take_inverse },
};
_Static_assert(sizeof(variables) / sizeof(variables[0]) == SONDE__OTEL_VARIABLES, "one each");

const char *sonde__otel_name(unsigned i, const char **out_setting)
{
    /* Telemetry knows it by its older name. */
    *out_setting =
        variables[i].translate == take_level ? "DD_LOG_LEVEL" : variables[i].hidden_by[0];
    return variables[i].name;
}

const char *sonde__otel_unsupported(unsigned i)
{
    static const char *const names[] = {
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_BLRP_EXPORT_TIMEOUT",
        "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_BLRP_MAX_QUEUE_SIZE",
        "OTEL_BLRP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "OTEL_METRIC_EXPORT_INTERVAL",
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
    };

    _Static_assert(sizeof(names) / sizeof(names[0]) <= 32, "a bit each");
    return i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
}

static bool is_hidden(const translation *t, const variable *v)
{
    size_t i;

    for (i = 0; i < 3 && v->hidden_by[i]; i++)
        if (sonde_str_trim(sonde_str_from(t->variable(t->user, v->hidden_by[i]))).len > 0)
            return true;
    return false;
}

void sonde__otel_read(sonde__otel *o, const char *(*look_up)(void *user, const char *name),
                      void *user)
{
    translation t = { .o = o, .variable = look_up, .user = user };
    size_t i;

    for (i = 0; i < SONDE__OTEL_VARIABLES; i++) {
        const variable *v = &variables[i];

        o->given[i] = sonde_str_trim(sonde_str_from(look_up(user, v->name)));
        o->state[i] = SONDE__OTEL_UNSET;
        if (o->given[i].len == 0)
            continue;
        if (is_hidden(&t, v))
            o->state[i] = SONDE__OTEL_HIDDEN;
        else if (v->translate(&t, o->given[i], &o->translated[i]))
            o->state[i] = SONDE__OTEL_USED;
        else
            o->state[i] = SONDE__OTEL_INVALID;
    }
}

/* Level "debug" is two settings with us. */
static bool also_means(const variable *v, const char *setting, sonde_str *value)
{
    if (v->translate != take_level || strcmp(setting, "DD_TRACE_DEBUG") != 0 ||
        !sonde_str_eq_nocase(*value, SONDE_STR("debug")))
        return false;
    *value = SONDE_STR("true");
    return true;
}

bool sonde__otel_get(const sonde__otel *o, const char *setting, const char **out_name,
                     sonde_str *out_value)
{
    size_t i;

    for (i = 0; i < SONDE__OTEL_VARIABLES; i++) {
        const variable *v = &variables[i];
        sonde_str value = o->translated[i];

        if (o->state[i] != SONDE__OTEL_USED || !v->setting)
            continue;
        if (strcmp(v->setting, setting) != 0 && !also_means(v, setting, &value))
            continue;
        *out_name = v->name;
        *out_value = value;
        return true;
    }
    return false;
}

void sonde__otel_warn(const sonde__otel *o)
{
    size_t i;

    for (i = 0; i < SONDE__OTEL_VARIABLES; i++) {
        const variable *v = &variables[i];

        if (o->state[i] == SONDE__OTEL_HIDDEN)
            SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "variable not used: %s=%s reason=\"%s is set\"",
                             v->name, SONDE_LOG_QUOTE(o->given[i]), v->hidden_by[0]);
        else if (o->state[i] == SONDE__OTEL_INVALID)
            SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "variable not used: %s=%s reason=\"%s\"", v->name,
                             SONDE_LOG_QUOTE(o->given[i]), "not a value we can follow");
        else if (o->state[i] == SONDE__OTEL_USED && v->translate == take_sampler &&
                 !is_parent_based(o->given[i]))
            SONDE_LOG_ALWAYS(SONDE_LOG_WARN,
                             "variable followed in part: %s=%s reason=\"received decisions "
                             "count, as with parentbased_%.*s\"",
                             v->name, SONDE_LOG_QUOTE(o->given[i]), SONDE_STR_ARG(o->given[i]));
    }
}
