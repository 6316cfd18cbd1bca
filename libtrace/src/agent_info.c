/* agent_info.c - /info as a table of fields; what is not in the table is skipped. */
#include "agent_info.h"

#include <stddef.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/parse.h"
#include "codec/json_read.h"

#include "trace_filter.h"

#include "org_marker.h"
#include "statsd_socket.h"
#include "tracer.h"

typedef enum field_kind {
    FIELD_TEXT,
    FIELD_FLAG,
    FIELD_NUMBER,
    FIELD_TEXTS,
    FIELD_OBJECT
} field_kind;

typedef struct field {
    const char *name; /* NULL ends a table */
    field_kind kind;
    size_t at;
    const struct field *members;
} field;

#define AT(member) offsetof(sonde__agent_info, member)

static const field filter_fields[] = {
    { "require", FIELD_TEXTS, AT(require), NULL },
    { "reject", FIELD_TEXTS, AT(reject), NULL },
    { NULL, FIELD_TEXT, 0, NULL },
};

static const field regex_filter_fields[] = {
    { "require", FIELD_TEXTS, AT(require_regex), NULL },
    { "reject", FIELD_TEXTS, AT(reject_regex), NULL },
    { NULL, FIELD_TEXT, 0, NULL },
};

static const field sonde_fields[] = {
    { "crash_socket", FIELD_TEXT, AT(crash_socket), NULL },
    { NULL, FIELD_TEXT, 0, NULL },
};

static const field config_fields[] = {
    { "statsd_port", FIELD_NUMBER, AT(statsd_port), NULL },
    { NULL, FIELD_TEXT, 0, NULL },
};

static const field fields[] = {
    { "version", FIELD_TEXT, AT(version), NULL },
    { "endpoints", FIELD_TEXTS, AT(endpoints), NULL },
    { "client_drop_p0s", FIELD_FLAG, AT(client_drop_p0s), NULL },
    { "span_meta_structs", FIELD_FLAG, AT(span_meta_structs), NULL },
    { "span_events", FIELD_FLAG, AT(span_events), NULL },
    { "obfuscation_version", FIELD_NUMBER, AT(obfuscation_version), NULL },
    { "peer_tags", FIELD_TEXTS, AT(peer_tags), NULL },
    { "span_kinds_stats_computed", FIELD_TEXTS, AT(span_kinds), NULL },
    { "sonde", FIELD_OBJECT, 0, sonde_fields },
    { "config", FIELD_OBJECT, 0, config_fields },
    { "filter_tags", FIELD_OBJECT, 0, filter_fields },
    { "filter_tags_regex", FIELD_OBJECT, 0, regex_filter_fields },
    { "ignore_resources", FIELD_TEXTS, AT(ignore_resources), NULL },
    { "org_prop_marker", FIELD_TEXT, AT(org_marker), NULL },
    { NULL, FIELD_TEXT, 0, NULL },
};

typedef struct parser {
    sonde_json_reader json;
    sonde__agent_info *info;
    sonde_status status; /* of keeping texts */
} parser;

static sonde_str keep(parser *p, sonde_str text)
{
    sonde_str copy = sonde_arena_copy(&p->info->texts, text);

    if (!copy.ptr)
        p->status = SONDE_ERR_NOMEM;
    return copy;
}

static bool keep_list(parser *p, const sonde_str *items, uint32_t len, sonde__texts *out)
{
    sonde_str *kept =
        (sonde_str *)sonde_arena_zalloc(&p->info->texts, len ? len : 1, sizeof(*kept));

    if (!kept) {
        p->status = SONDE_ERR_NOMEM;
        return false;
    }
    memcpy(kept, items, len * sizeof(*kept));
    *out = (sonde__texts){ kept, len };
    return true;
}

/* The strings of an array; entries of other types are left out. */
static bool read_texts(parser *p, sonde__texts *out)
{
    sonde_str items[SONDE__AGENT_LIST_MAX];
    uint32_t len = 0;
    sonde_json_event e;

    while ((e = sonde_json_next(&p->json)) != SONDE_JSON_ARRAY_END) {
        if (e == SONDE_JSON_STRING && len < SONDE__AGENT_LIST_MAX)
            items[len++] = keep(p, p->json.text);
        else if (e == SONDE_JSON_STRING)
            p->info->cut = true;
        else if (!sonde_json_skip(&p->json, e))
            return false;
        if (p->status != SONDE_OK)
            return false;
    }
    return keep_list(p, items, len, out);
}

static bool read_members(parser *p, const field *table);

static bool read_value(parser *p, const field *f, sonde_json_event e)
{
    void *to = (char *)p->info + f->at;

    if (f->kind == FIELD_OBJECT && e == SONDE_JSON_OBJECT)
        return read_members(p, f->members);
    if (f->kind == FIELD_TEXTS && e == SONDE_JSON_ARRAY)
        return read_texts(p, (sonde__texts *)to);
    if (f->kind == FIELD_TEXTS && e == SONDE_JSON_NULL)
        *(sonde__texts *)to = (sonde__texts){ NULL, 0 };
    else if (f->kind == FIELD_FLAG && e == SONDE_JSON_TRUE)
        *(bool *)to = true;
    else if (f->kind == FIELD_TEXT && e == SONDE_JSON_STRING)
        *(sonde_str *)to = keep(p, p->json.text);
    else if (f->kind == FIELD_NUMBER && e == SONDE_JSON_NUMBER && p->json.number >= 0 &&
             p->json.number <= UINT32_MAX)
        *(uint32_t *)to = (uint32_t)p->json.number;
    return p->status == SONDE_OK && sonde_json_skip(&p->json, e);
}

static const field *find_field(const field *table, sonde_str name)
{
    for (; table->name; table++)
        if (sonde_str_eq(name, sonde_str_from(table->name)))
            return table;
    return NULL;
}

/* Behind the opening brace. */
static bool read_members(parser *p, const field *table)
{
    sonde_json_event e;

    while ((e = sonde_json_next(&p->json)) == SONDE_JSON_KEY) {
        const field *f = find_field(table, p->json.text);

        e = sonde_json_next(&p->json);
        if (f ? !read_value(p, f, e) : !sonde_json_skip(&p->json, e))
            return false;
    }
    return e == SONDE_JSON_OBJECT_END;
}

sonde_status sonde__agent_info_parse(sonde_str json, sonde__agent_info *out)
{
    static const sonde_str kinds[] = {
        { "server", 6 }, { "client", 6 }, { "producer", 8 }, { "consumer", 8 }
    };
    parser p = { .info = out, .status = SONDE_OK };
    bool ok;

    memset(out, 0, sizeof(*out));
    sonde_arena_init(&out->texts, SONDE__AGENT_INFO_MAX_BYTES);
    out->span_kinds = (sonde__texts){ kinds, sizeof(kinds) / sizeof(kinds[0]) };
    sonde_json_reader_init(&p.json, json, json.len);
    ok = sonde_json_next(&p.json) == SONDE_JSON_OBJECT && read_members(&p, fields) &&
         sonde_json_next(&p.json) == SONDE_JSON_END;
    if (!ok && p.status == SONDE_OK)
        p.status = p.json.status == SONDE_ERR_NOMEM ? SONDE_ERR_NOMEM : SONDE_ERR_SYNTAX;
    sonde_json_reader_done(&p.json);
    if (p.status != SONDE_OK)
        sonde__agent_info_done(out);
    return p.status;
}

void sonde__agent_info_done(sonde__agent_info *info)
{
    sonde_arena_done(&info->texts);
    memset(info, 0, sizeof(*info));
}

bool sonde__agent_serves(const sonde__agent_info *info, sonde_str endpoint)
{
    uint32_t i;

    for (i = 0; i < info->endpoints.len; i++)
        if (sonde_str_eq(info->endpoints.item[i], endpoint))
            return true;
    return false;
}

/* -- the present one ------------------------------------------------------------------------------ */

static struct {
    sonde__agent_info info;
    sonde__trace_filter *filter; /* views of `info` */
    bool filter_failed;
    bool known;
    uint64_t body_hash; /* of the body it was read from */
} present;

const sonde__agent_info *sonde__agent(void)
{
    return &present.info;
}

bool sonde__agent_filter(sonde__trace_filter **out)
{
    *out = present.filter;
    return !present.filter_failed;
}

bool sonde__agent_counts_well(const sonde__agent_info *info)
{
    sonde_str rest = info->version, major_text = sonde_str_cut(&rest, '.');
    sonde_str minor_text = sonde_str_cut(&rest, '.');
    uint64_t major, minor;

    if (info->version.len == 0)
        return true;
    if (sonde_parse_u64(major_text, &major) != SONDE_OK ||
        sonde_parse_u64(minor_text, &minor) != SONDE_OK)
        return false;
    return major == 0 || major > 7 || (major == 7 && minor >= 65);
}

static void make_filter(void)
{
    sonde_status status;

    sonde__trace_filter_free(present.filter);
    status = sonde__trace_filter_new(&present.info, &present.filter);
    present.filter_failed = status != SONDE_OK;
    if (present.filter_failed)
        SONDE_LOG(SONDE_LOG_WARN, "filters and statistics are left to the agent: reason=\"%s\"",
                  sonde_status_str(status));
}

static void take_body(sonde_str body)
{
    uint64_t hash = sonde_hash(body.len, body.ptr, body.len);
    sonde__agent_info next;
    sonde_status status;

    if (present.known && present.body_hash == hash)
        return;
    status = sonde__agent_info_parse(body, &next);
    if (status != SONDE_OK) {
        SONDE_LOG(SONDE_LOG_WARN,
                  "agent's /info not understood, keeping what is known: reason=\"%s\"",
                  sonde_status_str(status));
        return;
    }
    sonde__agent_info_done(&present.info);
    present.info = next;
    make_filter();
    present.body_hash = hash;
    present.known = true;
}

bool sonde__agent_take(int http_status, sonde_str body)
{
    if (http_status == 200) {
        take_body(body);
    } else if (http_status == 404) {
        sonde__agent_forget();
        present.known = true;
    }
    sonde__statsd_set_agent_port(present.info.statsd_port);
    if (present.known)
        sonde__org_learn(sonde__settings(), present.info.org_marker);
    return present.known;
}

void sonde__agent_forget(void)
{
    sonde__trace_filter_free(present.filter);
    present.filter = NULL;
    present.filter_failed = false;
    sonde__agent_info_done(&present.info);
    present.known = false;
    present.body_hash = 0;
}
