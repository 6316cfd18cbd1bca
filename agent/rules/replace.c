/* replace.c - replace_tags: the rules read, and where they look. */
#include "agent/rules/lane.h"

#include "base/error.h"
#include "base/format.h"
#include "base/log.h"
#include "base/parse.h"
#include "codec/json_read.h"

#define JSON_TEXT_MAX_BYTES (64u * 1024)
#define DECIMAL_MAX_BYTES   352 /* of a double without exponent */

/* -- the rules ------------------------------------------------------------------------------------- */

typedef struct rule_source {
    sonde_str name, pattern, repl;
} rule_source;

static sonde_status add_rule(rules_lane *lane, const rule_source *s, sonde_error *out_error)
{
    replace_rule rule = { .name = s->name, .repl = s->repl };
    sonde_error error = { 0 };
    sonde_status status;

    if (s->name.len == 0 || s->pattern.len == 0)
        return sonde_fail(out_error, SONDE_ERR_INVALID,
                          "apm_config.replace_tags: a rule without name or pattern");
    if (lane->replace_len == RULES_MAX)
        return sonde_fail(out_error, SONDE_ERR_TOO_BIG, "apm_config.replace_tags: above %d rules",
                          RULES_MAX);
    if (sonde_str_eq(s->name, SONDE_STR("*")))
        rule.target = REPLACE_ALL;
    else if (sonde_str_eq(s->name, SONDE_STR("resource.name")))
        rule.target = REPLACE_RESOURCE;
    status = sonde_regex_compile_groups(s->pattern, &rule.pattern, &error);
    if (status != SONDE_OK)
        return sonde_fail(out_error, status, "apm_config.replace_tags: %s", error.message);
    rule.bounds = sonde_arena_zalloc(
        &lane->arena, 2 * (1 + (size_t)sonde_regex_groups(rule.pattern)), sizeof(size_t));
    if (!rule.bounds) {
        sonde_regex_free(rule.pattern);
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "replace_tags");
    }
    lane->replace[lane->replace_len++] = rule;
    return SONDE_OK;
}

static sonde_status not_a_rule(sonde_error *out_error)
{
    return sonde_fail(out_error, SONDE_ERR_SYNTAX,
                      "apm_config.replace_tags: expected a list of rules with name, pattern, repl");
}

/* Behind "{" of a rule. */
static sonde_status read_rule(rules_lane *lane, sonde_json_reader *j, rule_source *out,
                              sonde_error *out_error)
{
    sonde_json_event e;

    while ((e = sonde_json_next(j)) == SONDE_JSON_KEY) {
        sonde_str *field = NULL;

        if (sonde_str_eq(j->text, SONDE_STR("name")))
            field = &out->name;
        else if (sonde_str_eq(j->text, SONDE_STR("pattern")))
            field = &out->pattern;
        else if (sonde_str_eq(j->text, SONDE_STR("repl")))
            field = &out->repl;
        e = sonde_json_next(j);
        if (!field) {
            if (!sonde_json_skip(j, e))
                return not_a_rule(out_error);
            continue;
        }
        if (e != SONDE_JSON_STRING && e != SONDE_JSON_NUMBER)
            return not_a_rule(out_error);
        *field = sonde_arena_copy(&lane->arena, j->text);
        if (!field->ptr)
            return sonde_fail(out_error, SONDE_ERR_NOMEM, "replace_tags");
    }
    return e == SONDE_JSON_OBJECT_END ? SONDE_OK : not_a_rule(out_error);
}

static sonde_status read_rules(rules_lane *lane, sonde_json_reader *j, sonde_error *out_error)
{
    sonde_json_event e = sonde_json_next(j);
    sonde_status status = e == SONDE_JSON_ARRAY ? SONDE_OK : not_a_rule(out_error);

    while (status == SONDE_OK && (e = sonde_json_next(j)) == SONDE_JSON_OBJECT) {
        rule_source source = { .name = { NULL, 0 } };

        status = read_rule(lane, j, &source, out_error);
        if (status == SONDE_OK)
            status = add_rule(lane, &source, out_error);
    }
    if (status == SONDE_OK && (e != SONDE_JSON_ARRAY_END || sonde_json_next(j) != SONDE_JSON_END))
        status = not_a_rule(out_error);
    return status;
}

static sonde_status add_stack_trace_rules(rules_lane *lane, sonde_error *out_error)
{
    static const char *const names[] = { "error.stack", "exception.stacktrace" };
    sonde_status status = SONDE_OK;
    size_t i;

    for (i = 0; i < 2 && status == SONDE_OK; i++)
        status = add_rule(
            lane, &(rule_source){ sonde_str_from(names[i]), SONDE_STR("(?s).*"), SONDE_STR("?") },
            out_error);
    return status;
}

static void warn_of_env(const rules_lane *lane, sonde_str place)
{
    size_t i;

    for (i = 0; i < lane->replace_len; i++)
        if (sonde_str_eq(lane->replace[i].name, SONDE_STR("env")))
            SONDE_LOG_ALWAYS(SONDE_LOG_ERROR,
                             "%.*s: apm_config.replace_tags: replacing env has effects elsewhere",
                             SONDE_STR_ARG(place));
}

/* The rules of the configuration; what is wrong with them is said with the place they are at. */
static sonde_status add_configured(rules_lane *lane, const agent_config *c, bool is_first,
                                   sonde_error *out_error)
{
    sonde_str place = config_origin(c, "apm_config.replace_tags");
    sonde_error error = { 0 };
    sonde_json_reader j;
    sonde_status status;

    sonde_json_reader_init(&j, c->replace_tags, JSON_TEXT_MAX_BYTES);
    status = read_rules(lane, &j, &error);
    if (status != SONDE_OK && j.status == SONDE_ERR_NOMEM)
        status = SONDE_ERR_NOMEM;
    sonde_json_reader_done(&j);
    if (status != SONDE_OK)
        return sonde_fail(out_error, status, "%.*s: %s", SONDE_STR_ARG(place), error.message);
    if (is_first)
        warn_of_env(lane, place);
    return SONDE_OK;
}

sonde_status replace_open(rules_lane *lane, const agent_config *c, bool is_first,
                          sonde_error *out_error)
{
    sonde_status status = SONDE_OK;

    lane->replace = sonde_arena_zalloc(&lane->arena, RULES_MAX, sizeof(*lane->replace));
    if (!lane->replace)
        return sonde_fail(out_error, SONDE_ERR_NOMEM, "replace_tags");
    if (c->replace_tags.len)
        status = add_configured(lane, c, is_first, out_error);
    if (status == SONDE_OK && c->obfuscation.remove_stack_traces)
        status = add_stack_trace_rules(lane, out_error);
    return status;
}

void replace_close(rules_lane *lane)
{
    size_t i;

    for (i = 0; i < lane->replace_len; i++)
        sonde_regex_free(lane->replace[i].pattern);
}

/* -- texts and numbers ----------------------------------------------------------------------------- */

static sonde_status take_result(rules_lane *lane, sonde_arena *arena, sonde_str *out)
{
    *out = sonde_arena_copy(arena, sonde_buf_str(&lane->text));
    return out->ptr ? SONDE_OK : SONDE_ERR_NOMEM;
}

static sonde_status in_text(rules_lane *lane, replace_rule *rule, sonde_arena *arena,
                            sonde_str *text)
{
    sonde_status status = replace_text(lane, rule, *text);

    if (status == SONDE_ERR_NOT_FOUND)
        return SONDE_OK;
    return status == SONDE_OK ? take_result(lane, arena, text) : status;
}

/* Shortest digits that read back the same, without an exponent. */
static sonde_str print_decimal(double v, char out[DECIMAL_MAX_BYTES])
{
    char digits[SONDE_DOUBLE_MAX_LEN];
    size_t len = sonde_format_double(v, digits);
    sonde_str text = { digits, len };
    sonde_str mantissa = sonde_str_cut(&text, 'e');
    int64_t exponent = 0;
    int64_t point;
    size_t at = 0;
    size_t n = 0;
    size_t i;

    if (text.len == 0 || !(v == v)) {
        memcpy(out, digits, len);
        return (sonde_str){ out, len };
    }
    if (text.ptr[0] == '+')
        text = sonde_str_sub(text, 1, text.len);
    (void)sonde_parse_i64(text, &exponent);
    if (mantissa.ptr[0] == '-') {
        out[at++] = '-';
        mantissa = sonde_str_sub(mantissa, 1, mantissa.len);
    }
    for (i = 0; i < mantissa.len; i++) /* d.ddd: the digits alone */
        if (mantissa.ptr[i] != '.')
            digits[n++] = mantissa.ptr[i];
    point = exponent + 1;
    if (point <= 0) {
        out[at++] = '0';
        out[at++] = '.';
        for (; point < 0; point++)
            out[at++] = '0';
        memcpy(out + at, digits, n);
        return (sonde_str){ out, at + n };
    }
    for (i = 0; i < n || (int64_t)i < point; i++) {
        if ((int64_t)i == point)
            out[at++] = '.';
        out[at++] = i < n ? digits[i] : '0';
    }
    return (sonde_str){ out, at };
}

/* A number that is none any more becomes a tag of text; says so. */
static sonde_status in_metric(rules_lane *lane, replace_rule *rule, sonde_arena *arena,
                              payload_span *s, uint32_t at, bool *out_moved)
{
    char number[DECIMAL_MAX_BYTES];
    const sonde_str key = s->metrics[at].key;
    sonde_status status = replace_text(lane, rule, print_decimal(s->metrics[at].value, number));
    sonde_str text;
    double v;

    *out_moved = false;
    if (status != SONDE_OK)
        return status == SONDE_ERR_NOT_FOUND ? SONDE_OK : status;
    if (sonde_parse_double(sonde_buf_str(&lane->text), &v) == SONDE_OK) {
        s->metrics[at].value = v;
        return SONDE_OK;
    }
    *out_moved = true;
    if (take_result(lane, arena, &text) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    span_metric_remove(s, key);
    return span_meta_set(s, arena, key, text);
}

static sonde_str print_any(const span_any *v, char number[DECIMAL_MAX_BYTES])
{
    switch (v->type) {
    case SPAN_ANY_BOOL:
        return v->integer ? SONDE_STR("true") : SONDE_STR("false");
    case SPAN_ANY_INT:
        return (sonde_str){ number, sonde_format_i64(v->integer, number) };
    case SPAN_ANY_DOUBLE:
        return print_decimal(v->number, number);
    default:
        return v->str;
    }
}

static span_any parse_any(sonde_str text)
{
    int64_t integer;
    double number;

    if (sonde_parse_i64(text, &integer) == SONDE_OK)
        return (span_any){ .type = SPAN_ANY_INT, .integer = integer };
    if (sonde_parse_double(text, &number) == SONDE_OK)
        return (span_any){ .type = SPAN_ANY_DOUBLE, .number = number };
    if (sonde_str_eq(text, SONDE_STR("true")) || sonde_str_eq(text, SONDE_STR("false")))
        return (span_any){ .type = SPAN_ANY_BOOL, .integer = text.len == 4 };
    return (span_any){ .type = SPAN_ANY_STRING, .str = text };
}

static sonde_status in_any(rules_lane *lane, replace_rule *rule, sonde_arena *arena, span_any *v)
{
    char number[DECIMAL_MAX_BYTES];
    sonde_status status = SONDE_OK;
    sonde_str text;
    uint32_t i;

    if (v->type == SPAN_ANY_ARRAY) {
        for (i = 0; i < v->values_len && status == SONDE_OK; i++)
            if (v->values[i].type != SPAN_ANY_ARRAY)
                status = in_any(lane, rule, arena, &v->values[i]);
        return status;
    }
    status = replace_text(lane, rule, print_any(v, number));
    if (status != SONDE_OK)
        return status == SONDE_ERR_NOT_FOUND ? SONDE_OK : status;
    status = take_result(lane, arena, &text);
    if (status == SONDE_OK)
        *v = parse_any(text);
    return status;
}

/* -- spans ----------------------------------------------------------------------------------------- */

static bool looks_at(const replace_rule *rule, sonde_str key)
{
    if (rule->target == REPLACE_ALL)
        return key.len == 0 || key.ptr[0] != '_';
    return sonde_str_eq(key, rule->name);
}

static sonde_status in_metrics(rules_lane *lane, replace_rule *rule, sonde_arena *arena,
                               payload_span *s)
{
    sonde_status status = SONDE_OK;
    uint32_t i = 0;
    bool moved;

    while (i < s->metrics_len && status == SONDE_OK) {
        moved = false;
        if (looks_at(rule, s->metrics[i].key))
            status = in_metric(lane, rule, arena, s, i, &moved);
        i += !moved;
    }
    return status;
}

static sonde_status in_events(rules_lane *lane, replace_rule *rule, sonde_arena *arena,
                              payload_span *s)
{
    sonde_status status = SONDE_OK;
    uint32_t i, k;

    for (i = 0; i < s->events_len; i++)
        for (k = 0; k < s->events[i].attributes_len && status == SONDE_OK; k++)
            if (looks_at(rule, s->events[i].attributes[k].key))
                status = in_any(lane, rule, arena, &s->events[i].attributes[k].value);
    return status;
}

static sonde_status apply(rules_lane *lane, replace_rule *rule, sonde_arena *arena, payload_span *s)
{
    sonde_status status = SONDE_OK;
    uint32_t i;

    if (rule->target != REPLACE_TAG)
        status = in_text(lane, rule, arena, &s->resource);
    if (rule->target == REPLACE_RESOURCE)
        return status;
    for (i = 0; i < s->meta_len && status == SONDE_OK; i++)
        if (looks_at(rule, s->meta[i].key))
            status = in_text(lane, rule, arena, &s->meta[i].value);
    if (status == SONDE_OK)
        status = in_metrics(lane, rule, arena, s);
    return status == SONDE_OK ? in_events(lane, rule, arena, s) : status;
}

sonde_status rules_replace(rules_lane *lane, payload_span *s, sonde_arena *arena)
{
    sonde_status status = SONDE_OK;
    size_t i;

    for (i = 0; i < lane->replace_len && status == SONDE_OK; i++)
        status = apply(lane, &lane->replace[i], arena, s);
    return status;
}

static sonde_status in_status_code(rules_lane *lane, replace_rule *rule, uint32_t *code)
{
    char number[SONDE_U64_MAX_LEN];
    const sonde_str text = { number, sonde_format_u64(*code, number) };
    sonde_status status = replace_text(lane, rule, text);
    uint64_t v;

    if (status == SONDE_OK && sonde_parse_u64(sonde_buf_str(&lane->text), &v) == SONDE_OK &&
        v <= UINT32_MAX)
        *code = (uint32_t)v;
    return status == SONDE_ERR_NOT_FOUND ? SONDE_OK : status;
}

sonde_status replace_in_stats(rules_lane *lane, sonde_str *resource, uint32_t *http_status_code,
                              sonde_arena *arena)
{
    sonde_status status = SONDE_OK;
    size_t i;

    for (i = 0; i < lane->replace_len && status == SONDE_OK; i++) {
        replace_rule *rule = &lane->replace[i];

        if (rule->target != REPLACE_TAG)
            status = in_text(lane, rule, arena, resource);
        if (status == SONDE_OK && looks_at(rule, SONDE_STR("http.status_code")))
            status = in_status_code(lane, rule, http_status_code);
    }
    return status;
}
