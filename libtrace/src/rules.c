/* rules.c - rules from JSON, and matching. */
#include "rules.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>

#include <unistd.h>

#include "base/alloc.h"
#include "base/format.h"
#include "base/glob.h"
#include "base/log.h"
#include "codec/json_read.h"

#include "decision.h"

#define TEXTS_MAX_BYTES (2 * SONDE__RULES_MAX_BYTES)
#define INT_EXACT       9007199254740992.0 /* 2^53: integers a double holds are below */

void sonde__rules_init(sonde__rules *r)
{
    r->len = 0;
    r->conditions_len = 0;
    r->always = (sonde__bits){ { 0 } };
    r->keys = 0;
    sonde_arena_init(&r->texts, TEXTS_MAX_BYTES);
}

void sonde__rules_done(sonde__rules *r)
{
    sonde_arena_done(&r->texts);
}

static void set_bit(sonde__bits *bits, uint32_t i, bool on)
{
    uint64_t bit = UINT64_C(1) << (i & 63);

    if (on)
        bits->word[i / 64] |= bit;
    else
        bits->word[i / 64] &= ~bit;
}

static uint64_t key_bit(sonde_str key)
{
    return UINT64_C(1) << ((key.len * 7 + (key.len ? (unsigned char)key.ptr[key.len - 1] : 0)) &
                           63);
}

/* -- from JSON ------------------------------------------------------------------------------------ */

/* A list being read.  `why` is the first reason not to use the rule at hand; the rest of it is passed
 * over then. */
typedef struct reading {
    sonde__rules *rules;
    sonde_json_reader json;
    sonde__rule *rule;
    const char *why;
} reading;

static void reject(reading *in, const char *why)
{
    if (!in->why)
        in->why = why;
}

static void need(reading *in, enum sonde__subject subject, sonde_str key, sonde_str pattern)
{
    sonde__rules *r = in->rules;
    sonde__condition *c;
    uint32_t i;

    for (i = 0; i < r->conditions_len; i++) {
        c = &r->condition[i];
        if (c->subject == subject && sonde_str_eq(c->key, key) && sonde_str_eq(c->pattern, pattern))
            break;
    }
    if (i == SONDE__CONDITIONS_MAX) {
        reject(in, "too many different patterns");
        return;
    }
    if (i == r->conditions_len) {
        c = &r->condition[r->conditions_len++];
        *c = (sonde__condition){ subject, key, pattern };
        if (subject == SONDE__RULE_TAG)
            r->keys |= key_bit(key);
    }
    set_bit(&in->rule->needs, i, true);
}

static sonde_str keep_text(reading *in)
{
    sonde_str copy = sonde_arena_copy(&in->rules->texts, in->json.text);

    if (!copy.ptr)
        reject(in, "no memory for its texts");
    return copy;
}

/* A pattern; false: null or something else, which was passed over. */
static bool read_pattern(reading *in, sonde_json_event e, sonde_str *out)
{
    if (e == SONDE_JSON_STRING) {
        *out = keep_text(in);
        return out->ptr != NULL;
    }
    if (e != SONDE_JSON_NULL)
        reject(in, "a pattern is not a string");
    (void)sonde_json_skip(&in->json, e);
    return false;
}

static void read_field(reading *in, sonde_json_event e, enum sonde__subject subject)
{
    sonde_str pattern;

    if (read_pattern(in, e, &pattern) && !sonde_glob_is_any(pattern))
        need(in, subject, (sonde_str){ NULL, 0 }, pattern);
}

/* {"key":"pattern",...} */
static void read_tags_object(reading *in)
{
    sonde_json_event e;

    while ((e = sonde_json_next(&in->json)) == SONDE_JSON_KEY) {
        sonde_str key = keep_text(in);
        sonde_str pattern;

        if (read_pattern(in, sonde_json_next(&in->json), &pattern))
            need(in, SONDE__RULE_TAG, key, pattern);
    }
}

/* {"key":"k","value_glob":"pattern"}, as remote configuration has them */
static void read_tag_pair(reading *in)
{
    sonde_str key = { NULL, 0 };
    sonde_str pattern = SONDE_STR("*");

    while (sonde_json_next(&in->json) == SONDE_JSON_KEY) {
        bool is_key = sonde_str_eq(in->json.text, SONDE_STR("key"));
        bool is_pattern = sonde_str_eq(in->json.text, SONDE_STR("value_glob"));
        sonde_json_event e = sonde_json_next(&in->json);

        if (is_key || is_pattern)
            (void)read_pattern(in, e, is_key ? &key : &pattern);
        else
            (void)sonde_json_skip(&in->json, e);
    }
    if (!key.ptr)
        reject(in, "a tag has no key");
    else
        need(in, SONDE__RULE_TAG, key, pattern);
}

static void read_tags_array(reading *in)
{
    sonde_json_event e;

    while ((e = sonde_json_next(&in->json)) != SONDE_JSON_ARRAY_END && e != SONDE_JSON_ERROR) {
        if (e == SONDE_JSON_OBJECT) {
            read_tag_pair(in);
            continue;
        }
        reject(in, "a tag is not an object");
        (void)sonde_json_skip(&in->json, e);
    }
}

static void read_tags(reading *in, sonde_json_event e)
{
    if (e == SONDE_JSON_OBJECT) {
        read_tags_object(in);
        return;
    }
    if (e == SONDE_JSON_ARRAY) {
        read_tags_array(in);
        return;
    }
    if (e != SONDE_JSON_NULL)
        reject(in, "tags is not an object");
    (void)sonde_json_skip(&in->json, e);
}

static void read_rate(reading *in, sonde_json_event e)
{
    if (e == SONDE_JSON_NUMBER && in->json.number >= 0 && in->json.number <= 1)
        in->rule->rate = in->json.number;
    else if (e != SONDE_JSON_NULL)
        reject(in, "sample_rate is not a number from 0 to 1");
    (void)sonde_json_skip(&in->json, e);
}

static void read_limit(reading *in, sonde_json_event e)
{
    if (e == SONDE_JSON_NUMBER && in->json.number >= 0)
        in->rule->max_per_second = in->json.number;
    else if (e != SONDE_JSON_NULL)
        reject(in, "max_per_second is not a number from 0 up");
    (void)sonde_json_skip(&in->json, e);
}

static void read_provenance(reading *in, sonde_json_event e)
{
    bool text = e == SONDE_JSON_STRING;

    if (text && sonde_str_eq(in->json.text, SONDE_STR("customer")))
        in->rule->mechanism = SONDE__BY_REMOTE_USER_RULE;
    else if (text && sonde_str_eq(in->json.text, SONDE_STR("dynamic")))
        in->rule->mechanism = SONDE__BY_REMOTE_DYNAMIC_RULE;
    else if (e != SONDE_JSON_NULL && !(text && sonde_str_eq(in->json.text, SONDE_STR("local"))))
        reject(in, "provenance is not local, customer or dynamic");
    (void)sonde_json_skip(&in->json, e);
}

static void read_service(reading *in, sonde_json_event e)
{
    read_field(in, e, SONDE__RULE_SERVICE);
}

static void read_name(reading *in, sonde_json_event e)
{
    read_field(in, e, SONDE__RULE_NAME);
}

static void read_resource(reading *in, sonde_json_event e)
{
    read_field(in, e, SONDE__RULE_RESOURCE);
}

static void read_unknown(reading *in, sonde_json_event e)
{
    (void)sonde_json_skip(&in->json, e);
}

typedef void (*field_reader)(reading *in, sonde_json_event e);

static field_reader reader_of(sonde_str key)
{
    static const struct {
        const char *key;
        field_reader read;
    } fields[] = {
        { "service", read_service },       { "name", read_name },
        { "resource", read_resource },     { "tags", read_tags },
        { "sample_rate", read_rate },      { "max_per_second", read_limit },
        { "provenance", read_provenance },
    };
    size_t i;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (sonde_str_eq(key, sonde_str_from(fields[i].key)))
            return fields[i].read;
    return read_unknown;
}

/* One element of the array, whose first event was `e`. */
static void read_rule(reading *in, sonde_json_event e)
{
    if (e != SONDE_JSON_OBJECT) {
        reject(in, "not an object");
        (void)sonde_json_skip(&in->json, e);
        return;
    }
    while (sonde_json_next(&in->json) == SONDE_JSON_KEY) {
        field_reader read = reader_of(in->json.text);

        read(in, sonde_json_next(&in->json));
    }
}

static void complain(const char *from, uint32_t nth, size_t at, const char *why)
{
    SONDE_LOG_ALWAYS(SONDE_LOG_ERROR,
                     "sampling rule not used: from=%s rule=%u byte=%zu reason=\"%s\"", from,
                     (unsigned)nth, at, why);
}

/* The next element becomes a rule, unless something is wrong with it. */
static void add_rule(reading *in, const char *from, uint32_t nth, sonde_json_event e)
{
    size_t at = (size_t)(in->json.at - in->json.start);
    sonde__rules *r = in->rules;
    sonde__rule spare;
    uint32_t conditions = r->conditions_len;

    in->why = NULL;
    in->rule = r->len < SONDE__RULES_MAX ? &r->rule[r->len] : &spare;
    in->rule->needs = (sonde__bits){ { 0 } };
    in->rule->rate = 1;
    in->rule->mechanism = SONDE__BY_RULE;
    in->rule->max_per_second = -1;
    if (in->rule == &spare)
        reject(in, "too many rules");
    read_rule(in, e);
    if (in->json.status != SONDE_OK)
        return;
    if (in->why) {
        r->conditions_len = conditions;
        complain(from, nth, at, in->why);
        return;
    }
    sonde_limiter_init(&in->rule->limiter,
                       in->rule->max_per_second < 0 ? (double)INFINITY : in->rule->max_per_second);
    r->len++;
}

static sonde_status add_all(reading *in, const char *from)
{
    sonde_json_event e = sonde_json_next(&in->json);
    uint32_t nth = 1;

    if (e != SONDE_JSON_ARRAY && e != SONDE_JSON_ERROR) {
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR,
                         "sampling rules not used: from=%s reason=\"not an array\"", from);
        return SONDE_ERR_SYNTAX;
    }
    while ((e = sonde_json_next(&in->json)) != SONDE_JSON_ARRAY_END && e != SONDE_JSON_ERROR)
        add_rule(in, from, nth++, e);
    (void)sonde_json_next(&in->json); /* the end, or what stands behind it */
    if (in->json.status != SONDE_OK)
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "sampling rules not used: from=%s byte=%zu reason=\"%s\"",
                         from, in->json.error_at, in->json.error);
    return in->json.status;
}

sonde_status sonde__rules_add(sonde__rules *r, const char *from, sonde_str json)
{
    reading in = { .rules = r };
    uint32_t len = r->len;
    uint32_t conditions_len = r->conditions_len;
    sonde_status status;

    if (json.len > SONDE__RULES_MAX_BYTES) {
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR,
                         "sampling rules not used: from=%s reason=\"above %d bytes\"", from,
                         SONDE__RULES_MAX_BYTES);
        return SONDE_ERR_TOO_BIG;
    }
    sonde_json_reader_init(&in.json, json, SONDE__RULES_MAX_BYTES);
    status = add_all(&in, from);
    sonde_json_reader_done(&in.json);
    if (status == SONDE_OK)
        return SONDE_OK;
    r->len = len;
    r->conditions_len = conditions_len;
    return status == SONDE_ERR_EOF ? SONDE_ERR_SYNTAX : status;
}

/* At most one byte more than a list may have; NULL: `errno` says why not. */
static char *read_file(const char *path, size_t *out_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *text = fd < 0 ? NULL : (char *)sonde_malloc(SONDE__RULES_MAX_BYTES + 1);
    size_t len = 0;
    ssize_t n = text ? 1 : -1;

    while (n > 0 && len <= SONDE__RULES_MAX_BYTES) {
        n = read(fd, text + len, SONDE__RULES_MAX_BYTES + 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        (void)close(fd);
    *out_len = len;
    if (n >= 0)
        return text;
    sonde_free(text);
    return NULL;
}

static void add_file(sonde__rules *r, const char *from, sonde_str path)
{
    size_t len;
    char *text = read_file(path.ptr, &len);

    if (text)
        (void)sonde__rules_add(r, from, (sonde_str){ text, len });
    else
        SONDE_LOG_ALWAYS(SONDE_LOG_ERROR, "sampling rules not used: from=%s path=%s errno=%d", from,
                         SONDE_LOG_QUOTE(path), errno);
    sonde_free(text);
}

void sonde__rules_add_configured(sonde__rules *r, const char *from, sonde_str inline_json,
                                 const char *from_file, sonde_str path)
{
    if (inline_json.len > 0 && path.len > 0)
        SONDE_LOG_ALWAYS(SONDE_LOG_WARN, "variable not used: %s reason=\"%s is set\"", from_file,
                         from);
    if (inline_json.len > 0)
        (void)sonde__rules_add(r, from, inline_json);
    else if (path.len > 0)
        add_file(r, from_file, path);
}

void sonde__rules_add_rate(sonde__rules *r, double rate, unsigned mechanism)
{
    sonde__rule *rule;

    if (r->len == SONDE__RULES_MAX) /* one that matches everything has to be the last */
        r->len--;
    rule = &r->rule[r->len++];
    rule->needs = (sonde__bits){ { 0 } };
    rule->rate = rate;
    rule->mechanism = mechanism;
    rule->max_per_second = -1;
    sonde_limiter_init(&rule->limiter, (double)INFINITY);
}

/* -- matching ------------------------------------------------------------------------------------- */

void sonde__rules_know_tag(sonde__rules *r, sonde_str key, sonde_str value)
{
    sonde__rules_note(r, SONDE__RULE_TAG, key, value, &r->always);
}

bool sonde__rules_ask_for(const sonde__rules *r, sonde_str key)
{
    return (r->keys & key_bit(key)) != 0;
}

void sonde__rules_note(const sonde__rules *r, enum sonde__subject subject, sonde_str key,
                       sonde_str text, sonde__bits *known)
{
    uint32_t i;

    if (subject == SONDE__RULE_TAG && !sonde__rules_ask_for(r, key))
        return;
    for (i = 0; i < r->conditions_len; i++) {
        const sonde__condition *c = &r->condition[i];

        if (c->subject == subject && sonde_str_eq(c->key, key))
            set_bit(known, i, sonde_glob_match(c->pattern, text));
    }
}

static bool is_whole(double value)
{
    return value < INT_EXACT && value > -INT_EXACT && value == (double)(int64_t)value;
}

void sonde__rules_note_number(const sonde__rules *r, sonde_str key, double value,
                              sonde__bits *known)
{
    char digits[SONDE_I64_MAX_LEN];
    uint32_t i;

    if (!sonde__rules_ask_for(r, key))
        return;
    if (is_whole(value)) {
        sonde_str text = { digits, sonde_format_i64((int64_t)value, digits) };

        sonde__rules_note(r, SONDE__RULE_TAG, key, text, known);
        return;
    }
    for (i = 0; i < r->conditions_len; i++) {
        const sonde__condition *c = &r->condition[i];

        if (c->subject == SONDE__RULE_TAG && sonde_str_eq(c->key, key))
            set_bit(known, i, sonde_glob_is_any(c->pattern));
    }
}

void sonde__rules_note_gone(const sonde__rules *r, sonde_str key, sonde__bits *known)
{
    uint32_t i;

    for (i = 0; i < r->conditions_len; i++) {
        const sonde__condition *c = &r->condition[i];

        if (c->subject == SONDE__RULE_TAG && sonde_str_eq(c->key, key))
            set_bit(known, i, false);
    }
}

sonde__rule *sonde__rules_first(sonde__rules *r, const sonde__bits *known)
{
    uint32_t i;

    for (i = 0; i < r->len; i++) {
        const sonde__bits *needs = &r->rule[i].needs;

        if (((needs->word[0] & ~known->word[0]) | (needs->word[1] & ~known->word[1])) == 0)
            return &r->rule[i];
    }
    return NULL;
}
