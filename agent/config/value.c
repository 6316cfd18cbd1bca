/* value.c - the text of a value into its field, and back.
 *
 * Every source gives text: the file's sequences and maps arrive as JSON, as they do in variables.
 *
 * Bounds   CONFIG_VALUE_MAX_BYTES a value, CONFIG_LIST_MAX items.
 */
#include <stdio.h>

#include "base/format.h"
#include "base/parse.h"
#include "codec/json_read.h"
#include "internal.h"
#include "net/url.h"

static void *field_of(agent_config *c, const config_key *key)
{
    return (char *)c + key->offset;
}

static const void *const_field_of(const agent_config *c, const config_key *key)
{
    return (const char *)c + key->offset;
}

static bool in_range(const config_key *key, double v)
{
    return (key->min == 0 && key->max == 0) || (v >= key->min && v <= key->max);
}

/* Reasons a value was not taken; NULL: it was. */
typedef const char *refusal;

static const char out_of_range[] = "out of range";

static refusal set_int(const config_key *key, sonde_str text, int64_t *out)
{
    int64_t v;

    if (sonde_parse_i64(text, &v) != SONDE_OK)
        return "expected an integer";
    if (!in_range(key, (double)v))
        return out_of_range;
    *out = v;
    return NULL;
}

static refusal set_number(const config_key *key, sonde_str text, double *out)
{
    double v;

    if (sonde_parse_double(text, &v) != SONDE_OK)
        return "expected a number";
    if (!in_range(key, v))
        return out_of_range;
    *out = v;
    return NULL;
}

/* Whole numbers may come as floats (5e8), as YAML and Go print them. */
static refusal set_bytes(const config_key *key, sonde_str text, uint64_t *out)
{
    uint64_t v;
    double number;

    if (sonde_parse_bytes(text, &v) != SONDE_OK) {
        if (sonde_parse_double(text, &number) != SONDE_OK || number < 0 || number > 1e15)
            return "expected a size, such as 64MiB";
        v = (uint64_t)number;
    }
    if (!in_range(key, (double)v))
        return out_of_range;
    *out = v;
    return NULL;
}

static refusal set_duration(const config_key *key, sonde_str text, uint64_t *out)
{
    uint64_t v;
    double number;

    if (sonde_parse_duration_ns(text, key->unit_ns, &v) != SONDE_OK) {
        if (sonde_parse_double(text, &number) != SONDE_OK || number < 0 || number > 1e9)
            return "expected a duration, such as 5s";
        v = (uint64_t)(number * (double)key->unit_ns);
    }
    if (!in_range(key, (double)v / 1e9))
        return out_of_range;
    *out = v;
    return NULL;
}

static refusal set_switch(sonde_str text, config_switch *out)
{
    bool on;

    if (sonde_str_eq_nocase(text, SONDE_STR("auto"))) {
        *out = CONFIG_AUTO;
        return NULL;
    }
    if (sonde_parse_bool(text, &on) != SONDE_OK)
        return "expected auto, true or false";
    *out = on ? CONFIG_ON : CONFIG_OFF;
    return NULL;
}

static refusal set_level(sonde_str text, int32_t *out)
{
    sonde_log_level level;

    if (sonde_log_parse_level(text, &level) != SONDE_OK)
        return "expected trace, debug, info, warn or error";
    *out = (int32_t)level;
    return NULL;
}

/* Lists */

typedef struct items {
    sonde_str item[CONFIG_LIST_MAX];
    size_t len;
} items;

static refusal add_item(builder *b, items *list, sonde_str text)
{
    if (text.len == 0)
        return NULL;
    if (list->len == CONFIG_LIST_MAX)
        return "too many items";
    list->item[list->len++] = keep(b, text);
    return NULL;
}

/* The items of the array whose "[" was just read; numbers and words count as text. */
static refusal read_json_items(builder *b, sonde_json_reader *j, items *list)
{
    for (;;) {
        refusal why;

        switch (sonde_json_next(j)) {
        case SONDE_JSON_ARRAY_END:
            return NULL;
        case SONDE_JSON_STRING:
        case SONDE_JSON_NUMBER:
            why = add_item(b, list, j->text);
            break;
        default:
            return "expected a list of texts";
        }
        if (why)
            return why;
    }
}

/* The pairs of the object whose "{" was just read, as key:value. */
static refusal read_json_pairs(builder *b, sonde_json_reader *j, items *list)
{
    sonde_json_event e;

    while ((e = sonde_json_next(j)) == SONDE_JSON_KEY) {
        sonde_str key = keep(b, j->text);

        e = sonde_json_next(j);
        if (e != SONDE_JSON_STRING && e != SONDE_JSON_NUMBER)
            return "expected a map of texts";
        if (list->len == CONFIG_LIST_MAX)
            return "too many items";
        list->item[list->len++] =
            keep_printf(b, "%.*s:%.*s", SONDE_STR_ARG(key), SONDE_STR_ARG(j->text));
    }
    return e == SONDE_JSON_OBJECT_END ? NULL : "expected a map of texts";
}

/* One field of CSV: as it stands, or in quotes, of which two stand for one. */
static refusal take_csv_item(builder *b, sonde_str *rest, items *list)
{
    bool is_doubled = false;
    refusal why = NULL;
    sonde_buf item;

    *rest = sonde_str_trim(*rest);
    if (!sonde_str_starts(*rest, SONDE_STR("\"")))
        return add_item(b, list, sonde_str_trim(sonde_str_cut(rest, ',')));
    sonde_buf_init(&item, CONFIG_VALUE_MAX_BYTES);
    do {
        *rest = sonde_str_sub(*rest, 1, rest->len);
        if (is_doubled)
            sonde_buf_append_byte(&item, '"');
        is_doubled = true;
        if (!memchr(rest->len ? rest->ptr : "", '"', rest->len))
            why = "a quote without its end";
        sonde_buf_append_str(&item, sonde_str_cut(rest, '"'));
    } while (!why && sonde_str_starts(*rest, SONDE_STR("\"")));
    if (!why && item.status == SONDE_OK)
        why = add_item(b, list, sonde_buf_str(&item));
    if (item.status != SONDE_OK)
        b->out_of_memory = true;
    sonde_buf_done(&item);
    if (!why && sonde_str_trim(sonde_str_cut(rest, ',')).len)
        why = "something behind a quote";
    return why;
}

static refusal split_csv(builder *b, sonde_str text, items *list)
{
    refusal why = NULL;

    while (!why && text.len)
        why = take_csv_item(b, &text, list);
    return why;
}

static refusal split_items(builder *b, sonde_str text, char separator, items *list)
{
    refusal why = NULL;

    if (!separator)
        separator = text.len && memchr(text.ptr, ',', text.len) ? ',' : ' ';

    while (!why && text.len)
        why = add_item(b, list, sonde_str_trim(sonde_str_cut(&text, separator)));
    return why;
}

static bool is_json(sonde_str text)
{
    sonde_json_reader j;
    bool whole;

    sonde_json_reader_init(&j, text, CONFIG_VALUE_MAX_BYTES);
    whole = sonde_json_skip(&j, sonde_json_next(&j)) && sonde_json_next(&j) == SONDE_JSON_END;
    sonde_json_reader_done(&j);
    return whole;
}

static refusal read_list(builder *b, const config_key *key, sonde_str text, items *list)
{
    sonde_json_reader j;
    refusal why;
    bool is_map = sonde_str_starts(text, SONDE_STR("{"));

    /* a pattern may begin with a bracket: a text that is no JSON is split */
    if ((!is_map && !sonde_str_starts(text, SONDE_STR("["))) ||
        (key->separator == ',' && !is_json(text)))
        return key->separator == ',' ? split_csv(b, text, list)
                                     : split_items(b, text, key->separator, list);
    sonde_json_reader_init(&j, text, CONFIG_VALUE_MAX_BYTES);
    (void)sonde_json_next(&j);
    why = is_map ? read_json_pairs(b, &j, list) : read_json_items(b, &j, list);
    sonde_json_reader_done(&j);
    return why;
}

static refusal set_list(builder *b, const config_key *key, sonde_str text, config_list *out)
{
    items list = { .len = 0 };
    refusal why = read_list(b, key, text, &list);
    sonde_str *copy;

    if (why)
        return why;
    copy = sonde_arena_alloc(&b->c->arena, (list.len + 1) * sizeof(*copy));
    if (!copy) {
        b->out_of_memory = true;
        return NULL;
    }
    memcpy(copy, list.item, list.len * sizeof(*copy));
    *out = (config_list){ copy, list.len };
    return NULL;
}

/* Endpoints */

typedef struct endpoint_list {
    config_endpoint item[CONFIG_LIST_MAX];
    size_t len;
} endpoint_list;

static refusal add_endpoint(builder *b, endpoint_list *list, sonde_str url, sonde_str api_key)
{
    if (list->len == CONFIG_LIST_MAX)
        return "too many endpoints";
    list->item[list->len++] = (config_endpoint){ url, keep(b, api_key) };
    return NULL;
}

/* One address: a list of keys, or a single one. */
static refusal read_endpoint_keys(builder *b, sonde_json_reader *j, sonde_str url,
                                  endpoint_list *list)
{
    sonde_json_event e = sonde_json_next(j);

    if (e == SONDE_JSON_STRING)
        return add_endpoint(b, list, url, j->text);
    if (e != SONDE_JSON_ARRAY)
        return "expected a list of keys for each address";
    for (;;) {
        refusal why;

        e = sonde_json_next(j);
        if (e == SONDE_JSON_ARRAY_END)
            return NULL;
        if (e != SONDE_JSON_STRING)
            return "expected a list of keys for each address";
        why = add_endpoint(b, list, url, j->text);
        if (why)
            return why;
    }
}

static refusal read_endpoints(builder *b, sonde_json_reader *j, endpoint_list *list)
{
    sonde_json_event e = sonde_json_next(j);
    sonde_url parsed;
    sonde_str url;
    refusal why;

    if (e != SONDE_JSON_OBJECT)
        return "expected a map from address to keys";
    while ((e = sonde_json_next(j)) == SONDE_JSON_KEY) {
        if (sonde_url_parse(j->text, &parsed, NULL) != SONDE_OK)
            return "an address is not a URL";
        url = keep(b, j->text);
        why = read_endpoint_keys(b, j, url, list);
        if (why)
            return why;
    }
    return e == SONDE_JSON_OBJECT_END ? NULL : "expected a map from address to keys";
}

static refusal set_endpoints(builder *b, sonde_str text, config_endpoints *out)
{
    endpoint_list list = { .len = 0 };
    config_endpoint *copy;
    sonde_json_reader j;
    refusal why;

    if (text.len) {
        sonde_json_reader_init(&j, text, CONFIG_VALUE_MAX_BYTES);
        why = read_endpoints(b, &j, &list);
        sonde_json_reader_done(&j);
        if (why)
            return why;
    }
    copy = sonde_arena_alloc(&b->c->arena, (list.len + 1) * sizeof(*copy));
    if (!copy) {
        b->out_of_memory = true;
        return NULL;
    }
    memcpy(copy, list.item, list.len * sizeof(*copy));
    *out = (config_endpoints){ copy, list.len };
    return NULL;
}

/* "ENC[handle]": Datadog's agent asks a program of the user's for it.  Sent as it is it would be a wrong key. */
static bool is_of_a_backend(sonde_str text)
{
    return sonde_str_starts(text, SONDE_STR("ENC[")) && sonde_str_ends(text, SONDE_STR("]"));
}

static refusal set_value(builder *b, const config_key *key, sonde_str text)
{
    void *field = field_of(b->c, key);

    switch (key->type) {
    case KEY_TEXT:
    case KEY_SECRET:
        if (is_of_a_backend(text))
            return "a secret of a backend, which is not resolved here";
        *(sonde_str *)field = keep(b, text);
        return NULL;
    case KEY_BOOL:
        return sonde_parse_bool(text, field) == SONDE_OK ? NULL : "expected true or false";
    case KEY_SWITCH:
        return set_switch(text, field);
    case KEY_INT:
        return set_int(key, text, field);
    case KEY_NUMBER:
        return set_number(key, text, field);
    case KEY_BYTES:
        return set_bytes(key, text, field);
    case KEY_DURATION:
        return set_duration(key, text, field);
    case KEY_LEVEL:
        return set_level(text, field);
    case KEY_LIST:
        return set_list(b, key, text, field);
    case KEY_ENDPOINTS:
        return set_endpoints(b, text, field);
    }
    return "unknown type";
}

/* " (0 to 3600 s)" */
static void print_range(const config_key *key, char *out, size_t cap)
{
    const char *unit = key->type == KEY_BYTES ? " bytes" : key->type == KEY_DURATION ? " s" : "";

    (void)snprintf(out, cap, " (%.15g to %.15g%s)", key->min, key->max, unit);
}

void key_set(builder *b, const config_key *key, sonde_str text, sonde_str origin)
{
    char range[96] = "";
    refusal why;

    text = sonde_str_trim(text);
    if (text.len > CONFIG_VALUE_MAX_BYTES)
        why = "too long";
    else if (text.len && memchr(text.ptr, '\0', text.len))
        why = "holds a zero byte";
    else
        why = set_value(b, key, text);
    if (!why) {
        b->c->origins[key - config_keys] = keep(b, origin);
        return;
    }
    if (why == out_of_range)
        print_range(key, range, sizeof(range));
    warn(b, "%.*s: %s = %s: %s%s, staying with the value before it", SONDE_STR_ARG(origin),
         key->name,
         key->type == KEY_SECRET || key->type == KEY_ENDPOINTS ? "(secret)" : SONDE_LOG_QUOTE(text),
         why, range);
}

static void print_secret(sonde_str secret, sonde_buf *out)
{
    if (secret.len == 0)
        return;
    sonde_buf_append_str(out, SONDE_STR("***"));
    if (secret.len >= 16)
        sonde_buf_append_str(out, sonde_str_sub(secret, secret.len - 4, 4));
}

/* An address without the user and password before its host. */
static void print_text(sonde_str text, sonde_buf *out)
{
    sonde_str rest;
    size_t at;

    if (sonde_str_find(text, SONDE_STR("://"), &at)) {
        rest = sonde_str_sub(text, at + 3, text.len);
        rest = sonde_str_cut(&rest, '/');
        if (memrchr(rest.ptr, '@', rest.len)) {
            sonde_buf_append_str(out, sonde_str_sub(text, 0, at + 3));
            sonde_buf_append_str(out, SONDE_STR("***"));
            at = (size_t)((const char *)memrchr(rest.ptr, '@', rest.len) - text.ptr);
            text = sonde_str_sub(text, at, text.len);
        }
    }
    sonde_buf_append_str(out, text);
}

static void print_duration(uint64_t ns, sonde_buf *out)
{
    static const struct {
        uint64_t ns;
        const char *unit;
    } units[] = {
        { 86400000000000u, "d" }, { 3600000000000u, "h" }, { 60000000000u, "m" },
        { 1000000000u, "s" },     { 1000000u, "ms" },      { 1000u, "us" },
    };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (ns && ns % units[i].ns == 0) {
            sonde_buf_printf(out, "%llu%s", (unsigned long long)(ns / units[i].ns), units[i].unit);
            return;
        }
    }
    sonde_buf_printf(out, "%lluns", (unsigned long long)ns);
}

static void print_endpoints(const config_endpoints *endpoints, sonde_buf *out)
{
    for (size_t i = 0; i < endpoints->len; i++) {
        sonde_buf_printf(out, "%s%.*s key ", i ? ", " : "", SONDE_STR_ARG(endpoints->items[i].url));
        print_secret(endpoints->items[i].api_key, out);
    }
}

static void print_list(const config_list *list, sonde_buf *out)
{
    for (size_t i = 0; i < list->len; i++)
        sonde_buf_printf(out, "%s%.*s", i ? ", " : "", SONDE_STR_ARG(list->items[i]));
}

void key_print_value(const agent_config *c, const config_key *key, sonde_buf *out)
{
    static const char *const switches[] = { "auto", "true", "false" };
    static const char *const levels[] = { "error", "warn", "info", "debug", "trace" };
    const void *field = const_field_of(c, key);
    char number[SONDE_DOUBLE_MAX_LEN];

    switch (key->type) {
    case KEY_TEXT:
        print_text(*(const sonde_str *)field, out);
        break;
    case KEY_SECRET:
        print_secret(*(const sonde_str *)field, out);
        break;
    case KEY_BOOL:
        sonde_buf_printf(out, "%s", *(const bool *)field ? "true" : "false");
        break;
    case KEY_SWITCH:
        sonde_buf_printf(out, "%s", switches[*(const config_switch *)field]);
        break;
    case KEY_INT:
        sonde_buf_printf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case KEY_NUMBER:
        sonde_buf_append(out, number, sonde_format_double(*(const double *)field, number));
        break;
    case KEY_BYTES:
        sonde_buf_printf(out, "%llu", (unsigned long long)*(const uint64_t *)field);
        break;
    case KEY_DURATION:
        print_duration(*(const uint64_t *)field, out);
        break;
    case KEY_LEVEL:
        sonde_buf_printf(out, "%s", levels[*(const int32_t *)field]);
        break;
    case KEY_LIST:
        print_list(field, out);
        break;
    case KEY_ENDPOINTS:
        print_endpoints(field, out);
        break;
    }
}

static bool lists_equal(const config_list *a, const config_list *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (!sonde_str_eq(a->items[i], b->items[i]))
            return false;
    return true;
}

static bool endpoints_equal(const config_endpoints *a, const config_endpoints *b)
{
    if (a->len != b->len)
        return false;
    for (size_t i = 0; i < a->len; i++)
        if (!sonde_str_eq(a->items[i].url, b->items[i].url) ||
            !sonde_str_eq(a->items[i].api_key, b->items[i].api_key))
            return false;
    return true;
}

bool key_equal(const agent_config *a, const agent_config *b, const config_key *key)
{
    const void *x = const_field_of(a, key), *y = const_field_of(b, key);

    switch (key->type) {
    case KEY_TEXT:
    case KEY_SECRET:
        return sonde_str_eq(*(const sonde_str *)x, *(const sonde_str *)y);
    case KEY_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case KEY_SWITCH:
        return *(const config_switch *)x == *(const config_switch *)y;
    case KEY_LEVEL:
        return *(const int32_t *)x == *(const int32_t *)y;
    case KEY_INT:
    case KEY_NUMBER:
    case KEY_BYTES:
    case KEY_DURATION:
        return memcmp(x, y, 8) == 0;
    case KEY_LIST:
        return lists_equal(x, y);
    case KEY_ENDPOINTS:
        return endpoints_equal(x, y);
    }
    return true;
}

void config_each_secret(const agent_config *c, void (*tell)(void *user, sonde_str secret),
                        void *user)
{
    for (size_t i = 0; i < config_keys_len; i++) {
        const void *field = const_field_of(c, &config_keys[i]);

        if (config_keys[i].type == KEY_SECRET && ((const sonde_str *)field)->len)
            tell(user, *(const sonde_str *)field);
        if (config_keys[i].type != KEY_ENDPOINTS)
            continue;
        for (size_t k = 0; k < ((const config_endpoints *)field)->len; k++)
            tell(user, ((const config_endpoints *)field)->items[k].api_key);
    }
}
