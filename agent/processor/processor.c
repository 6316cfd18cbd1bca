/* processor.c - the order of the stages, and the counters.
 *
 * Threads   a run touches its payload and the stack; counters are added once per payload, relaxed.
 */
#include "processor.h"

#include <string.h>

#include "agent/payload/normalize.h"
#include "base/alloc.h"
#include "base/rng.h"
#include "first_trace.h"
#include "stages.h"

struct processor {
    const sonde_clock *clock; /* borrowed */
    uint64_t seed;
    agent_config *config; /* held; NULL */
    trace_rules *rules;   /* borrowed; NULL */
    const config_obfuscation *obfuscation;
    unsigned features;
    processor_sql sql;
    processor_sql_memory sql_memory;
    first_traces *first; /* NULL */
    processor_counters counters;
};

/* Of a processor without a configuration; config.keys has the same for all others. */
static const config_obfuscation default_obfuscation = {
    .elasticsearch.enabled = true,
    .opensearch.enabled = true,
    .mongodb.enabled = true,
    .redis.enabled = true,
    .valkey.enabled = true,
    .memcached_enabled = true,
    .cards_enabled = true,
};

/* In the order of docs/spec/normalization.md. */
/* clang-format off */
static const chunk_stage stages[] = {
    stage_normalize,
    stage_root,
    stage_chunk_attributes,
    stage_filter,
    stage_obfuscate,
    stage_truncate,
    stage_replace,
    stage_client_rate,
    stage_top_level,
    stage_payload_attributes,
};
/* clang-format on */

static unsigned features_of(const agent_config *c)
{
    static const struct {
        const char *name;
        unsigned feature;
    } known[] = {
        { "keep_sql_alias", SONDE_SQL_KEEP_ALIAS },
        { "quantize_sql_tables", SONDE_SQL_REPLACE_DIGITS },
        { "replace_sql_digits", SONDE_SQL_REPLACE_DIGITS },
        { "dollar_quoted_func", SONDE_SQL_DOLLAR_FUNC },
        { "table_names", PROCESSOR_TABLE_NAMES },
        { "big_resource", PROCESSOR_BIG_RESOURCE },
        { "component2name", PROCESSOR_COMPONENT_TO_NAME },
    };
    unsigned features = 0;

    for (size_t i = 0; i < c->features.len; i++)
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            if (sonde_str_eq(c->features.items[i], sonde_str_from(known[k].name)))
                features |= known[k].feature;
    return features;
}

sonde_status processor_open(const processor_options *options, processor **out_processor)
{
    processor *p = sonde_calloc(1, sizeof(*p));

    if (!p)
        return SONDE_ERR_NOMEM;
    p->clock = options->clock ? options->clock : &sonde_system_clock;
    p->seed = sonde_random_u64();
    p->config = options->config ? config_get(options->config) : NULL;
    p->rules = options->rules;
    p->features = p->config ? features_of(p->config) : 0;
    p->sql = processor_sql_of(p->config);
    p->obfuscation = p->config ? &p->config->obfuscation : &default_obfuscation;
    if (first_traces_open(p->config, p->seed, &p->first) != SONDE_OK) {
        processor_close(p);
        return SONDE_ERR_NOMEM;
    }
    *out_processor = p;
    return SONDE_OK;
}

processor_sql processor_sql_of(const agent_config *c)
{
    processor_sql sql = { .flags = 0 };

    if (!c)
        return sql;
    sql.flags = features_of(c) & PROCESSOR_SQL_FLAGS;
    if (c->sql_keep_prefix)
        sql.flags |= SONDE_SQL_PREFIX;
    sql.mode = sonde_sql_mode_of(c->sql_obfuscation_mode);
    if (sql.mode == SONDE_SQL_DEFAULT_MODE && config_has_feature(c, "sqllexer"))
        sql.mode = SONDE_SQL_OBFUSCATE_ONLY;
    sql.by_db_type = c->sql_dialects || sql.mode != SONDE_SQL_DEFAULT_MODE;
    return sql;
}

size_t processor_resource_max_bytes(const agent_config *c)
{
    return c && (features_of(c) & PROCESSOR_BIG_RESOURCE) ? BIG_RESOURCE_MAX_BYTES
                                                          : RESOURCE_MAX_BYTES;
}

void processor_close(processor *p)
{
    if (!p)
        return;
    first_traces_close(p->first);
    config_put(p->config);
    sonde_free(p);
}

static processor_drop run_stages(run *r, payload_chunk *chunk)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        processor_drop why = stages[i](r, chunk);

        if (why != KEEP)
            return why;
    }
    return KEEP;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    if (n)
        atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void begin_run(processor *p, run *r)
{
    const char *version = r->p->endpoint_version;

    r->is_v1 = version && strcmp(version, "v1.0") == 0;
    r->rules = p->rules ? rules_take(p->rules) : NULL;
    sonde_buf_init(&r->scratch, PROCESSOR_TEXT_MAX_BYTES);
    sonde_buf_init(&r->tables, PROCESSOR_TEXT_MAX_BYTES);
    sql_recall(r, &p->sql_memory);
}

static void end_run(processor *p, run *r)
{
    if (p->rules)
        rules_give(p->rules, r->rules);
    sql_remember(r, &p->sql_memory);
    sonde_buf_done(&r->scratch);
    sonde_buf_done(&r->tables);
}

static void tell_drop(payload_source *source, processor_drop why, uint32_t spans)
{
    static const source_count by_reason[] = {
        [PROCESSOR_DROP_EMPTY_TRACE] = SOURCE_DROP_EMPTY_TRACE,
        [PROCESSOR_DROP_TRACE_ID_ZERO] = SOURCE_DROP_TRACE_ID_ZERO,
        [PROCESSOR_DROP_SPAN_ID_ZERO] = SOURCE_DROP_SPAN_ID_ZERO,
        [PROCESSOR_DROP_FOREIGN_SPAN] = SOURCE_DROP_FOREIGN_SPAN,
        [PROCESSOR_DROP_FILTERED] = SOURCE_TRACES_FILTERED,
        [PROCESSOR_DROP_NO_MEMORY] = SOURCE_DROP_NO_MEMORY,
    };
    bool filtered = why == PROCESSOR_DROP_FILTERED;

    source_add(source, by_reason[why], 1);
    source_add(source, filtered ? SOURCE_SPANS_FILTERED : SOURCE_SPANS_DROPPED, spans);
}

void processor_run(processor *p, payload *what)
{
    processor_counters *c = &p->counters;
    run r = { .p = what,
              .now_unix_ns = p->clock->unix_ns(p->clock->user),
              .seed = p->seed,
              .features = p->features,
              .sql = p->sql,
              .obfuscation = p->obfuscation };
    uint64_t spans_received = 0, spans_out = 0;
    uint32_t kept = 0;

    begin_run(p, &r);
    if (normalize_tag_value(&what->arena, what->env, &what->env) != SONDE_OK)
        what->env = (sonde_str){ NULL, 0 }; /* the agent's env stands in */
    for (uint32_t i = 0; i < what->chunks_len; i++) {
        payload_chunk *chunk = &what->chunks[i];
        processor_drop why = run_stages(&r, chunk);

        spans_received += chunk->spans_len;
        if (why != KEEP) {
            add(&c->chunks_dropped[why], 1);
            add(&c->spans_dropped[why], chunk->spans_len);
            tell_drop(what->source, why, chunk->spans_len);
            continue;
        }
        spans_out += chunk->spans_len;
        what->chunks[kept++] = *chunk;
    }
    add(&c->payloads, 1);
    add(&c->chunks_received, what->chunks_len);
    add(&c->chunks_out, kept);
    add(&c->spans_received, spans_received);
    add(&c->spans_out, spans_out);
    for (int i = 0; i < PROCESSOR_FIXES; i++) {
        add(&c->fixed[i], r.fixed[i]);
        source_add(what->source, (source_count)(SOURCE_FIX_DUPLICATE_SPAN_ID + i), r.fixed[i]);
    }
    what->chunks_len = kept;
    end_run(p, &r);
}

void processor_mark_first(processor *p, payload *what)
{
    first_traces_mark(p->first, what);
}

const processor_counters *processor_read_counters(const processor *p)
{
    return &p->counters;
}

static uint64_t read_counter(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* What was filtered was asked for: it has rows of its own. */
static void put_drops(sonde_json_writer *w, const char *key, const _Atomic uint64_t *counters)
{
    static const char *const names[] = {
#define X(name, text) text,
        PROCESSOR_DROP_MAP(X)
#undef X
    };

    sonde_json_key(w, sonde_str_from(key));
    sonde_json_begin_object(w);
    for (int i = 0; i < PROCESSOR_DROPS; i++)
        if (i != PROCESSOR_DROP_FILTERED)
            sonde_json_put_u64(w, names[i], read_counter(&counters[i]));
    sonde_json_end_object(w);
}

void processor_write_json(void *processor_, sonde_json_writer *w)
{
    static const char *const fix_names[] = {
#define X(name, text) text,
        PROCESSOR_FIX_MAP(X)
#undef X
    };
    const processor_counters *c = &((const processor *)processor_)->counters;

    sonde_json_begin_object(w);
    sonde_json_put_u64(w, "payloads", read_counter(&c->payloads));
    sonde_json_put_u64(w, "chunks_received", read_counter(&c->chunks_received));
    sonde_json_put_u64(w, "chunks_out", read_counter(&c->chunks_out));
    sonde_json_put_u64(w, "spans_received", read_counter(&c->spans_received));
    sonde_json_put_u64(w, "spans_out", read_counter(&c->spans_out));
    sonde_json_put_u64(w, "traces_filtered",
                       read_counter(&c->chunks_dropped[PROCESSOR_DROP_FILTERED]));
    sonde_json_put_u64(w, "spans_filtered",
                       read_counter(&c->spans_dropped[PROCESSOR_DROP_FILTERED]));
    sonde_json_put_u64(w, "first_traces_unmarked",
                       first_traces_unmarked(((const processor *)processor_)->first));
    put_drops(w, "chunks_dropped", c->chunks_dropped);
    put_drops(w, "spans_dropped", c->spans_dropped);
    sonde_json_key(w, SONDE_STR("spans_malformed"));
    sonde_json_begin_object(w);
    for (int i = 0; i < PROCESSOR_FIXES; i++)
        sonde_json_put_u64(w, fix_names[i], read_counter(&c->fixed[i]));
    sonde_json_end_object(w);
    sonde_json_end_object(w);
}
