/* span_facts.c - tags to facts. */
#include "span_facts.h"

#include "base/format.h"
#include "base/parse.h"
#include "base/str.h"

#define BIT(tag) (1u << (tag))
#define GRPC_BITS                                                                                  \
    (BIT(STAT_TAG_GRPC_STATUS) | BIT(STAT_TAG_GRPC_STATUS_2) | BIT(STAT_TAG_GRPC_STATUS_3) |       \
     BIT(STAT_TAG_GRPC_STATUS_4) | BIT(STAT_TAG_RPC_STATUS))

static const sonde_str names[STAT_TAGS] = {
#define X(name, text) [STAT_TAG_##name] = { text, sizeof(text) - 1 },
    STAT_TAG_MAP(X)
#undef X
};

static bool is(sonde_str key, stat_tag tag)
{
    return memcmp(key.ptr, names[tag].ptr, key.len) == 0; /* lengths are equal already */
}

/* The tag of a key, STAT_TAGS for all others.  By length: most keys are refused by the switch. */
static stat_tag tag_of(sonde_str key)
{
    switch (key.len) {
    case 9:
        return is(key, STAT_TAG_KIND)            ? STAT_TAG_KIND
               : is(key, STAT_TAG_GRPC_STATUS_2) ? STAT_TAG_GRPC_STATUS_2
                                                 : STAT_TAGS;
    case 10:
        return is(key, STAT_TAG_TOP_LEVEL)    ? STAT_TAG_TOP_LEVEL
               : is(key, STAT_TAG_RPC_SYSTEM) ? STAT_TAG_RPC_SYSTEM
                                              : STAT_TAGS;
    case 11:
        return is(key, STAT_TAG_SVC_SRC) ? STAT_TAG_SVC_SRC : STAT_TAGS;
    case 12:
        return is(key, STAT_TAG_MEASURED) ? STAT_TAG_MEASURED : STAT_TAGS;
    case 13:
        return is(key, STAT_TAG_DD_TOP_LEVEL) ? STAT_TAG_DD_TOP_LEVEL : STAT_TAGS;
    case 15:
        return is(key, STAT_TAG_RPC_SYSTEM_NAME) ? STAT_TAG_RPC_SYSTEM_NAME : STAT_TAGS;
    case 16:
        return is(key, STAT_TAG_HTTP_STATUS)     ? STAT_TAG_HTTP_STATUS
               : is(key, STAT_TAG_BASE_SERVICE)  ? STAT_TAG_BASE_SERVICE
               : is(key, STAT_TAG_GRPC_STATUS_4) ? STAT_TAG_GRPC_STATUS_4
                                                 : STAT_TAGS;
    case 19:
        return is(key, STAT_TAG_PARTIAL_VERSION) ? STAT_TAG_PARTIAL_VERSION : STAT_TAGS;
    case 20:
        return is(key, STAT_TAG_GRPC_STATUS)     ? STAT_TAG_GRPC_STATUS
               : is(key, STAT_TAG_GRPC_STATUS_3) ? STAT_TAG_GRPC_STATUS_3
                                                 : STAT_TAGS;
    case 24:
        return is(key, STAT_TAG_RPC_STATUS) ? STAT_TAG_RPC_STATUS : STAT_TAGS;
    case 25:
        return is(key, STAT_TAG_HTTP_STATUS_2) ? STAT_TAG_HTTP_STATUS_2 : STAT_TAGS;
    default:
        return STAT_TAGS;
    }
}

void span_facts_collect(span_facts *f, const payload_span *s)
{
    uint32_t i;

    f->meta_seen = f->metric_seen = 0;
    for (i = 0; i < s->meta_len; i++) {
        stat_tag tag = tag_of(s->meta[i].key);

        if (tag != STAT_TAGS) {
            f->meta[tag] = s->meta[i].value;
            f->meta_seen |= BIT(tag);
        }
    }
    for (i = 0; i < s->metrics_len; i++) {
        stat_tag tag = tag_of(s->metrics[i].key);

        if (tag != STAT_TAGS) {
            f->metric[tag] = s->metrics[i].value;
            f->metric_seen |= BIT(tag);
        }
    }
}

sonde_str facts_meta(const span_facts *f, stat_tag tag)
{
    return f->meta_seen & BIT(tag) ? f->meta[tag] : (sonde_str){ NULL, 0 };
}

static bool metric_is_one(const span_facts *f, stat_tag tag)
{
    return (f->metric_seen & BIT(tag)) && f->metric[tag] >= 1.0 && f->metric[tag] <= 1.0;
}

bool facts_is_top_level(const span_facts *f)
{
    return metric_is_one(f, STAT_TAG_TOP_LEVEL) || metric_is_one(f, STAT_TAG_DD_TOP_LEVEL);
}

bool facts_is_measured(const span_facts *f)
{
    return metric_is_one(f, STAT_TAG_MEASURED);
}

bool facts_is_partial(const span_facts *f)
{
    return (f->metric_seen & BIT(STAT_TAG_PARTIAL_VERSION)) &&
           f->metric[STAT_TAG_PARTIAL_VERSION] >= 0.0;
}

span_kind facts_kind(const span_facts *f)
{
    static const struct {
        sonde_str text;
        span_kind kind;
    } kinds[] = {
        { { "server", 6 }, KIND_SERVER },     { { "client", 6 }, KIND_CLIENT },
        { { "internal", 8 }, KIND_INTERNAL }, { { "producer", 8 }, KIND_PRODUCER },
        { { "consumer", 8 }, KIND_CONSUMER },
    };
    sonde_str kind = facts_meta(f, STAT_TAG_KIND);
    size_t i;

    if (!kind.len)
        return KIND_NONE;
    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (sonde_str_eq_nocase(kind, kinds[i].text))
            return kinds[i].kind;
    return KIND_OTHER;
}

/* False: there is none, or it is no whole number of 32 bits. */
static bool read_metric(const span_facts *f, stat_tag tag, uint32_t *out)
{
    double d = f->metric[tag];

    if (!(f->metric_seen & BIT(tag)) || !(d >= 0.0 && d <= (double)UINT32_MAX) ||
        d > (double)(uint32_t)d)
        return false;
    *out = (uint32_t)d;
    return true;
}

/* Metric first, then text. */
static bool read_status(const span_facts *f, stat_tag tag, uint32_t *out)
{
    uint64_t v;

    if (read_metric(f, tag, out))
        return true;
    if (!(f->meta_seen & BIT(tag)) || sonde_parse_u64(f->meta[tag], &v) != SONDE_OK ||
        v > UINT32_MAX)
        return false;
    *out = (uint32_t)v;
    return true;
}

uint32_t facts_http_status(const span_facts *f)
{
    uint32_t status = 0;

    if (!read_status(f, STAT_TAG_HTTP_STATUS, &status))
        (void)read_status(f, STAT_TAG_HTTP_STATUS_2, &status);
    return status;
}

/* Upper case without underscores; both spellings of cancelled. */
static const struct {
    const char *name;
    const char *code;
} grpc_codes[] = {
    { "OK", "0" },
    { "CANCELLED", "1" },
    { "CANCELED", "1" },
    { "UNKNOWN", "2" },
    { "INVALIDARGUMENT", "3" },
    { "DEADLINEEXCEEDED", "4" },
    { "NOTFOUND", "5" },
    { "ALREADYEXISTS", "6" },
    { "PERMISSIONDENIED", "7" },
    { "RESOURCEEXHAUSTED", "8" },
    { "FAILEDPRECONDITION", "9" },
    { "ABORTED", "10" },
    { "OUTOFRANGE", "11" },
    { "UNIMPLEMENTED", "12" },
    { "INTERNAL", "13" },
    { "UNAVAILABLE", "14" },
    { "DATALOSS", "15" },
    { "UNAUTHENTICATED", "16" },
};

static sonde_str grpc_code_of_name(sonde_str text)
{
    char plain[24];
    size_t i, len = 0;

    if (sonde_str_starts(text, SONDE_STR("StatusCode.")))
        text = sonde_str_sub(text, 11, text.len);
    for (i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '_')
            continue;
        if (len == sizeof(plain))
            return (sonde_str){ NULL, 0 };
        plain[len++] = (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    for (i = 0; i < sizeof(grpc_codes) / sizeof(grpc_codes[0]); i++)
        if (sonde_str_eq((sonde_str){ plain, len }, sonde_str_from(grpc_codes[i].name)))
            return sonde_str_from(grpc_codes[i].code);
    return (sonde_str){ NULL, 0 };
}

static bool is_grpc(const span_facts *f)
{
    stat_tag tag = f->meta_seen & BIT(STAT_TAG_RPC_SYSTEM_NAME) ? STAT_TAG_RPC_SYSTEM_NAME
                                                                : STAT_TAG_RPC_SYSTEM;

    return sonde_str_eq(facts_meta(f, tag), SONDE_STR("grpc"));
}

sonde_str facts_grpc_status(const span_facts *f, char scratch[GRPC_STATUS_SCRATCH_BYTES])
{
    static const stat_tag tags[] = { STAT_TAG_GRPC_STATUS, STAT_TAG_GRPC_STATUS_2,
                                     STAT_TAG_GRPC_STATUS_3, STAT_TAG_GRPC_STATUS_4,
                                     STAT_TAG_RPC_STATUS };
    size_t i, len = sizeof(tags) / sizeof(tags[0]);
    uint64_t code;

    if (!((f->meta_seen | f->metric_seen) & GRPC_BITS))
        return (sonde_str){ NULL, 0 };
    if (!is_grpc(f))
        len--; /* the general RPC status means gRPC only there */
    for (i = 0; i < len; i++) {
        sonde_str text = facts_meta(f, tags[i]);
        uint32_t number;

        if (!text.len && read_metric(f, tags[i], &number))
            return (sonde_str){ scratch, sonde_format_u64(number, scratch) };
        if (!text.len)
            continue;
        if (sonde_parse_u64(text, &code) == SONDE_OK && code <= UINT32_MAX)
            return (sonde_str){ scratch, sonde_format_u64(code, scratch) };
        return grpc_code_of_name(text);
    }
    return (sonde_str){ NULL, 0 };
}
