/* live.c - a copy of what is set from afar, as values and as texts; putting it in force.
 *
 * What a forked child inherits stays in force there until its own poll is answered, but for tracing that was
 * switched off. */
#include "live.h"

#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/mutex.h"

#include "header_tags.h"
#include "policy.h"
#include "settings.h"
#include "telemetry.h"
#include "tracer.h"

_Atomic bool sonde__live_logs_injection;
_Atomic uint32_t sonde__live_version;

static sonde_mutex mu = SONDE_MUTEX_INIT(SONDE_RANK_LIVE);

/* Written by the flusher with `mu` held, so it reads without. */
static sonde__remote_values now = SONDE__REMOTE_VALUES_NONE;
static sonde_str tags_text;
static sonde_arena texts; /* what the views above point into */
static unsigned changed;  /* not told yet; of the flusher's thread */

/* -- copies --------------------------------------------------------------------------------------- */

static bool copy_text(sonde_arena *to, sonde_str *text)
{
    if (text->ptr)
        *text = sonde_arena_copy(to, *text);
    return text->ptr != NULL;
}

static bool copy_tags(sonde_arena *to, sonde__remote_values *v)
{
    sonde__tag *copy = (sonde__tag *)sonde_arena_zalloc(to, v->tags_len + 1, sizeof(*copy));
    uint32_t i;

    for (i = 0; copy && i < v->tags_len; i++) {
        copy[i] = v->tags[i];
        if (!copy_text(to, &copy[i].key) || !copy_text(to, &copy[i].value))
            return false;
    }
    v->tags = copy;
    return copy != NULL;
}

static bool copy_values(sonde_arena *to, sonde__remote_values *v)
{
    return (!v->rules.ptr || copy_text(to, &v->rules)) &&
           (!v->header_tags.ptr || copy_text(to, &v->header_tags)) &&
           (!v->tags || copy_tags(to, v));
}

/* "k:v,k:v"; ptr NULL: no memory. */
static sonde_str join_tags(sonde_arena *to, const sonde__remote_values *v)
{
    size_t room = 1;
    size_t len = 0;
    char *text;
    uint32_t i;

    for (i = 0; i < v->tags_len; i++)
        room += v->tags[i].key.len + v->tags[i].value.len + 2;
    text = (char *)sonde_arena_alloc(to, room);
    for (i = 0; text && i < v->tags_len; i++) {
        const sonde__tag *t = &v->tags[i];

        if (i > 0)
            text[len++] = ',';
        memcpy(text + len, t->key.ptr, t->key.len);
        len += t->key.len;
        text[len++] = ':';
        memcpy(text + len, t->value.ptr, t->value.len);
        len += t->value.len;
    }
    return (sonde_str){ text, len };
}

/* -- differences ---------------------------------------------------------------------------------- */

static bool is_same_text(sonde_str a, sonde_str b)
{
    return (a.ptr != NULL) == (b.ptr != NULL) && sonde_str_eq(a, b);
}

static bool are_same_tags(const sonde__remote_values *a, const sonde__remote_values *b)
{
    uint32_t i;

    if ((a->tags != NULL) != (b->tags != NULL) || a->tags_len != b->tags_len)
        return false;
    for (i = 0; i < a->tags_len; i++)
        if (!sonde_str_eq(a->tags[i].key, b->tags[i].key) ||
            !sonde_str_eq(a->tags[i].value, b->tags[i].value))
            return false;
    return true;
}

#define DIFFERENT_SAMPLING (1u << 2 | 1u << 3 | 1u << 4)

/* Bits in the order of names[]. */
static unsigned differences(const sonde__remote_values *a, const sonde__remote_values *b)
{
    const bool differs[] = {
        a->tracing_enabled != b->tracing_enabled,
        a->log_injection != b->log_injection,
        a->sample_rate != b->sample_rate,
        !is_same_text(a->rules, b->rules),
        !are_same_tags(a, b),
        !is_same_text(a->header_tags, b->header_tags),
        a->log_level != b->log_level,
    };
    unsigned bits = 0;
    unsigned i;

    for (i = 0; i < sizeof(differs) / sizeof(differs[0]); i++)
        bits |= (unsigned)differs[i] << i;
    return bits;
}

/* -- putting in force ----------------------------------------------------------------------------- */

static void replace(const sonde__remote_values *v, sonde_str tags, sonde_arena *memory)
{
    sonde_arena was;

    sonde_mutex_lock(&mu);
    was = texts;
    now = *v;
    tags_text = tags;
    texts = *memory;
    sonde_mutex_unlock(&mu);
    sonde__header_tags_set(v->header_tags);
    atomic_fetch_add_explicit(&sonde__live_version, 1, memory_order_release);
    sonde_arena_done(&was);
}

static void put_in_force(const sonde__config *c, const sonde__remote_values *v)
{
    atomic_store_explicit(&sonde__live_logs_injection,
                          v->log_injection >= 0 ? v->log_injection != 0 : c->logs_injection,
                          memory_order_relaxed);
    sonde_log_set_level(v->log_level != SONDE__REMOTE_LEVEL_NONE ? (sonde_log_level)v->log_level
                        : c->debug                               ? SONDE_LOG_DEBUG
                                                                 : c->log_level);
    sonde__tracing_switch(v->tracing_enabled != 0);
}

void sonde__live_open(const sonde__config *c)
{
    static const sonde__remote_values none = SONDE__REMOTE_VALUES_NONE;
    sonde_arena empty;

    sonde_arena_init(&empty, SONDE__LIVE_TEXTS_MAX_BYTES);
    replace(&none, (sonde_str){ NULL, 0 }, &empty);
    changed = 0;
    atomic_store_explicit(&sonde__live_logs_injection, c->logs_injection, memory_order_relaxed);
}

/* The rules last: they alone can fail, and they know the tags. */
static sonde_status try_sampling(const sonde__config *c, const sonde__remote_values *v)
{
    if (!(differences(&now, v) & DIFFERENT_SAMPLING))
        return SONDE_OK;
    return sonde__policy_set_remote(c, v->rules, v->sample_rate, v->tags, v->tags_len);
}

sonde_status sonde__live_apply(const sonde__config *c, const sonde__remote_values *values)
{
    sonde__remote_values v = *values;
    sonde_str tags = { NULL, 0 };
    sonde_arena memory;
    sonde_status status;
    unsigned different;

    if (!c->enabled)
        v.tracing_enabled = -1; /* not to be switched on from afar, and off it is */
    different = differences(&now, &v);
    if (!different)
        return SONDE_OK;
    sonde_arena_init(&memory, SONDE__LIVE_TEXTS_MAX_BYTES);
    status = copy_values(&memory, &v) ? SONDE_OK : SONDE_ERR_NOMEM;
    if (status == SONDE_OK && v.tags) {
        tags = join_tags(&memory, &v);
        status = tags.ptr ? SONDE_OK : SONDE_ERR_NOMEM;
    }
    if (status == SONDE_OK)
        status = try_sampling(c, &v);
    if (status != SONDE_OK) {
        sonde_arena_done(&memory);
        return status;
    }
    replace(&v, tags, &memory);
    put_in_force(c, &v);
    changed |= different;
    return SONDE_OK;
}

/* -- reading -------------------------------------------------------------------------------------- */

const sonde__tag *sonde__live_tags(const sonde__config *c, uint32_t *out_len)
{
    *out_len = now.tags ? now.tags_len : c->tags_len;
    return now.tags ? now.tags : c->tags;
}

/* -- showing -------------------------------------------------------------------------------------- */

/* In the order of text_of(). */
static const char *const names[] = {
    "DD_TRACE_ENABLED", "DD_LOGS_INJECTION",    "DD_TRACE_SAMPLE_RATE", "DD_TRACE_SAMPLING_RULES",
    "DD_TAGS",          "DD_TRACE_HEADER_TAGS", "DD_TRACE_LOG_LEVEL",
};

#define NAMES_LEN (sizeof(names) / sizeof(names[0]))

static sonde_str flag_text(int flag)
{
    return flag < 0 ? (sonde_str){ NULL, 0 } : flag ? SONDE_STR("true") : SONDE_STR("false");
}

static sonde_str rate_text(double rate, char room[SONDE_DOUBLE_MAX_LEN])
{
    return rate < 0 ? (sonde_str){ NULL, 0 } : (sonde_str){ room, sonde_format_double(rate, room) };
}

static sonde_str level_text(int level)
{
    return level == SONDE__REMOTE_LEVEL_NONE
               ? (sonde_str){ NULL, 0 }
               : sonde_str_from(sonde_log_level_name((sonde_log_level)level));
}

/* What is set from afar under names[which]; ptr NULL: nothing.  The flusher's thread, or with `mu` held. */
static sonde_str text_of(size_t which, char room[SONDE_DOUBLE_MAX_LEN])
{
    const sonde_str texts_of[NAMES_LEN] = {
        flag_text(now.tracing_enabled),
        flag_text(now.log_injection),
        rate_text(now.sample_rate, room),
        now.rules,
        tags_text,
        now.header_tags,
        level_text(now.log_level),
    };

    return texts_of[which];
}

sonde_str sonde__live_text(const char *name, char room[SONDE_DOUBLE_MAX_LEN])
{
    size_t i;

    for (i = 0; i < NAMES_LEN; i++)
        if (strcmp(names[i], name) == 0)
            return text_of(i, room);
    return (sonde_str){ NULL, 0 };
}

bool sonde__live_setting(const char *name, char to[SONDE_SETTING_ROOM], uint32_t *out_bytes)
{
    char room[SONDE_DOUBLE_MAX_LEN];
    sonde_str text;
    size_t len;

    sonde_mutex_lock(&mu);
    text = sonde__live_text(name, room);
    if (text.ptr) {
        len = sonde_utf8_cut(text, SONDE_SETTING_ROOM - 1);
        memcpy(to, text.ptr, len);
        to[len] = '\0';
        *out_bytes = (uint32_t)text.len;
    }
    sonde_mutex_unlock(&mu);
    return text.ptr != NULL;
}

/* -- telling -------------------------------------------------------------------------------------- */

static void tell(const sonde__config *c, size_t which)
{
    char room[SONDE_DOUBLE_MAX_LEN];
    sonde__telemetry_entry e = { .value = text_of(which, room),
                                 .origin = sonde__origin_name(SONDE__ORIGIN_REMOTE) };

    while (e.row < sonde__rows_len && strcmp(sonde__rows[e.row].names[0], names[which]) != 0)
        e.row++;
    if (e.row == sonde__rows_len)
        return;
    if (!e.value.ptr) {
        e.value = c->settings[e.row].value;
        e.origin = sonde__origin_name(c->settings[e.row].origin);
    }
    sonde__telemetry_changed(&e);
}

void sonde__live_tell(const sonde__config *c)
{
    size_t i;

    for (i = 0; i < NAMES_LEN; i++)
        if (changed == 0 || (changed & 1u << i))
            tell(c, i);
    changed = 0;
}

/* -- fork ----------------------------------------------------------------------------------------- */

SONDE_NO_TSA void sonde__live_prefork(void)
{
    sonde_mutex_lock(&mu);
}

SONDE_NO_TSA void sonde__live_postfork_parent(void)
{
    sonde_mutex_unlock(&mu);
}

/* It traces until its own poll says otherwise: its thread, which asks, starts with its first trace. */
SONDE_NO_TSA void sonde__live_postfork_child(void)
{
    now.tracing_enabled = -1;
    sonde_mutex_unlock(&mu);
}
