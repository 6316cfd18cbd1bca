/* stats_key.c - one walk over a span's tags for what statistics ask, a second one for the tags of a peer. */
#include "stats_key.h"

#include <string.h>

#include "base/format.h"
#include "base/parse.h"
#include "base/peer_ip.h"
#include "codec/msgpack_write.h"
#include "vocab/tags.h"

/* -- facts ---------------------------------------------------------------------------------------- */

/* clang-format off */
#define FACT_MAP(X)                              \
    X(KIND,            SONDE_TAG_SPAN_KIND)      \
    X(ORIGIN,          SONDE_TAG_ORIGIN)         \
    X(SERVICE_SOURCE,  SONDE_TAG_SVC_SRC)        \
    X(BASE_SERVICE,    SONDE_TAG_BASE_SERVICE)   \
    X(HTTP_STATUS,     SONDE_TAG_HTTP_STATUS_CODE) \
    X(HTTP_METHOD,     "http.method")            \
    X(HTTP_ENDPOINT,   "http.endpoint")          \
    X(HTTP_ROUTE,      "http.route")             \
    X(GRPC_FIRST,      "rpc.grpc.status_code")   \
    X(GRPC_SECOND,     "grpc.code")              \
    X(GRPC_THIRD,      "rpc.grpc.status.code")   \
    X(GRPC_LAST,       "grpc.status.code")       \
    X(TOP_LEVEL,       SONDE_TAG_DD_TOP_LEVEL)   \
    X(MEASURED,        SONDE_TAG_MEASURED)       \
    X(PARTIAL_VERSION, SONDE_TAG_PARTIAL_VERSION)
/* clang-format on */

enum fact {
#define X(name, text) FACT_##name,
    FACT_MAP(X)
#undef X
        FACTS
};

static const sonde_str fact_names[] = {
#define X(name, text) { text, sizeof(text) - 1 },
    FACT_MAP(X)
#undef X
};

typedef struct facts {
    sonde_str meta[FACTS];
    double metric[FACTS]; /* -1 where there is none */
} facts;

/* Bit per length that one of them has: most keys are none of them. */
#define X(name, text) | UINT64_C(1) << (sizeof(text) - 1)
static const uint64_t fact_lengths = UINT64_C(0) FACT_MAP(X);
#undef X

static int fact_of(sonde_str key)
{
    int i;

    if (key.len > 63 || !(fact_lengths >> key.len & 1))
        return -1;
    for (i = 0; i < FACTS; i++)
        if (sonde_str_eq(key, fact_names[i]))
            return i;
    return -1;
}

static void collect(const sonde__wire_span *span, facts *f)
{
    sonde__wire_map map = span->meta;
    sonde_str key, text;
    double number;
    int i;

    memset(f, 0, sizeof(*f));
    for (i = 0; i < FACTS; i++)
        f->metric[i] = -1;
    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_str(&map.at, &text);
        if ((i = fact_of(key)) >= 0)
            f->meta[i] = text;
    }
    for (map = span->metrics; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &key);
        (void)sonde_mp_read_double(&map.at, &number);
        if ((i = fact_of(key)) >= 0)
            f->metric[i] = number;
    }
}

static bool is_among(const sonde__texts *list, sonde_str text)
{
    uint32_t i;

    for (i = 0; i < list->len; i++)
        if (sonde_str_eq_nocase(list->item[i], text))
            return true;
    return false;
}

static bool is_counted(const facts *f, const sonde__agent_info *agent)
{
    if (f->metric[FACT_PARTIAL_VERSION] >= 0)
        return false;
    return f->metric[FACT_TOP_LEVEL] == 1 || f->metric[FACT_MEASURED] == 1 ||
           is_among(&agent->span_kinds, f->meta[FACT_KIND]);
}

/* False: there is none, or it is no whole number of 32 bits. */
static bool read_metric(const facts *f, int i, uint32_t *out)
{
    double number = f->metric[i];

    if (!(number >= 0 && number <= UINT32_MAX) || number > (double)(uint32_t)number)
        return false;
    *out = (uint32_t)number;
    return true;
}

static uint32_t http_status(const facts *f)
{
    uint64_t parsed = 0;
    uint32_t number;

    if (read_metric(f, FACT_HTTP_STATUS, &number))
        return number;
    if (sonde_parse_u64(f->meta[FACT_HTTP_STATUS], &parsed) != SONDE_OK || parsed > UINT32_MAX)
        return 0;
    return (uint32_t)parsed;
}

/* -- gRPC ----------------------------------------------------------------------------------------- */

/* Names count in any case, with or without underscores. */
static bool is_grpc_name(sonde_str given, const char *name)
{
    size_t i;

    for (i = 0; i < given.len; i++) {
        char c = given.ptr[i];

        if (c == '_')
            continue;
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c != *name++)
            return false;
    }
    return *name == '\0';
}

static sonde_str grpc_number(sonde_str text)
{
    static const char *const names[] = {
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALIDARGUMENT",
        "DEADLINEEXCEEDED",
        "NOTFOUND",
        "ALREADYEXISTS",
        "PERMISSIONDENIED",
        "RESOURCEEXHAUSTED",
        "FAILEDPRECONDITION",
        "ABORTED",
        "OUTOFRANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATALOSS",
        "UNAUTHENTICATED",
    };
    static const sonde_str numbers[] = {
        { "0", 1 },  { "1", 1 },  { "2", 1 },  { "3", 1 },  { "4", 1 },  { "5", 1 },
        { "6", 1 },  { "7", 1 },  { "8", 1 },  { "9", 1 },  { "10", 2 }, { "11", 2 },
        { "12", 2 }, { "13", 2 }, { "14", 2 }, { "15", 2 }, { "16", 2 },
    };
    uint64_t number;
    size_t i;

    if (sonde_parse_u64(text, &number) == SONDE_OK)
        return text;
    if (sonde_str_starts(text, SONDE_STR("StatusCode.")))
        text = sonde_str_sub(text, 11, text.len);
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (is_grpc_name(text, names[i]))
            return numbers[i];
    return is_grpc_name(text, "CANCELED") ? numbers[1] : SONDE_STR("");
}

static sonde_str grpc_status(const facts *f, sonde_arena *scratch)
{
    char digits[SONDE_U64_MAX_LEN];
    uint32_t number;
    int i;

    for (i = FACT_GRPC_FIRST; i <= FACT_GRPC_LAST; i++) {
        if (f->meta[i].len > 0)
            return grpc_number(f->meta[i]);
        if (read_metric(f, i, &number))
            return sonde_arena_copy(scratch,
                                    (sonde_str){ digits, sonde_format_u64(number, digits) });
    }
    return SONDE_STR("");
}

/* -- peers ---------------------------------------------------------------------------------------- */

/* "key:value"; "" without room. */
static sonde_str join(sonde_str key, sonde_str value, sonde_arena *scratch)
{
    char *text = (char *)sonde_arena_alloc_aligned(scratch, key.len + 1 + value.len, 1);

    if (!text)
        return SONDE_STR("");
    memcpy(text, key.ptr, key.len);
    text[key.len] = ':';
    memcpy(text + key.len + 1, value.ptr, value.len);
    return (sonde_str){ text, key.len + 1 + value.len };
}

static void add_peer(sonde__stats_key *k, sonde_str key, sonde_str value, sonde_arena *scratch)
{
    if (value.len == 0 || sonde_peer_ip_blank(scratch, value, &value) != SONDE_OK)
        return;
    value = join(key, value, scratch);
    if (value.len > 0)
        k->peers[k->peers_len++] = value;
}

static bool has_peer(sonde_str kind)
{
    return sonde_str_eq_nocase(kind, SONDE_STR("client")) ||
           sonde_str_eq_nocase(kind, SONDE_STR("producer")) ||
           sonde_str_eq_nocase(kind, SONDE_STR("consumer"));
}

/* The value of a key in a span's meta; empty: none. */
static sonde_str find_meta(sonde__wire_map map, sonde_str key)
{
    sonde_str at, text;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &at);
        (void)sonde_mp_read_str(&map.at, &text);
        if (sonde_str_eq(at, key))
            return text;
    }
    return SONDE_STR("");
}

static void add_peers(sonde__stats_key *k, const sonde__wire_span *span, const facts *f,
                      const sonde__agent_info *agent, sonde_arena *scratch)
{
    uint32_t i;

    if (!has_peer(k->kind)) {
        add_peer(k, fact_names[FACT_BASE_SERVICE], f->meta[FACT_BASE_SERVICE], scratch);
        return;
    }
    for (i = 0; i < agent->peer_tags.len; i++)
        add_peer(k, agent->peer_tags.item[i], find_meta(span->meta, agent->peer_tags.item[i]),
                 scratch);
}

/* -- additional tags ------------------------------------------------------------------------------ */

/* A number as its digits. */
static sonde_str find_metric(sonde__wire_map map, sonde_str key, char digits[SONDE_DOUBLE_MAX_LEN])
{
    sonde_str at;
    double number;

    for (; map.len > 0; map.len--) {
        (void)sonde_mp_read_str(&map.at, &at);
        (void)sonde_mp_read_double(&map.at, &number);
        if (sonde_str_eq(at, key))
            return (sonde_str){ digits, sonde_format_double(number, digits) };
    }
    return SONDE_STR("");
}

static void add_extras(sonde__stats_key *k, const sonde__wire_span *span,
                       const sonde__texts *extras, sonde_arena *scratch)
{
    char digits[SONDE_DOUBLE_MAX_LEN];
    uint32_t i;

    k->extras_len = extras->len;
    k->extras_too_long = 0;
    for (i = 0; i < extras->len; i++) {
        sonde_str value = find_meta(span->meta, extras->item[i]);

        if (value.len == 0)
            value = find_metric(span->metrics, extras->item[i], digits);
        k->extras[i] = value.len > 0 ? join(extras->item[i], value, scratch) : SONDE_STR("");
        if (value.len > SONDE__STATS_EXTRA_MAX_BYTES)
            k->extras_too_long |= 1u << i;
    }
}

/* -- key ------------------------------------------------------------------------------------------ */

bool sonde__stats_key_of(const sonde__wire_span *span, const sonde__agent_info *agent,
                         const sonde__texts *extras, sonde_arena *scratch, sonde__stats_key *out)
{
    facts f;

    collect(span, &f);
    if (!is_counted(&f, agent))
        return false;
    out->service = span->service;
    out->name = span->name;
    out->resource = span->resource.len > 0 ? span->resource : span->name;
    out->type = span->type;
    out->kind = f.meta[FACT_KIND];
    out->grpc_status = grpc_status(&f, scratch);
    out->http_method = f.meta[FACT_HTTP_METHOD];
    out->http_endpoint =
        f.meta[FACT_HTTP_ENDPOINT].len > 0 ? f.meta[FACT_HTTP_ENDPOINT] : f.meta[FACT_HTTP_ROUTE];
    out->service_source = f.meta[FACT_SERVICE_SOURCE];
    out->http_status = http_status(&f);
    out->synthetics = sonde_str_starts(f.meta[FACT_ORIGIN], SONDE_STR("synthetics"));
    out->is_trace_root = span->parent_id == 0;
    out->top_level = f.metric[FACT_TOP_LEVEL] == 1;
    out->peers_len = 0;
    add_peers(out, span, &f, agent, scratch);
    add_extras(out, span, extras, scratch);
    return true;
}

static void write_text(sonde_buf *b, const char *key, sonde_str value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_str(b, value);
}

static void write_number(sonde_buf *b, const char *key, uint64_t value)
{
    sonde_mp_write_str(b, sonde_str_from(key));
    sonde_mp_write_u64(b, value);
}

static void write_extras(sonde_buf *b, const sonde__stats_key *key)
{
    uint32_t present = 0;
    uint32_t i;

    for (i = 0; i < key->extras_len; i++)
        present += key->extras[i].len > 0;
    sonde_mp_write_str(b, SONDE_STR("AdditionalMetricTags"));
    sonde_mp_write_array(b, present);
    for (i = 0; i < key->extras_len; i++)
        if (key->extras[i].len > 0)
            sonde_mp_write_str(b, key->extras[i]);
}

void sonde__stats_key_write(const sonde__stats_key *key, sonde_buf *out)
{
    uint32_t i;

    write_text(out, "Service", key->service);
    write_text(out, "Name", key->name);
    write_text(out, "Resource", key->resource);
    write_number(out, "HTTPStatusCode", key->http_status);
    write_text(out, "Type", key->type);
    write_text(out, "DBType", SONDE_STR(""));
    sonde_mp_write_str(out, SONDE_STR("Synthetics"));
    sonde_mp_write_bool(out, key->synthetics);
    write_text(out, "SpanKind", key->kind);
    sonde_mp_write_str(out, SONDE_STR("PeerTags"));
    sonde_mp_write_array(out, key->peers_len);
    for (i = 0; i < key->peers_len; i++)
        sonde_mp_write_str(out, key->peers[i]);
    write_number(out, "IsTraceRoot", key->is_trace_root ? 1 : 2);
    write_text(out, "GRPCStatusCode", key->grpc_status);
    write_text(out, "HTTPMethod", key->http_method);
    write_text(out, "HTTPEndpoint", key->http_endpoint);
    write_text(out, "srv_src", key->service_source);
    if (key->extras_len > 0)
        write_extras(out, key);
}
