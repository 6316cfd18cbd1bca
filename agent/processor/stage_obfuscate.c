/* stage_obfuscate.c - values out of resources and tags, by the type of the span.
 *
 * A text that does not change stays the view it was; one that does is written once into the run's scratch
 * and from there into the payload's arena.
 *
 * Source   docs/spec/obfuscation.md. */
#include "stages.h"

#include <string.h>

#include "agent/obfuscate/obfuscators.h"
#include "base/format.h"
#include "codec/obfuscate.h"

/* What stands in the scratch takes the place of `text`. */
static sonde_status take_scratch(run *r, sonde_str *text)
{
    sonde_str result = sonde_buf_str(&r->scratch);
    char *copy;

    if (r->scratch.status != SONDE_OK)
        return r->scratch.status;
    if (sonde_str_eq(result, *text))
        return SONDE_OK;
    copy = sonde_arena_alloc_aligned(&r->p->arena, result.len + 1, 1);
    if (!copy)
        return SONDE_ERR_NOMEM;
    memcpy(copy, result.len ? result.ptr : "", result.len);
    *text = (sonde_str){ copy, result.len };
    return SONDE_OK;
}

/* -- by type --------------------------------------------------------------------------------------- */

static sonde_status put_tables(run *r, payload_span *s)
{
    sonde_str names;

    if (r->tables.len == 0)
        return SONDE_OK;
    names = sonde_arena_copy(&r->p->arena, sonde_buf_str(&r->tables));
    if (!names.ptr)
        return SONDE_ERR_NOMEM;
    return span_meta_set(s, &r->p->arena, SONDE_STR("sql.tables"), names);
}

sonde_sql_options sql_options(run *r, sonde_str db_type)
{
    sonde_sql_dialect dialect =
        r->sql.by_db_type ? sonde_sql_dialect_of(db_type) : SONDE_SQL_NO_DIALECT;

    return (sonde_sql_options){ .flags = r->sql.flags,
                                .literal_escapes = &r->literal_escapes[dialect],
                                .dialect = dialect,
                                .mode = r->sql.mode };
}

void sql_recall(run *r, processor_sql_memory *from)
{
    size_t i;

    for (i = 0; i < SONDE_SQL_DIALECTS; i++)
        r->literal_escapes[i] =
            atomic_load_explicit(&from->literal_escapes[i], memory_order_relaxed);
}

void sql_remember(const run *r, processor_sql_memory *to)
{
    size_t i;

    for (i = 0; i < SONDE_SQL_DIALECTS; i++)
        if (r->literal_escapes[i] !=
            atomic_load_explicit(&to->literal_escapes[i], memory_order_relaxed))
            atomic_store_explicit(&to->literal_escapes[i], r->literal_escapes[i],
                                  memory_order_relaxed);
}

/* OpenTelemetry's names for what was asked of a database, old and new. */
#define STATEMENT_TAGS 2u

static sonde_str statement_tag(size_t i)
{
    return i == 0 ? SONDE_STR("db.statement") : SONDE_STR("db.query.text");
}

static sonde_status hide_sql_statements(run *r, payload_span *s, sonde_sql_options options)
{
    sonde_status status = SONDE_OK;
    sonde_str *text;
    size_t i;

    options.tables = NULL; /* the resource's are told */
    for (i = 0; i < STATEMENT_TAGS && status != SONDE_ERR_NOMEM; i++) {
        text = span_meta_get(s, statement_tag(i));
        if (!text || text->len == 0)
            continue;
        status = sonde_obfuscate_sql_with(*text, &options, &r->scratch);
        if (status == SONDE_OK)
            status = take_scratch(r, text);
        else
            *text = SONDE_STR(SONDE_SQL_NOT_PARSABLE);
    }
    return status == SONDE_ERR_NOMEM ? status : SONDE_OK;
}

static sonde_status hide_sql(run *r, payload_span *s)
{
    const sonde_str *db_type = r->sql.by_db_type ? span_meta_get(s, SONDE_STR("db.type")) : NULL;
    sonde_sql_options options = sql_options(r, db_type ? *db_type : SONDE_STR(""));
    sonde_status status = hide_sql_statements(r, s, options);

    if (status != SONDE_OK || s->resource.len == 0)
        return status;
    if (r->features & PROCESSOR_TABLE_NAMES)
        options.tables = &r->tables;
    status = sonde_obfuscate_sql_with(s->resource, &options, &r->scratch);
    if (status == SONDE_ERR_NOMEM)
        return status;
    if (status != SONDE_OK)
        s->resource = SONDE_STR(SONDE_SQL_NOT_PARSABLE);
    else if (take_scratch(r, &s->resource) != SONDE_OK || put_tables(r, s) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    return span_meta_set(s, &r->p->arena, SONDE_STR("sql.query"), s->resource);
}

static sonde_status hide_redis_command(run *r, payload_span *s, sonde_str tag,
                                       const config_redis_obfuscation *o)
{
    sonde_str *command = span_meta_get(s, tag);
    sonde_status status;

    if (!command || !o->enabled)
        return SONDE_OK;
    status = o->remove_all_args ? obfuscate_redis_all_arguments(*command, &r->scratch)
                                : obfuscate_redis_arguments(*command, &r->scratch);
    return status == SONDE_OK ? take_scratch(r, command) : status;
}

static sonde_status hide_redis(run *r, payload_span *s, sonde_str tag,
                               const config_redis_obfuscation *o)
{
    sonde_status status = sonde_obfuscate_redis(s->resource, &r->scratch);
    size_t i;

    if (status == SONDE_OK)
        status = take_scratch(r, &s->resource);
    if (status == SONDE_OK)
        status = hide_redis_command(r, s, tag, o);
    for (i = 0; i < STATEMENT_TAGS && status == SONDE_OK; i++)
        status = hide_redis_command(r, s, statement_tag(i), o);
    return status;
}

static void hide_memcached(const run *r, payload_span *s)
{
    sonde_str *command = span_meta_get(s, SONDE_STR("memcached.command"));

    if (command && r->obfuscation->memcached_enabled)
        *command =
            r->obfuscation->memcached_keep_command ? obfuscate_memcached(*command) : SONDE_STR("");
}

static sonde_status hide_url(run *r, payload_span *s)
{
    const config_obfuscation *o = r->obfuscation;
    sonde_str *url = span_meta_get(s, SONDE_STR("http.url"));
    unsigned what = (o->http_remove_query_string ? OBFUSCATE_URL_QUERY : 0) |
                    (o->http_remove_path_digits ? OBFUSCATE_URL_PATH_DIGITS : 0);

    if (!url || !obfuscate_url(*url, what, &r->scratch))
        return SONDE_OK;
    return take_scratch(r, url);
}

static sonde_status hide_json(run *r, payload_span *s, sonde_str tag,
                              const config_json_obfuscation *o)
{
    const sonde_sql_options sql = sql_options(r, SONDE_STR(""));
    const obfuscate_json_options options = {
        .keep_values = { o->keep_values.items, o->keep_values.len },
        .sql_values = { o->sql_values.items, o->sql_values.len },
        .sql = &sql,
    };
    sonde_str *text = o->enabled ? span_meta_get(s, tag) : NULL;

    if (!text || text->len == 0)
        return SONDE_OK;
    if (obfuscate_json(*text, &options, &r->scratch) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    return take_scratch(r, text);
}

/* A document store's query, under its own name and OpenTelemetry's. */
static sonde_status hide_document(run *r, payload_span *s, sonde_str tag,
                                  const config_json_obfuscation *o)
{
    sonde_status status = hide_json(r, s, tag, o);
    size_t i;

    for (i = 0; i < STATEMENT_TAGS && status == SONDE_OK; i++)
        status = hide_json(r, s, statement_tag(i), o);
    return status;
}

static sonde_status hide_search(run *r, payload_span *s)
{
    const config_obfuscation *o = r->obfuscation;

    if (hide_document(r, s, SONDE_STR("elasticsearch.body"), &o->elasticsearch) != SONDE_OK)
        return SONDE_ERR_NOMEM;
    return hide_json(r, s, SONDE_STR("opensearch.body"), &o->opensearch);
}

static sonde_status hide_by_type(run *r, payload_span *s)
{
    const config_obfuscation *o = r->obfuscation;
    const sonde_str type = s->type;

    if (type.len < 3)
        return SONDE_OK;
    if (sonde_str_eq(type, SONDE_STR("web")) || sonde_str_eq(type, SONDE_STR("http")))
        return hide_url(r, s);
    if (sonde_str_eq(type, SONDE_STR("sql")) || sonde_str_eq(type, SONDE_STR("cassandra")))
        return hide_sql(r, s);
    if (sonde_str_eq(type, SONDE_STR("redis")))
        return hide_redis(r, s, SONDE_STR("redis.raw_command"), &o->redis);
    if (sonde_str_eq(type, SONDE_STR("valkey")))
        return hide_redis(r, s, SONDE_STR("valkey.raw_command"), &o->valkey);
    if (sonde_str_eq(type, SONDE_STR("memcached")))
        hide_memcached(r, s);
    else if (sonde_str_eq(type, SONDE_STR("mongodb")))
        return hide_document(r, s, SONDE_STR("mongodb.query"), &o->mongodb);
    else if (sonde_str_eq(type, SONDE_STR("elasticsearch")) ||
             sonde_str_eq(type, SONDE_STR("opensearch")))
        return hide_search(r, s);
    return SONDE_OK;
}

/* -- credit cards ---------------------------------------------------------------------------------- */

static bool is_kept(const run *r, sonde_str key)
{
    const config_list *keep = &r->obfuscation->cards_keep_values;
    size_t i;

    for (i = 0; i < keep->len; i++)
        if (sonde_str_eq(keep->items[i], key))
            return true;
    return obfuscate_is_card_exempt(key);
}

static bool is_card(const run *r, sonde_str key, sonde_str value)
{
    return obfuscate_is_card(value, r->obfuscation->cards_luhn) && !is_kept(r, key);
}

static void hide_card_in_any(const run *r, sonde_str key, span_any *v)
{
    char number[SONDE_DOUBLE_MAX_LEN];
    sonde_str text = v->str;
    uint32_t i;

    if (v->type == SPAN_ANY_ARRAY) {
        for (i = 0; i < v->values_len; i++)
            if (v->values[i].type != SPAN_ANY_ARRAY)
                hide_card_in_any(r, key, &v->values[i]);
        return;
    }
    if (v->type == SPAN_ANY_BOOL)
        return;
    if (v->type == SPAN_ANY_INT)
        text = (sonde_str){ number, sonde_format_i64(v->integer, number) };
    else if (v->type == SPAN_ANY_DOUBLE)
        text = (sonde_str){ number, sonde_format_double(v->number, number) };
    if (is_card(r, key, text))
        *v = (span_any){ .type = SPAN_ANY_STRING, .str = SONDE_STR("?") };
}

static void hide_cards(const run *r, payload_span *s)
{
    uint32_t i, k;

    for (i = 0; i < s->meta_len; i++)
        if (is_card(r, s->meta[i].key, s->meta[i].value))
            s->meta[i].value = SONDE_STR("?");
    for (i = 0; i < s->events_len; i++)
        for (k = 0; k < s->events[i].attributes_len; k++)
            hide_card_in_any(r, s->events[i].attributes[k].key, &s->events[i].attributes[k].value);
}

processor_drop stage_obfuscate(run *r, payload_chunk *chunk)
{
    uint32_t i;

    for (i = 0; i < chunk->spans_len; i++) {
        if (r->obfuscation->cards_enabled)
            hide_cards(r, &chunk->spans[i]);
        if (hide_by_type(r, &chunk->spans[i]) != SONDE_OK)
            return PROCESSOR_DROP_NO_MEMORY;
    }
    return KEEP;
}
